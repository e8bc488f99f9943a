//! A range that comes much slower than its fellows is asked for again, from the
//! byte it has reached, on another connection: once, so that nothing comes twice.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many of the last ranges are compared with.
const FELLOWS: usize = 16;

/// With fewer than these nothing can be said.
const ENOUGH: usize = 3;

/// A range under this share of the usual rate is slow.
const SLOW: f64 = 0.1;

/// How fast the last ranges of a transfer came, in bytes a second.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<VecDeque<f64>>);

impl Rates {
    /// A range is there.
    pub(super) fn note(&self, bytes: u64, time: Duration) {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() == FELLOWS {
            rates.pop_front();
        }
        rates.push_back(bytes as f64 / time.as_secs_f64().max(0.001));
    }

    /// The rate that half of them had.
    fn usual(&self) -> Option<f64> {
        let rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<f64> = rates.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        (sorted.len() >= ENOUGH).then(|| sorted[sorted.len() / 2])
    }
}

/// Watches how fast one range comes.
pub(super) struct Watch {
    looks_every: Duration,
    looked: Instant,
    bytes: u64,
    may_switch: bool,
}

impl Watch {
    /// A range is slow only if it was for this long.
    pub(super) fn new(looks_every: Duration) -> Self {
        Self {
            looks_every,
            looked: Instant::now(),
            bytes: 0,
            may_switch: true,
        }
    }

    /// It was kept waiting on this machine: that is not the connection's doing.
    pub(super) fn begin_anew(&mut self) {
        (self.looked, self.bytes) = (Instant::now(), 0);
    }

    /// Whether it is to be asked for again, now that so many bytes more are
    /// there. True once at most.
    pub(super) fn is_slow(&mut self, bytes: u64, rates: &Rates) -> bool {
        self.bytes += bytes;
        let time = self.looked.elapsed();
        if !self.may_switch || time < self.looks_every {
            return false;
        }
        let rate = self.bytes as f64 / time.as_secs_f64();
        let slow = rates.usual().is_some_and(|usual| rate < usual * SLOW);
        self.begin_anew();
        self.may_switch = !slow;
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rates(of: &[u64]) -> Rates {
        let rates = Rates::default();
        for rate in of {
            rates.note(*rate, Duration::from_secs(1));
        }
        rates
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_under_a_tenth_of_the_usual_rate_for_a_minute_is_slow_once() {
        let rates = rates(&[900, 1000, 1100]);
        let mut watch = Watch::new(MINUTE);
        for second in 1..=200 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(watch.is_slow(50, &rates), second == 60, "{second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_that_is_as_fast_as_others_or_has_no_others_is_not_slow() {
        for (rates, each) in [(rates(&[900, 1000, 1100]), 150), (rates(&[1000, 1000]), 1)] {
            let mut watch = Watch::new(MINUTE);
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(!watch.is_slow(each, &rates));
            }
        }
    }
}
