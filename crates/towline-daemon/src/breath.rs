//! How often the store is asked for changes.

use std::time::Duration;

use tokio::time::Instant;

/// So many times it is asked at once, after a rest: one transfer is recorded, begins and ends.
const AT_ONCE: u32 = 4;
const MOST: Duration = Duration::from_millis(10);

/// The pause after the store was asked: none for who waits for the end of one transfer,
/// longer while change follows change, so that several are read at once.
#[derive(Default)]
pub(crate) struct Breath {
    /// How many came in a row, and when the last one was over.
    row: u32,
    over: Option<Instant>,
}

impl Breath {
    pub(crate) async fn take(&mut self) {
        if self.over.is_none_or(|over| over.elapsed() >= 2 * MOST) {
            self.row = 0;
        }
        if let Some(longer) = self.row.checked_sub(AT_ONCE) {
            // From the fifth pause on it would be more than MOST.
            let wait = Duration::from_millis(1 << longer.min(4));
            tokio::time::sleep(wait.min(MOST)).await;
        }
        self.row = self.row.saturating_add(1);
        self.over = Some(Instant::now());
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
    async fn it_grows_while_change_follows_change_and_there_is_none_again_after_a_rest() {
        let mut breath = Breath::default();
        for millis in [0, 0, 0, 0, 1, 2, 4, 8, 10, 10] {
            assert_eq!(taken(&mut breath).await, Duration::from_millis(millis));
        }
        tokio::time::sleep(2 * MOST).await;
        assert_eq!(taken(&mut breath).await, Duration::ZERO);
    }
}
