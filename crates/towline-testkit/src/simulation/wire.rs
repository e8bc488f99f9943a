//! The way to a simulated store: whether it is open, and how fast it is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What becomes of whoever uses the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It works.
    Up,
    /// No connection is made, and open ones break: nothing listens any more.
    Refused,
    /// Nothing moves and nobody answers. What was under way then never ends, not
    /// even once the way is open again.
    Blackhole,
    /// Connections are made, and break at once; so do open ones.
    Reset,
}

/// A connection broke.
#[derive(Debug)]
pub(super) struct Broken;

/// The way.
pub(super) struct Wire {
    network: Mutex<Network>,
    /// Wakes who waits in the order in which they came.
    changed: Notify,
    latency: Mutex<Duration>,
    pub(super) up: Link,
    pub(super) down: Link,
}

impl Wire {
    pub(super) fn new() -> Self {
        Self {
            network: Mutex::new(Network::Up),
            changed: Notify::new(),
            latency: Mutex::new(Duration::from_millis(20)),
            up: Link::default(),
            down: Link::default(),
        }
    }

    pub(super) fn set_network(&self, network: Network) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = network;
        self.changed.notify_waiters();
    }

    pub(super) fn network(&self) -> Network {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it works.
    pub(super) async fn opened(&self) {
        self.becomes(|network| network == Network::Up).await;
    }

    async fn becomes(&self, is: impl Fn(Network) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is(self.network()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        *self.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
    }

    /// The time of one way.
    pub(super) async fn one_way(&self) {
        let both = *self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::time::sleep(both / 2).await;
    }

    /// Does what needs an open connection.
    pub(super) async fn on_connection<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Broken> {
        tokio::select! {
            biased;
            () = self.becomes(|network| network != Network::Up) => {}
            done = work => return Ok(done),
        }
        match self.network() {
            Network::Blackhole => std::future::pending().await,
            _ => Err(Broken),
        }
    }
}

/// One direction, which all connections share.
#[derive(Default)]
pub(super) struct Link(Mutex<Pace>);

#[derive(Default)]
struct Pace {
    bytes_per_second: Option<u64>,
    free_at: Option<Instant>,
}

impl Link {
    pub(super) fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pace.bytes_per_second = bytes_per_second;
        pace.free_at = None;
    }

    /// So many bytes are passed at one time: a twentieth of a second's.
    pub(super) fn step(&self) -> usize {
        let pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = pace.bytes_per_second.map_or(MOST, |rate| rate / 20);
        usize::try_from(step.clamp(LEAST, MOST)).unwrap_or(1024)
    }

    /// Passes bytes, after those of others that were there before.
    pub(super) async fn pass(&self, bytes: usize) {
        let free_at = {
            let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(rate) = pace.bytes_per_second else {
                return;
            };
            let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
            let now = Instant::now();
            let free_at = pace.free_at.map_or(now, |at| at.max(now)) + takes;
            pace.free_at = Some(free_at);
            free_at
        };
        sleep_until(free_at).await;
    }
}

const LEAST: u64 = 4 << 10;
const MOST: u64 = 256 << 10;
