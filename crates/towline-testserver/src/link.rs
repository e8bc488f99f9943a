//! A long and narrow way to a server, for all connections together. It knows no HTTP.
//!
//! What goes one way stands in one queue, leaves it at the rate of that way,
//! and arrives half a round trip later. As with TCP, a connection has no more
//! under way than its window, which is small at first and grows with every
//! byte that is acknowledged, and being connected takes a round trip too.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// How long and how wide a link is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// From the first byte of a question to the first of its answer.
    pub round_trip: Duration,
    /// Bytes a second to the server; 0 is no limit.
    pub up: u64,
    /// Bytes a second from the server; 0 is no limit.
    pub down: u64,
}

/// A link on a port of 127.0.0.1. It ends when dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Bytes read in one go.
const PIECE: usize = 32 * 1024;
/// Bytes that wait for one direction of the link.
const QUEUE: usize = 1024 * 1024;
/// The window of a new connection: ten segments.
const FIRST_WINDOW: usize = 14_600;
/// The largest window of a connection.
const WINDOW: usize = 4 * 1024 * 1024;
/// Kernel buffers on this side of each socket, so that little waits unseen.
const SOCKET_BUFFER: u32 = 256 * 1024;

impl Link {
    /// Starts one before `server`, on the current tokio runtime.
    pub async fn start(server: SocketAddr, way: Way) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Accepted connections inherit this.
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, server, way));
        Ok(Self { address, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, way: Way) {
    let mut tasks = JoinSet::new();
    let (up, leaving_up) = Lane::new(way.round_trip);
    let (down, leaving_down) = Lane::new(way.round_trip);
    tasks.spawn(drive(leaving_up, way.up, way.round_trip / 2));
    tasks.spawn(drive(leaving_down, way.down, way.round_trip / 2));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => { tasks.spawn(serve(client, server, up.clone(), down.clone())); }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// The entrance to one direction.
#[derive(Clone)]
struct Lane {
    round_trip: Duration,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Packet>,
}

/// Bytes that wait for the link; none are the end of their connection.
struct Packet {
    since: Instant,
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    to: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
}

impl Lane {
    fn new(round_trip: Duration) -> (Self, mpsc::UnboundedReceiver<Packet>) {
        let (queue, leaving) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(QUEUE));
        let lane = Self {
            round_trip,
            room,
            queue,
        };
        (lane, leaving)
    }
}

/// Lets what waits leave at this rate.
async fn drive(mut leaving: mpsc::UnboundedReceiver<Packet>, rate: u64, delay: Duration) {
    let mut free = Instant::now();
    while let Some(packet) = leaving.recv().await {
        // By the clock of the link, so that a timer that is late costs nothing of the rate.
        free = free.max(packet.since);
        if rate > 0 {
            free += Duration::from_secs_f64(packet.bytes.len() as f64 / rate as f64);
            sleep_until(free).await;
        }
        drop(packet.room);
        // Its connection may be gone.
        let _ = packet.to.send((free + delay, packet.bytes));
    }
}

async fn serve(client: TcpStream, server: SocketAddr, up: Lane, down: Lane) {
    if let Err(error) = connect(client, server, up, down).await {
        tracing::debug!(%error, "a connection over the link ended early");
    }
}

async fn connect(client: TcpStream, server: SocketAddr, up: Lane, down: Lane) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    let server = socket.connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    sleep(up.round_trip).await;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, up);
    let back = pass(from_server, to_client, down);
    tokio::try_join!(there, back).map(drop)
}

/// Passes the bytes of one connection one way, to their end.
async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, lane: Lane) -> io::Result<()> {
    // Bytes that may still be under way.
    let window = Arc::new(Semaphore::new(FIRST_WINDOW));
    let delay = lane.round_trip / 2;
    let (arrive, arriving) = mpsc::unbounded_channel();
    let (acknowledge, acknowledged) = mpsc::unbounded_channel();
    tokio::try_join!(
        read(from, lane, &window, arrive),
        deliver(arriving, to, delay, acknowledge),
        open(acknowledged, &window),
    )
    .map(drop)
}

async fn read(
    from: OwnedReadHalf,
    lane: Lane,
    window: &Semaphore,
    to: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        from.readable().await?;
        // Nobody else takes from the window.
        drop(window.acquire().await.map_err(io::Error::other)?);
        let most = window.available_permits().min(PIECE);
        let room = Arc::clone(&lane.room).acquire_many_owned(most as u32);
        let mut room = room.await.map_err(io::Error::other)?;
        let read = match from.try_read(&mut buffer[..most]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read?,
        };
        window.forget_permits(read);
        let packet = Packet {
            since: Instant::now(),
            bytes: buffer[..read].to_vec(),
            room: room.split(read),
            to: to.clone(),
        };
        lane.queue
            .send(packet)
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        if read == 0 {
            return Ok(());
        }
    }
}

async fn deliver(
    mut arriving: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    delay: Duration,
    acknowledge: mpsc::UnboundedSender<(Instant, usize)>,
) -> io::Result<()> {
    while let Some((due, bytes)) = arriving.recv().await {
        sleep_until(due).await;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&bytes).await?;
        // Nobody waits for it once all is read.
        let _ = acknowledge.send((Instant::now() + delay, bytes.len()));
    }
    Ok(())
}

/// Opens the window again for what was acknowledged, and more while it grows.
async fn open(
    mut acknowledged: mpsc::UnboundedReceiver<(Instant, usize)>,
    window: &Semaphore,
) -> io::Result<()> {
    let mut size = FIRST_WINDOW;
    while let Some((due, bytes)) = acknowledged.recv().await {
        sleep_until(due).await;
        let more = bytes.min(WINDOW - size);
        size += more;
        window.add_permits(bytes + more);
    }
    Ok(())
}
