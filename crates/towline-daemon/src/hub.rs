//! What changes, read once for all who follow: states from the store, none of
//! them lost, and how far transfers are, from the engine.
//!
//! Nothing is kept for one who does not read. The last few messages are shared
//! by all; who has fallen behind them reads on from the store, by its cursor.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, broadcast};
use tokio::time::Instant;
use towline::{ChangeFilter, Cursor, Error, Reason, TransferChange, TransferId, TransferUtility};

use crate::api::Event;
use crate::breath::Breath;
use crate::sse;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// Changes that are read at one time.
pub(crate) const PAGE: usize = 64;
/// Messages that are shared.
const KEPT: usize = 64;
/// How many of those who have fallen behind read at one time.
const READERS: usize = 2;

/// A change, as it is sent; of which transfer, or `None` of a group.
pub(crate) type Frame = (Option<TransferId>, Bytes);

/// Some changes, for all who follow.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Told to who has read up to here...
    pub(crate) after: Cursor,
    /// ...and then has read up to here. The same where only progress is told.
    pub(crate) upto: Cursor,
    pub(crate) frames: Vec<Frame>,
}

/// Reads for all who follow, while anybody does.
pub(crate) struct Hub {
    utility: TransferUtility,
    /// Held while the store is read for all.
    reading: Mutex<Option<Reading>>,
    readers: Semaphore,
}

/// How far the store is read for all who follow.
struct Reading {
    upto: Cursor,
    /// With it the streams of all who follow end.
    messages: broadcast::Sender<Arc<Message>>,
}

impl Hub {
    pub(crate) fn new(utility: TransferUtility) -> Arc<Self> {
        Arc::new(Self {
            utility,
            reading: Mutex::new(None),
            readers: Semaphore::new(READERS),
        })
    }

    /// What comes from now on.
    pub(crate) async fn join(self: &Arc<Self>) -> Result<broadcast::Receiver<Arc<Message>>, Error> {
        let mut reading = self.reading.lock().await;
        if let Some(reading) = &*reading {
            return Ok(reading.messages.subscribe());
        }
        let upto = self.utility.changes(None, 0).await?.1;
        let (messages, joined) = broadcast::channel(KEPT);
        *reading = Some(Reading { upto, messages });
        tokio::spawn(Arc::clone(self).run());
        Ok(joined)
    }

    /// A page of changes after a cursor, for one who has fallen behind, and whether
    /// there may be more.
    pub(crate) async fn catch_up(
        &self,
        after: Cursor,
    ) -> Result<(Vec<Frame>, Cursor, bool), Error> {
        let (frames, cursor) = self.page_of(after, ChangeFilter::default()).await?;
        let more = frames.len() == PAGE;
        Ok((frames, cursor, more))
    }

    /// A page of those changes after a cursor that a filter takes.
    pub(crate) async fn page_of(
        &self,
        after: Cursor,
        filter: ChangeFilter,
    ) -> Result<(Vec<Frame>, Cursor), Error> {
        let _turn: Option<SemaphorePermit<'_>> = self.readers.acquire().await.ok();
        let page = self.utility.changes_of(Some(after), PAGE, filter).await?;
        Ok((page.0.into_iter().map(frame).collect(), page.1))
    }

    /// Until nobody follows any more, or the utility is closed.
    async fn run(self: Arc<Self>) {
        let mut durable = self.utility.durable();
        let mut told = HashMap::new();
        let mut next_look = Instant::now();
        let mut breath = Breath::default();
        loop {
            // Progress first: a store that always changes is no reason to tell none.
            let looked = tokio::select! {
                biased;
                () = tokio::time::sleep_until(next_look) => {
                    next_look = Instant::now() + PROGRESS;
                    self.look(&mut told).await
                }
                changed = durable.changed() => match changed {
                    Ok(()) => self.read_changes(&mut told, &mut breath).await,
                    Err(_) => Err(Error::Closed),
                },
            };
            // Under the lock: who joins after this starts anew.
            let mut reading = self.reading.lock().await;
            let followed = |reading: &Reading| reading.messages.receiver_count() > 0;
            if let Err(error) = looked {
                if !matches!(error, Error::Closed) {
                    tracing::warn!(%error, "event streams end");
                }
                *reading = None;
                return;
            }
            if !reading.as_ref().is_some_and(followed) {
                *reading = None;
                return;
            }
        }
    }

    async fn read_changes(&self, told: &mut Told, breath: &mut Breath) -> Result<(), Error> {
        let mut reading = self.reading.lock().await;
        while let Some(reading) = &mut *reading {
            let after = reading.upto;
            let (changes, upto) = self.utility.changes(Some(after), PAGE).await?;
            let more = changes.len() == PAGE;
            for change in &changes {
                if let TransferChange::Changed(transfer) = change {
                    told.remove(&transfer.id);
                }
            }
            reading.upto = upto;
            let frames: Vec<_> = changes.into_iter().map(frame).collect();
            if upto != after {
                reading.tell(after, frames);
            }
            if !more {
                break;
            }
        }
        drop(reading);
        breath.take().await;
        Ok(())
    }

    /// How far those under way are.
    async fn look(&self, told: &mut Told) -> Result<(), Error> {
        let reading = self.reading.lock().await;
        let Some(reading) = &*reading else {
            return Ok(());
        };
        let moving = self.utility.under_way().await?;
        let mut seen = HashMap::with_capacity(moving.len());
        let mut frames = Vec::new();
        for transfer in moving {
            let now = (transfer.bytes_transferred, transfer.reason);
            let id = transfer.id;
            if told.get(&id) != Some(&now) {
                frames.push((Some(id), sse::write(&Event::Transfer(Box::new(transfer)))));
            }
            seen.insert(id, now);
        }
        *told = seen;
        while !frames.is_empty() {
            let rest = frames.split_off(frames.len().min(PAGE));
            reading.tell(reading.upto, std::mem::replace(&mut frames, rest));
        }
        Ok(())
    }
}

impl Reading {
    fn tell(&self, after: Cursor, frames: Vec<Frame>) {
        let message = Message {
            after,
            upto: self.upto,
            frames,
        };
        // Nobody may be there to hear it.
        let _ = self.messages.send(Arc::new(message));
    }
}

/// What was told of those under way.
type Told = HashMap<TransferId, (u64, Option<Reason>)>;

fn frame(change: TransferChange) -> Frame {
    match change {
        TransferChange::Changed(transfer) => {
            (Some(transfer.id), sse::write(&Event::Transfer(transfer)))
        }
        TransferChange::Removed(id) => (Some(id), sse::write(&Event::Removed(id))),
        TransferChange::Group(group) => (None, sse::write(&Event::Group(group))),
    }
}
