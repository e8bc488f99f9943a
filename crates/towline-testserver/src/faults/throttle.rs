//! A bound on the bytes that pass in a second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lock;

/// One allowance of bytes for everything that flows.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// Bytes a second; 0 is no limit.
    rate: AtomicU64,
    /// When the next byte may pass.
    free_at: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(crate) fn at(bytes_per_second: u64) -> Self {
        let throttle = Self::default();
        throttle.set_rate(bytes_per_second);
        throttle
    }

    pub(super) fn set_rate(&self, bytes_per_second: u64) {
        self.rate.store(bytes_per_second, Ordering::Relaxed);
        // What the old rate had booked ahead no longer counts.
        *lock(&self.free_at) = None;
    }

    /// Books bytes that have just passed.
    pub(crate) fn passed(&self, bytes: usize) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let mut free_at = lock(&self.free_at);
        let now = Instant::now();
        let start = free_at.map_or(now, |at| at.max(now));
        *free_at = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
    }

    /// How long to wait before asking again; `None` when bytes may pass now.
    ///
    /// Short waits, so that a changed rate is felt soon.
    pub(crate) fn wait(&self) -> Option<Duration> {
        if self.rate.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let wait = (*lock(&self.free_at))?.checked_duration_since(Instant::now())?;
        (!wait.is_zero()).then_some(wait.min(Duration::from_millis(20)))
    }

    /// The most bytes to let pass in one go: a fiftieth of a second's worth.
    pub(crate) fn slice(&self) -> usize {
        match self.rate.load(Ordering::Relaxed) {
            0 => usize::MAX,
            rate => usize::try_from(rate / 50).unwrap_or(usize::MAX).max(256),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifted_limit_forgets_what_was_booked() {
        let throttle = Throttle::default();
        throttle.set_rate(10);
        throttle.passed(1_000);
        assert!(throttle.wait().is_some());
        throttle.set_rate(0);
        assert_eq!(throttle.wait(), None);
    }
}
