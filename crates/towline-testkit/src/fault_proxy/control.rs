//! What the proxy is to do, as its connections see it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The other side reads the end of the stream.
    #[default]
    Fin,
    /// The other side reads a reset.
    Rst,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Pass,
    Refuse,
    Reset,
    Blackhole,
}

impl Mode {
    /// Whether connections are reset.
    pub(super) fn is_away(self) -> bool {
        matches!(self, Self::Refuse | Self::Reset)
    }
}

/// The faults of the bytes that pass; those of a direction in the order
/// to server, to client.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) latency: Duration,
    pub(super) bandwidth: u64,
    pub(super) silence: Option<Duration>,
    cut: [Option<(u64, By)>; 2],
    flip: [Option<(u64, u8)>; 2],
}

impl Faults {
    pub(super) fn cut_mut(&mut self, direction: Direction) -> &mut Option<(u64, By)> {
        &mut self.cut[direction as usize]
    }

    pub(super) fn flip_mut(&mut self, direction: Direction) -> &mut Option<(u64, u8)> {
        &mut self.flip[direction as usize]
    }

    pub(super) fn cut(&self, direction: Direction) -> Option<(u64, By)> {
        self.cut[direction as usize]
    }

    pub(super) fn flip(&self, direction: Direction) -> Option<(u64, u8)> {
        self.flip[direction as usize]
    }
}

/// One bit that is to be flipped once.
#[derive(Clone, Copy, Debug)]
struct Once {
    /// Bytes that pass before its own.
    before: u64,
    bit: u8,
}

pub(super) struct Control {
    pub(super) server: SocketAddr,
    mode: watch::Sender<Mode>,
    faults: watch::Sender<Faults>,
    /// How often all connections were cut, and the last time by what.
    cuts: watch::Sender<(u64, By)>,
    /// The next flips of each direction, over all connections.
    once: Mutex<[Option<Once>; 2]>,
    tls: Mutex<Option<TlsAcceptor>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Control");
        debug.field("mode", &*self.mode.borrow());
        debug.field("faults", &*self.faults.borrow());
        debug.finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            mode: watch::Sender::default(),
            faults: watch::Sender::default(),
            cuts: watch::Sender::default(),
            once: Mutex::default(),
            tls: Mutex::default(),
        }
    }

    pub(super) fn pass(&self) {
        self.set_mode(Mode::Pass);
        self.change(|faults| *faults = Faults::default());
        *self.once() = [None; 2];
        self.set_tls(None);
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.borrow().clone()
    }

    fn once(&self) -> MutexGuard<'_, [Option<Once>; 2]> {
        self.once.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn flip_once(&self, direction: Direction, before: u64, bit: u8) {
        let mut once = [None; 2];
        once[direction as usize] = Some(Once { before, bit });
        *self.once() = once;
    }

    pub(super) fn is_to_flip(&self, direction: Direction) -> bool {
        self.once()[direction as usize].is_some()
    }

    /// Flips the bit that is to be flipped once, if its byte is among these.
    pub(super) fn flip_in(&self, direction: Direction, bytes: &mut [u8]) {
        let next = &mut self.once()[direction as usize];
        let Some(once) = next else { return };
        let place = usize::try_from(once.before).unwrap_or(usize::MAX);
        match bytes.get_mut(place) {
            Some(byte) => {
                *byte ^= 1 << (once.bit & 7);
                *next = None;
            }
            None => once.before -= bytes.len() as u64,
        }
    }

    pub(super) fn set_tls(&self, acceptor: Option<TlsAcceptor>) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
    }

    pub(super) fn tls(&self) -> Option<TlsAcceptor> {
        let tls = self.tls.lock();
        tls.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn cut_all(&self, by: By) {
        self.cuts.send_modify(|(times, last)| {
            *times += 1;
            *last = by;
        });
    }

    /// Sees the cuts from now on.
    pub(super) fn cuts(&self) -> watch::Receiver<(u64, By)> {
        self.cuts.subscribe()
    }

    /// How long a connection may be silent; waits until there is a limit.
    pub(super) async fn silence_allowed(&self) -> Duration {
        let mut faults = self.faults.subscribe();
        // We hold the sender, so this does not fail.
        let limited = faults.wait_for(|faults| faults.silence.is_some()).await;
        limited.ok().and_then(|it| it.silence).unwrap_or_default()
    }

    /// Waits until the mode is as asked.
    pub(super) async fn mode_is(&self, asked: impl Fn(Mode) -> bool) {
        // We hold the sender, so this does not fail.
        drop(self.mode.subscribe().wait_for(|mode| asked(*mode)).await);
    }

    pub(super) fn is_away(&self) -> bool {
        self.mode.borrow().is_away()
    }

    pub(super) async fn not_frozen(&self) {
        self.mode_is(|mode| mode != Mode::Blackhole).await;
    }
}
