//! A TCP proxy that misbehaves on demand, before any server. It knows no HTTP.

mod control;
mod pipe;
mod tls;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use control::{Control, Mode};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use control::{By, Direction};
pub use tls::BadCertificate;

/// A proxy on a port of 127.0.0.1, which passes everything until told
/// otherwise. It stops when dropped.
///
/// Every method takes effect at once, on open connections too, unless it
/// says otherwise.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    control: Arc<Control>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one before `server`, on the current tokio runtime.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        Self::serve(server)
    }

    /// Not `async`, so that the proxy is compiled here and not in each test that
    /// starts one.
    fn serve(server: SocketAddr) -> io::Result<Self> {
        let listener = listen(0)?;
        let address = listener.local_addr()?;
        let control = Arc::new(Control::new(server));
        let accepting = tokio::spawn(accept(listener, address.port(), Arc::clone(&control)));
        Ok(Self {
            address,
            control,
            accepting,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything again: no fault is left, and what was frozen thaws.
    pub fn pass(&self) {
        self.control.pass();
    }

    /// Closes the port, and resets open connections.
    pub fn refuse(&self) {
        self.control.set_mode(Mode::Refuse);
    }

    /// Accepts connections and resets them at once, open ones too.
    pub fn reset(&self) {
        self.control.set_mode(Mode::Reset);
    }

    /// Accepts connections and is silent; open ones freeze.
    pub fn blackhole(&self) {
        self.control.set_mode(Mode::Blackhole);
    }

    /// Delays every byte by this long, in each direction.
    pub fn latency(&self, latency: Duration) {
        self.control.change(|faults| faults.latency = latency);
    }

    /// Lets this many bytes a second through, on each connection in each
    /// direction; 0 is no limit.
    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.control
            .change(|faults| faults.bandwidth = bytes_per_second);
    }

    /// Cuts every open connection now, on both sides.
    pub fn cut_all(&self, by: By) {
        self.control.cut_all(by);
    }

    /// Cuts every connection when this many of its bytes went this way. One
    /// that has already moved more stands.
    pub fn cut_after(&self, direction: Direction, bytes: u64, by: By) {
        self.control
            .change(|faults| *faults.cut_mut(direction) = Some((bytes, by)));
    }

    /// Flips a bit (0 to 7) of the byte at this place, from 0, of what goes
    /// this way on every connection.
    pub fn flip(&self, direction: Direction, byte: u64, bit: u8) {
        self.control
            .change(|faults| *faults.flip_mut(direction) = Some((byte, bit)));
    }

    /// Flips a bit (0 to 7) once: of the byte before which this many more pass
    /// this way, on whichever connections. Takes the place of one that still waits.
    pub fn flip_once(&self, direction: Direction, before: u64, bit: u8) {
        self.control.flip_once(direction, before, bit);
    }

    /// Whether [`flip_once`](Self::flip_once) still waits for its byte.
    pub fn is_to_flip(&self, direction: Direction) -> bool {
        self.control.is_to_flip(direction)
    }

    /// Resets every connection on which nothing passed for this long either
    /// way, as a router does that has forgotten it.
    pub fn cut_silent(&self, after: Duration) {
        self.control.change(|faults| faults.silence = Some(after));
    }

    /// Speaks TLS on new connections, with a certificate that is no good; the
    /// server gets what is inside. Returns the certificate as PEM, for a
    /// client that is to trust it and see what else is wrong with it.
    pub fn bad_tls(&self, certificate: BadCertificate) -> String {
        let (acceptor, pem) = tls::acceptor(certificate);
        self.control.set_tls(Some(acceptor));
        pem
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// How often a port that someone else took meanwhile is asked for again.
const LISTEN_AGAIN: Duration = Duration::from_millis(50);

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(1024)
}

async fn accept(mut listener: TcpListener, port: u16, control: Arc<Control>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = control.mode_is(|mode| mode == Mode::Refuse) => {
                drop(listener);
                listener = loop {
                    control.mode_is(|mode| mode != Mode::Refuse).await;
                    if let Ok(listener) = listen(port) {
                        break listener;
                    }
                    sleep(LISTEN_AGAIN).await;
                };
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(pipe::serve(stream, Arc::clone(&control))); }
                Err(_) => sleep(LISTEN_AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
