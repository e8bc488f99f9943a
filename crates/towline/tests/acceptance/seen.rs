//! What an observer shows of one transfer, written down from the start.

use std::sync::{Arc, Mutex};

use towline::{State, Transfer, TransferObserver};

/// Every update so far.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Transfer>>>);

impl Seen {
    pub(crate) fn of(observer: &TransferObserver) -> Self {
        let seen = Self::default();
        let (mut updates, all) = (observer.updates(), Arc::clone(&seen.0));
        tokio::spawn(async move {
            while let Some(transfer) = updates.next().await {
                all.lock().unwrap().push(transfer);
            }
        });
        seen
    }

    pub(crate) fn all(&self) -> Vec<Transfer> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until it was seen in this state.
    pub(crate) async fn comes(&self, state: State) {
        let what = format!("seen as {state}");
        crate::until(&what, || self.count(state) > 0).await;
    }

    pub(crate) fn count(&self, state: State) -> usize {
        let all = self.all();
        all.iter().filter(|seen| seen.state == state).count()
    }

    /// The states in order, each run of one as one.
    pub(crate) fn states(&self) -> Vec<State> {
        let mut states: Vec<_> = self.all().iter().map(|seen| seen.state).collect();
        states.dedup();
        states
    }

    /// What docs/semantics.md promises of progress: never above the total, never
    /// down but for a pause or a new generation, all of it only when completed.
    pub(crate) fn progress_is_honest(&self) {
        let all = self.all();
        for seen in &all {
            let total = seen.bytes_total.unwrap_or(u64::MAX);
            let whole = seen.state == State::Completed;
            assert!(
                if whole {
                    seen.bytes_transferred == total
                } else {
                    seen.bytes_transferred < total.max(1)
                },
                "{seen:?}"
            );
        }
        for pair in all.windows(2) {
            let [before, after] = pair else { continue };
            let flagged = after.generation > before.generation
                || (after.state == State::Paused && before.state != State::Paused);
            assert!(
                flagged || after.bytes_transferred >= before.bytes_transferred,
                "down: {before:?}, then {after:?}"
            );
        }
    }
}
