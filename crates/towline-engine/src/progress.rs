//! Bytes as they move, counted beside the loop.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a transfer's acts have moved and not yet been confirmed for.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    in_flight: AtomicU64,
    ever: AtomicU64,
}

impl Progress {
    /// All bytes that ever moved, those of given up attempts too.
    pub(crate) fn ever(&self) -> u64 {
        self.ever.load(Relaxed)
    }

    /// Bytes under way, in no recorded part yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }
}

/// The bytes of one attempt: they count as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Moved {
    progress: std::sync::Arc<Progress>,
    bytes: AtomicU64,
    /// Bytes that came and are not wanted.
    skipped: AtomicU64,
}

impl Moved {
    pub(crate) fn of(progress: std::sync::Arc<Progress>) -> Self {
        Self {
            progress,
            bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.progress.in_flight.fetch_add(bytes, Relaxed);
        self.progress.ever.fetch_add(bytes, Relaxed);
    }

    /// They show that the connection is alive, and are no progress.
    pub(crate) fn skip(&self, bytes: u64) {
        self.skipped.fetch_add(bytes, Relaxed);
    }

    /// Bytes of this attempt so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed) + self.skipped.load(Relaxed)
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.progress
            .in_flight
            .fetch_sub(*self.bytes.get_mut(), Relaxed);
    }
}
