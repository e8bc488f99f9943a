//! Commits what the loop decided, in order, many steps at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use towline_core::{Change, Incident, Store, StoreError, TransferId};

use crate::event_loop::Message;
use crate::meter::Meter;
use crate::tasks::Tasks;

/// Steps on their way to the store, each with its place in the order.
pub(crate) struct Writer {
    steps: mpsc::UnboundedSender<Entry>,
    last: u64,
}

/// What one step leaves in the store.
struct Entry {
    place: u64,
    id: TransferId,
    changes: Vec<Change>,
    incidents: Vec<Incident>,
}

impl Writer {
    /// Starts the task that commits. It flushes at once when idle, and takes
    /// whatever has come meanwhile after each flush; after a flush of many it lets
    /// more come together first.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        inbox: mpsc::UnboundedSender<Message>,
        tasks: &Tasks,
        meter: Arc<Meter>,
    ) -> Self {
        let (steps, mut waiting) = mpsc::unbounded_channel();
        tasks.spawn(async move {
            let mut taken: Vec<Entry> = Vec::new();
            while waiting.recv_many(&mut taken, BATCH_MAX).await > 0 {
                let upto = taken.last().map_or(0, |entry| entry.place);
                let is_busy = taken.len() >= MANY;
                let (mut batch, mut notes) = (Vec::new(), Vec::new());
                for entry in taken.drain(..) {
                    let incidents = entry.incidents.into_iter();
                    notes.extend(incidents.map(|incident| note(&*store, entry.id, incident)));
                    if !entry.changes.is_empty() {
                        batch.push((entry.id, entry.changes));
                    }
                }
                // At the same time, so that they share a sync.
                let notes = futures_util::future::join_all(notes);
                let (begun, writes) = (Instant::now(), !batch.is_empty());
                let (_, (result, gone)) = tokio::join!(notes, commit(&*store, batch));
                if writes {
                    meter.committed(begun.elapsed());
                }
                let failed = result.is_err();
                let flushed = Message::Flushed { upto, result, gone };
                if inbox.send(flushed).is_err() || failed {
                    return;
                }
                if is_busy {
                    tokio::time::sleep(GATHERING).await;
                }
            }
        });
        Self { steps, last: 0 }
    }

    /// Hands a step over; its place tells when it is durable.
    pub(crate) fn commit(
        &mut self,
        id: TransferId,
        changes: Vec<Change>,
        incidents: Vec<Incident>,
    ) -> u64 {
        self.last += 1;
        // A writer that is gone has reported why.
        let _ = self.steps.send(Entry {
            place: self.last,
            id,
            changes,
            incidents,
        });
        self.last
    }
}

/// Incidents are for people to read: one that is not kept stops nothing.
async fn note(store: &dyn Store, id: TransferId, incident: Incident) {
    if let Err(error) = store.note(id, incident).await {
        tracing::debug!(transfer = %id, %error, "an incident was not kept");
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
        if batch.is_empty() {
            return (Ok(()), gone);
        }
        towline_core::failpoint!(before & batch);
        let committed = store.commit(batch.clone()).await;
        towline_core::failpoint!(after & batch);
        match committed {
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
/// So many in one commit, and the next is worth a wait: each costs a sync, a few
/// threads woken, and the pages of the store that it touches.
const MANY: usize = 8;
const GATHERING: Duration = Duration::from_millis(3);
