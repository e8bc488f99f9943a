//! A name server that knows one address, whatever is asked for.

use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

/// Answers until it is stopped.
pub(crate) async fn serve(socket: UdpSocket, address: Ipv4Addr) {
    let mut query = [0; 512];
    while let Ok((len, from)) = socket.recv_from(&mut query).await {
        if let Some(answer) = answer(&query[..len], address) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// RFC 1035, section 4: the question again, and one address for it if it asks
/// for such.
fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let name = query.get(HEADER..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEADER..HEADER + name + 4)?;
    let found = question[name..name + 2] == A;
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80, 0, 1, 0, found.into(), 0, 0, 0, 0]);
    answer.extend(question);
    if found {
        // The name at byte 12, A, IN, for no time, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
