//! What a simulated store was asked, when, and what became of it.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use towline_core::{Operation, Timestamp};

use super::faults::Fault;
use super::trace::Trace;

/// One request. Times are those since the store was made.
#[derive(Clone, Debug)]
pub struct Request {
    /// The place in the trace where it began …
    pub place: u64,
    /// … and where it ended.
    pub end_place: Option<u64>,
    /// Which client asked, counted from 1.
    pub client: u32,
    /// When its client began with it.
    pub at: Duration,
    /// When it ended; `None` while it is under way.
    pub ended: Option<Duration>,
    /// What was asked.
    pub operation: Operation,
    /// Of which object.
    pub key: String,
    /// Of which upload.
    pub upload: Option<String>,
    /// Of which part.
    pub part: Option<u32>,
    /// It was signed as of then, where not as of now.
    pub signed_as_of: Option<Timestamp>,
    /// Which bytes.
    pub range: Option<Range<u64>>,
    /// How many bytes of content moved.
    pub bytes: u64,
    /// When the last of them did.
    pub moved_at: Option<Duration>,
    /// What became of it.
    pub end: End,
    /// What was done to it, if anything.
    pub fault: Option<Fault>,
    /// It stored an object.
    pub made: bool,
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
    trace: Trace,
    all: Arc<Mutex<Vec<Request>>>,
}

impl History {
    pub(super) fn new(trace: Trace) -> Self {
        Self {
            trace,
            all: Arc::default(),
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.lock().clone()
    }

    pub(super) fn begin(
        &self,
        client: u32,
        operation: Operation,
        key: &str,
        note: impl FnOnce(&mut Request),
    ) -> Entry {
        let mut request = Request {
            place: 0,
            end_place: None,
            client,
            at: self.trace.elapsed(),
            ended: None,
            operation,
            key: key.to_owned(),
            upload: None,
            part: None,
            signed_as_of: None,
            range: None,
            bytes: 0,
            moved_at: None,
            end: End::UnderWay,
            fault: None,
            made: false,
        };
        note(&mut request);
        let mut all = self.lock();
        let number = all.len();
        request.place = self.trace.note(format_args!(
            "s3: request {number} of client {client}: {operation} {key} {:?} {:?} {:?}",
            request.upload, request.part, request.range
        ));
        all.push(request);
        Entry {
            history: self.clone(),
            place: all.len() - 1,
        }
    }

    /// The request stored an object.
    pub(super) fn made(&self, place: usize) {
        if let Some(request) = self.lock().get_mut(place) {
            request.made = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way; given up when it is dropped before it ended.
pub(super) struct Entry {
    history: History,
    pub(super) place: usize,
}

impl Entry {
    pub(super) fn note(&self, what: impl FnOnce(&mut Request)) {
        what(&mut self.history.lock()[self.place]);
    }

    pub(super) fn signed_as_of(&self) -> Option<Timestamp> {
        self.history.lock()[self.place].signed_as_of
    }

    pub(super) fn moved(&self, bytes: usize) {
        let now = self.history.trace.elapsed();
        self.note(|request| {
            request.bytes += bytes as u64;
            request.moved_at = Some(now);
        });
    }

    pub(super) fn end(&self, end: End) {
        let (trace, place) = (self.history.trace.clone(), self.place);
        let now = trace.elapsed();
        self.note(|request| {
            if request.end == End::UnderWay {
                let (bytes, fault) = (request.bytes, &request.fault);
                let what = format_args!("s3: request {place}: {end:?}, {bytes} bytes, {fault:?}");
                request.end_place = Some(trace.note(what));
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
