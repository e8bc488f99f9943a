//! Commits what the loop decided, in order, many steps at a time.

use std::sync::Arc;

use tokio::sync::mpsc;
use towline_core::{Change, Store, StoreError, TransferId};

use crate::event_loop::Message;

/// Steps on their way to the store, each with its place in the order.
pub(crate) struct Writer {
    steps: mpsc::UnboundedSender<(u64, TransferId, Vec<Change>)>,
    last: u64,
}

impl Writer {
    /// Starts the task that commits. It flushes at once when idle, and takes
    /// whatever has come meanwhile after each flush.
    pub(crate) fn start(store: Arc<dyn Store>, inbox: mpsc::UnboundedSender<Message>) -> Self {
        let (steps, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while waiting.recv_many(&mut taken, BATCH_MAX).await > 0 {
                let upto = taken.last().map_or(0, |(place, ..): &(u64, _, _)| *place);
                let batch = taken
                    .drain(..)
                    .map(|(_, id, changes)| (id, changes))
                    .collect();
                let (result, gone) = commit(&*store, batch).await;
                let failed = result.is_err();
                let flushed = Message::Flushed { upto, result, gone };
                if inbox.send(flushed).is_err() || failed {
                    return;
                }
            }
        });
        Self { steps, last: 0 }
    }

    /// Hands a step over; its place tells when it is durable.
    pub(crate) fn commit(&mut self, id: TransferId, changes: Vec<Change>) -> u64 {
        self.last += 1;
        // A writer that is gone has reported why.
        let _ = self.steps.send((self.last, id, changes));
        self.last
    }
}

/// Commits a batch without the transfers whose records were removed meanwhile,
/// and tells which those are.
async fn commit(
    store: &dyn Store,
    mut batch: Vec<(TransferId, Vec<Change>)>,
) -> (Result<(), StoreError>, Vec<TransferId>) {
    let mut gone = Vec::new();
    loop {
        match store.commit(batch.clone()).await {
            Err(StoreError::Unknown(id)) if !gone.contains(&id) => {
                batch.retain(|(of, _)| *of != id);
                gone.push(id);
            }
            result => return (result, gone),
        }
    }
}

/// Steps in one commit, at most.
const BATCH_MAX: usize = 4096;
