//! How fast bytes moved in the last minutes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;
use towline::{Timestamp, TransferUtility};

use crate::api;

/// Seconds that are kept.
const KEPT: usize = 300;

/// Bytes of each second.
#[derive(Debug, Default)]
pub(crate) struct Throughput(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    until: Timestamp,
    seconds: VecDeque<(u64, u64)>,
}

impl Throughput {
    /// Measures for as long as it runs.
    pub(crate) async fn measure(self: Arc<Self>, utility: TransferUtility) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        // One second each, also after the machine slept.
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        seconds.tick().await;
        let mut before = utility.statistics();
        loop {
            seconds.tick().await;
            let now = utility.statistics();
            let up = now.bytes_up - before.bytes_up;
            let down = now.bytes_down - before.bytes_down;
            self.note(SystemTime::now().into(), up, down);
            before = now;
        }
    }

    fn note(&self, until: Timestamp, up: u64, down: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.until = until;
        if kept.seconds.len() == KEPT {
            kept.seconds.pop_front();
        }
        kept.seconds.push_back((up, down));
    }

    pub(crate) fn read(&self) -> api::Throughput {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (up, down) = kept.seconds.iter().copied().unzip();
        api::Throughput {
            until: kept.until.as_millis(),
            up,
            down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_minutes_are_kept() {
        let throughput = Throughput::default();
        for second in 0..400 {
            throughput.note(Timestamp::from_millis(second), second as u64, 0);
        }
        let read = throughput.read();
        assert_eq!(
            (read.until, read.up.len(), read.down.len()),
            (399, 300, 300)
        );
        assert_eq!((read.up[0], read.up[299]), (100, 399));
    }
}
