//! What an upload takes its bytes from where that is no file.
//!
//! A reader is read once, ahead of the requests: a part can be sent when it is
//! there whole, and is kept until S3 has it. So an upload of unknown length needs
//! no temporary copy, and little memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use towline_core::{LocalFailure, PartNumber, PartPlan};

/// So many bytes are read ahead, at least one part.
const AHEAD: usize = 32 << 20;

/// The bytes of one upload.
pub struct Source {
    /// All of them, where they are in memory.
    bytes: Option<Bytes>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) begun: Option<Begun>,
    /// Parts that are whole and that S3 may not have yet.
    pub(super) held: BTreeMap<PartNumber, Bytes>,
    /// How many parts were made of it so far.
    pub(super) produced: u32,
    /// Some were given away already.
    pub(super) released: bool,
    /// It ended here.
    pub(super) ended: Option<u64>,
    pub(super) failed: Option<LocalFailure>,
    pub(super) closed: bool,
}

/// How an upload of a stream begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begun {
    /// With its length known.
    Known(u64),
    /// With this plan, its length unknown.
    Open(PartPlan),
}

/// What a source has for a part.
pub(crate) enum Given {
    /// Its bytes.
    Part(Bytes),
    /// The stream has ended, so that its plan must be closed first.
    Ended(u64),
}

impl Source {
    /// Bytes in memory. They can be sent as often as needed.
    pub fn bytes(bytes: Bytes) -> Self {
        let begun = Some(Begun::Known(bytes.len() as u64));
        Self {
            bytes: Some(bytes),
            state: Mutex::new(State {
                begun,
                ..State::default()
            }),
            changed: Notify::new(),
        }
    }

    /// A source that is filled from a [`Reading`](crate::Reading).
    pub fn reader() -> Self {
        Self {
            bytes: None,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits until it is known how the upload begins.
    pub(crate) async fn begun(&self) -> Result<Begun, LocalFailure> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if self.bytes.is_none() && state.released {
                    return Err(LocalFailure::SourceNotReopenable);
                }
                if let Some(failure) = &state.failed {
                    return Err(failure.clone());
                }
                if let Some(begun) = state.begun {
                    return Ok(begun);
                }
                if state.closed {
                    return Err(LocalFailure::SourceNotReopenable);
                }
            }
            changed.await;
        }
    }

    /// Whether [`begun`](Self::begun) has an answer now.
    pub(crate) fn has_begun(&self) -> bool {
        let state = self.state();
        state.begun.is_some() || state.failed.is_some() || state.released || state.closed
    }

    /// Whether asking for the part gives an answer now.
    pub(crate) fn is_ready(&self, part: PartNumber) -> bool {
        let state = self.state();
        let settled = state.failed.is_some() || state.ended.is_some();
        self.bytes.is_some() || settled || part.index() < state.produced
    }

    /// The bytes of a part that is ready.
    pub(crate) fn part(&self, part: PartNumber, plan: PartPlan) -> Result<Given, LocalFailure> {
        let state = self.state();
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        if let (true, Some(size)) = (plan.is_open(), state.ended) {
            return Ok(Given::Ended(size));
        }
        if let Some(bytes) = &self.bytes {
            let range = plan.range(part);
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            return Ok(Given::Part(bytes.slice(at(range.start)..at(range.end))));
        }
        let held = state.held.get(&part).cloned();
        held.map(Given::Part)
            .ok_or(LocalFailure::SourceNotReopenable)
    }

    /// All bytes, where they are in memory: of a reader, if they are one part.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        if self.bytes.is_some() {
            return self.bytes.clone();
        }
        let state = self.state();
        let one = state.ended.is_some() && state.produced == 1;
        let first = one.then(|| state.held.get(&PartNumber::FIRST));
        first.flatten().cloned()
    }

    /// S3 has a part: it needs to be kept no more.
    pub(crate) fn release(&self, part: PartNumber) {
        self.update(|state| {
            state.held.remove(&part);
            state.released = true;
        });
    }

    pub(crate) fn close(&self) {
        self.update(|state| {
            state.closed = true;
            state.held.clear();
        });
    }

    /// Waits until so much more may be in memory; false when the upload is over.
    pub(super) async fn has_room(&self, len: usize) -> bool {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if state.closed {
                    return false;
                }
                let held: usize = state.held.values().map(Bytes::len).sum();
                if held == 0 || held + len <= AHEAD {
                    return true;
                }
            }
            changed.await;
        }
    }

    /// Waits until the upload is over.
    pub(super) async fn closed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().closed {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}
