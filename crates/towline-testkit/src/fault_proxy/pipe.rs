//! One connection: bytes both ways, late, slow, changed or cut.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::control::{By, Control, Direction, Mode};

/// Bytes read in one go.
const PIECE: usize = 16 * 1024;
/// Pieces under way while they are late.
const LATE_PIECES: usize = 64;
/// How long the other side may go on sending after its connection was closed.
const CLOSING: Duration = Duration::from_secs(10);
/// What was written before a reset has this long to arrive.
const ARRIVAL: Duration = Duration::from_millis(50);

pub(super) async fn serve(mut client: TcpStream, control: Arc<Control>) {
    control.not_frozen().await;
    let mut cuts = control.cuts();
    if control.is_away() {
        return end(client, Some(By::Rst)).await;
    }
    let Ok(mut server) = TcpStream::connect(control.server).await else {
        return end(client, Some(By::Rst)).await;
    };
    let heard = Heard(Mutex::new(Instant::now()));
    let cut = async {
        // The control outlives its connections.
        let _ = cuts.changed().await;
        cuts.borrow().1
    };
    let by = tokio::select! {
        biased;
        () = control.mode_is(Mode::is_away) => Some(By::Rst),
        by = cut => Some(by),
        () = heard.too_long_ago(&control) => Some(By::Rst),
        by = pass(&mut client, &mut server, &heard, &control) => by,
    };
    tokio::join!(end(client, by), end(server, by));
}

/// When a byte passed last.
struct Heard(Mutex<Instant>);

impl Heard {
    fn last(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has passed for as long as is allowed.
    async fn too_long_ago(&self, control: &Control) {
        loop {
            let allowed = control.silence_allowed().await;
            let until = *self.last() + allowed;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// Passes bytes until both sides have ended; tells how to end otherwise.
async fn pass(
    client: &mut TcpStream,
    server: &mut TcpStream,
    heard: &Heard,
    control: &Control,
) -> Option<By> {
    // Small answers must not wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if let Some(acceptor) = control.tls() {
        let mut client = acceptor.accept(client).await.ok()?;
        let _ = tokio::io::copy_bidirectional(&mut client, server).await;
        return None;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = pump(from_client, to_server, Direction::ToServer, heard, control);
    let down = pump(from_server, to_client, Direction::ToClient, heard, control);
    tokio::try_join!(up, down).err()
}

/// Passes bytes one way, to their end or to a cut.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    direction: Direction,
    heard: &Heard,
    control: &Control,
) -> Result<(), By> {
    let (late, arriving) = mpsc::channel(LATE_PIECES);
    let read = async move {
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece).await.map_err(|_| By::Rst)?;
            let due = Instant::now() + control.faults().latency;
            if read == 0 || late.send((due, piece[..read].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::try_join!(read, deliver(arriving, to, direction, heard, control)).map(|_| ())
}

async fn deliver(
    mut arriving: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    heard: &Heard,
    control: &Control,
) -> Result<(), By> {
    let mut passed = 0;
    while let Some((due, mut bytes)) = arriving.recv().await {
        sleep_until(due).await;
        if let Some((byte, bit)) = control.faults().flip(direction)
            && let Some(place) = byte.checked_sub(passed)
            && let Some(byte) = bytes.get_mut(usize::try_from(place).unwrap_or(usize::MAX))
        {
            *byte ^= 1 << (bit & 7);
        }
        control.flip_in(direction, &mut bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            control.not_frozen().await;
            let faults = control.faults();
            let cut = faults.cut(direction).filter(|(at, _)| *at >= passed);
            let most = cut.map_or(u64::MAX, |(at, _)| at - passed);
            // A fiftieth of a second's worth.
            let slice = match faults.bandwidth {
                0 => u64::MAX,
                rate => (rate / 50).max(1),
            };
            let now = rest
                .len()
                .min(usize::try_from(most.min(slice)).unwrap_or(usize::MAX));
            to.write_all(&rest[..now]).await.map_err(|_| By::Rst)?;
            passed += now as u64;
            *heard.last() = Instant::now();
            rest = &rest[now..];
            if let Some((at, by)) = cut
                && at == passed
            {
                return Err(by);
            }
            if faults.bandwidth > 0 {
                sleep(Duration::from_secs_f64(
                    now as f64 / faults.bandwidth as f64,
                ))
                .await;
            }
        }
    }
    // This way is at its end; the other may go on.
    let _ = to.shutdown().await;
    Ok(())
}

/// Ends one side of a connection.
async fn end(mut stream: TcpStream, by: Option<By>) {
    match by {
        None => {}
        Some(By::Rst) => {
            sleep(ARRIVAL).await;
            let _ = stream.set_zero_linger();
        }
        // A socket closed over unread bytes would be reset.
        Some(By::Fin) => {
            let _ = stream.shutdown().await;
            let mut rest = vec![0; PIECE];
            let read =
                async { while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {} };
            let _ = timeout(CLOSING, read).await;
        }
    }
}
