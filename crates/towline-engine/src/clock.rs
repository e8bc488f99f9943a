//! The only place that reads a clock, so that a simulation can replace it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use towline_core::{Now, S3, Timestamp};

/// What a simulated wall clock shows at first, in milliseconds since 1970.
const WALL_START: i64 = 1_700_000_000_000;

/// Reads both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// In a simulation: since when the wall clock has gone.
    simulated: Option<Instant>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            simulated: None,
        }
    }

    /// Wall time passes as the runtime's does, which may be paused.
    pub(crate) fn simulated(since: Instant) -> Self {
        Self {
            simulated: Some(since),
            ..Self::start()
        }
    }

    /// Now, and what a store's clock shows.
    pub(crate) fn now_at(&self, s3: &dyn S3) -> Now {
        let now = self.now();
        Now {
            server: now.wall.plus_millis(s3.clock_offset()),
            ..now
        }
    }

    /// Now, where it does not matter what a store's clock shows.
    pub(crate) fn now(&self) -> Now {
        let monotonic = self.monotonic();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let wall = match self.simulated {
            Some(since) => WALL_START + millis(since.elapsed()),
            None => millis(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
        };
        let wall = Timestamp::from_millis(wall);
        Now {
            monotonic,
            wall,
            server: wall,
        }
    }

    /// The time since it was started, which never goes back.
    pub(crate) fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
