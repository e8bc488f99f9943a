//! Whose process is at the other end of a connection over loopback TCP.

use std::net::{IpAddr, SocketAddr};

/// Whether the client's end belongs to this user or to root. Where the system
/// does not tell, it is taken to.
pub(crate) fn is_own_user(peer: SocketAddr, server: SocketAddr) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    if tables.iter().all(Result::is_err) {
        return true;
    }
    let found = tables.iter().flatten();
    let uid = found
        .flat_map(|table| table.lines())
        .find_map(|line| owner(line, peer, server));
    uid.is_some_and(|uid| uid == own || uid == 0)
}

/// The uid in a line of `/proc/net/tcp`, where it is of this connection.
/// <https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt>
fn owner(line: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let here = fields.next()?;
    let there = fields.next()?;
    let is = |text: &str, address| text.eq_ignore_ascii_case(&as_listed(address));
    if !is(here, local) || !is(there, remote) {
        return None;
    }
    fields.nth(4)?.parse().ok()
}

/// Words of four bytes in the machine's own order.
fn as_listed(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = [word[0], word[1], word[2], word[3]];
        format!("{:08X}", u32::from_ne_bytes(word))
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_owner_of_a_loopback_connection_is_found() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(loopback) else {
                continue; // a machine without IPv6
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (peer, server) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            assert!(is_own_user(peer, server));
            let mut elsewhere = server;
            elsewhere.set_port(1);
            assert!(!is_own_user(peer, elsewhere));
        }
    }

    #[test]
    fn another_users_connection_is_told_from_its_line() {
        let line = "   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 \
            00000000  1001        0 1234 1 0000000000000000 20 0 0 10 -1";
        let (peer, server) = ("127.0.0.1:54321", "127.0.0.1:8080");
        let found = owner(line, peer.parse().unwrap(), server.parse().unwrap());
        assert_eq!(found, Some(1001));
        assert_eq!(
            owner(line, server.parse().unwrap(), peer.parse().unwrap()),
            None
        );
    }
}
