//! What a simulated store was asked, when, and what became of it.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use towline_core::Operation;

/// One request. Times are those since the store was made.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its client began with it.
    pub at: Duration,
    /// When it ended; `None` while it is under way.
    pub ended: Option<Duration>,
    /// What was asked.
    pub operation: Operation,
    /// Of which object.
    pub key: String,
    /// Of which part.
    pub part: Option<u32>,
    /// Which bytes.
    pub range: Option<Range<u64>>,
    /// How many bytes of content moved.
    pub bytes: u64,
    /// When the last of them did.
    pub moved_at: Option<Duration>,
    /// What became of it.
    pub end: End,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is under way.
    UnderWay,
    /// Its client gave it up.
    GivenUp,
    /// There was no connection, or it broke.
    NoAnswer,
    /// It was refused, with this status and code.
    Refused(u16, String),
    /// It was done, and its client heard so.
    Done,
}

/// All requests, oldest first.
#[derive(Clone)]
pub(super) struct History {
    start: Instant,
    all: Arc<Mutex<Vec<Request>>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            all: Arc::default(),
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.lock().clone()
    }

    pub(super) fn begin(&self, operation: Operation, key: &str) -> Entry {
        let request = Request {
            at: self.start.elapsed(),
            ended: None,
            operation,
            key: key.to_owned(),
            part: None,
            range: None,
            bytes: 0,
            moved_at: None,
            end: End::UnderWay,
        };
        let mut all = self.lock();
        all.push(request);
        Entry {
            history: self.clone(),
            place: all.len() - 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way; given up when it is dropped before it ended.
pub(super) struct Entry {
    history: History,
    place: usize,
}

impl Entry {
    pub(super) fn note(&self, what: impl FnOnce(&mut Request)) {
        what(&mut self.history.lock()[self.place]);
    }

    pub(super) fn moved(&self, bytes: usize) {
        let now = self.history.start.elapsed();
        self.note(|request| {
            request.bytes += bytes as u64;
            request.moved_at = Some(now);
        });
    }

    pub(super) fn end(&self, end: End) {
        let now = self.history.start.elapsed();
        self.note(|request| {
            if request.end == End::UnderWay {
                request.end = end;
                request.ended = Some(now);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(End::GivenUp);
    }
}
