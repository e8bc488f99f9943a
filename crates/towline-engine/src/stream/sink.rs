//! Where a download's bytes go that go to no file: its parts arrive in any order
//! and are taken in theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use towline_core::{Checksum, ChecksumAlgorithm, LocalFailure, PartNumber};

use crate::hash::Hasher;

/// So many parts may be there or under way that were not taken yet.
const WINDOW: u32 = 4;

/// The bytes of one download, as they are taken out of it.
pub struct Sink {
    state: Mutex<State>,
    changed: Notify,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<PartNumber, Bytes>,
    /// How many parts were taken.
    taken: u32,
    delivered: u64,
    /// What all bytes together are proven by, where their parts cannot tell.
    whole: Option<Hasher>,
    /// All parts are there.
    complete: bool,
    closed: bool,
    abandoned: bool,
}

impl Sink {
    /// An empty one, which says with `wake` that there is room again.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            wake: Box::new(wake),
        }
    }

    /// The next bytes; `None` when there are no more: the transfer has all, or
    /// is over.
    pub async fn next(&self) -> Option<Bytes> {
        loop {
            let changed = self.changed.notified();
            if let Some(next) = self.take() {
                (self.wake)();
                return Some(next);
            }
            {
                let state = self.state();
                if state.closed || (state.complete && state.waiting.is_empty()) {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// How many bytes were taken.
    pub fn delivered(&self) -> u64 {
        self.state().delivered
    }

    /// Nobody will take any more: the transfer fails if there are.
    pub fn abandon(&self) {
        self.state().abandoned = true;
        (self.wake)();
    }

    fn take(&self) -> Option<Bytes> {
        let mut state = self.state();
        let next = PartNumber::from_index(state.taken);
        let bytes = state.waiting.remove(&next)?;
        state.taken += 1;
        state.delivered += bytes.len() as u64;
        if let Some(whole) = &mut state.whole {
            whole.update(&bytes);
        }
        Some(bytes)
    }

    pub(crate) fn has_room(&self, part: PartNumber) -> bool {
        let state = self.state();
        state.abandoned || part.index() < state.taken + WINDOW
    }

    /// A generation begins, and all its bytes are to be summed by this on their
    /// way. Fails when some of an earlier one were taken.
    pub(crate) fn begin(&self, whole: Option<ChecksumAlgorithm>) -> Result<(), LocalFailure> {
        let mut state = self.state();
        if state.taken > 0 {
            return Err(LocalFailure::TargetNotReopenable);
        }
        state.waiting.clear();
        state.complete = false;
        state.whole = whole.map(Hasher::new);
        Ok(())
    }

    /// Takes in a part; one that is there already is left out.
    pub(crate) fn put(&self, part: PartNumber, bytes: Bytes) -> Result<(), LocalFailure> {
        let mut state = self.state();
        if state.abandoned {
            return Err(LocalFailure::TargetNotReopenable);
        }
        if part.index() >= state.taken {
            state.waiting.insert(part, bytes);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// All parts are there: the sum of all bytes, if they are summed. Those that
    /// were not taken yet are summed too.
    pub(crate) fn complete(&self) -> Option<Checksum> {
        let mut state = self.state();
        state.complete = true;
        let mut whole = state.whole.clone();
        if let Some(whole) = &mut whole {
            state.waiting.values().for_each(|bytes| whole.update(bytes));
        }
        drop(state);
        self.changed.notify_waiters();
        whole.map(Hasher::finish)
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}
