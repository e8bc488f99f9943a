//! How often the store is asked for changes.

use std::time::Duration;

use tokio::time::Instant;

const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_millis(10);

/// The pause after the store was asked: short for who waits for the end of one transfer,
/// longer while change follows change, so that several are read at once.
#[derive(Default)]
pub(crate) struct Breath {
    /// When the last one was over, and how long the next one is.
    last: Option<(Instant, Duration)>,
}

impl Breath {
    pub(crate) async fn take(&mut self) {
        let wait = match self.last {
            Some((over, next)) if over.elapsed() < 2 * MOST => next,
            _ => LEAST,
        };
        tokio::time::sleep(wait).await;
        self.last = Some((Instant::now(), MOST.min(2 * wait)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn taken(breath: &mut Breath) -> Duration {
        let begin = Instant::now();
        breath.take().await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_grows_while_change_follows_change_and_is_short_again_after_a_rest() {
        let mut breath = Breath::default();
        for millis in [1, 2, 4, 8, 10, 10] {
            assert_eq!(taken(&mut breath).await, Duration::from_millis(millis));
        }
        tokio::time::sleep(2 * MOST).await;
        assert_eq!(taken(&mut breath).await, LEAST);
    }
}
