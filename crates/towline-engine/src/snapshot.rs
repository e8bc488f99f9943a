//! What can be seen of a transfer while it runs.

use tokio::sync::watch;
use towline_core::{Record, Status};

/// A transfer at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is stored of it.
    pub record: Record,
    /// The state to show, with its reason.
    pub status: Status,
    /// Bytes to show: recorded ones and those under way. Goes down only with a
    /// new generation, and reaches the total only when the transfer is done.
    pub bytes_transferred: u64,
    /// Whether its store has ever answered this process.
    pub store_answered: bool,
}

impl Snapshot {
    /// A transfer that nobody runs, as its store has it.
    pub fn at_rest(record: Record) -> Self {
        Self {
            status: Status::at_rest(record.phase),
            bytes_transferred: record.bytes_done,
            store_answered: false,
            record,
        }
        .settled()
    }

    /// A completed transfer shows all its bytes; an unfinished one never does.
    pub(crate) fn settled(mut self) -> Self {
        if let Some(total) = self.record.bytes_total() {
            let done = self.record.phase == towline_core::Phase::Completed;
            let most = if done { total } else { total.saturating_sub(1) };
            self.bytes_transferred = if done {
                total
            } else {
                self.bytes_transferred.min(most)
            };
        }
        self
    }
}

/// Follows one transfer. States in between coalesce; the last one is never lost.
#[derive(Clone, Debug)]
pub struct Watch(pub(crate) watch::Receiver<Snapshot>);

impl Watch {
    /// The transfer as it is now.
    pub fn now(&self) -> Snapshot {
        self.0.borrow().clone()
    }

    /// Waits for the next change; `None` when there will be none: the transfer
    /// is final or paused and was seen so, or the engine has stopped.
    pub async fn next(&mut self) -> Option<Snapshot> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}
