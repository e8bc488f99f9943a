//! Bytes as they move, counted beside the loop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use towline_core::PartNumber;

/// What a transfer's acts have moved and not yet been confirmed for.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    in_flight: AtomicU64,
    ever: AtomicU64,
    /// How many attempts wait for a cap on bandwidth.
    held: AtomicU64,
    /// Where the bytes of all transfers are counted.
    all: Option<Arc<AtomicU64>>,
    /// The parts that are being moved, and how far they are.
    parts: Mutex<BTreeMap<PartNumber, Arc<AtomicU64>>>,
}

impl Progress {
    /// One whose bytes are counted with those of all others too.
    pub(crate) fn counted(all: Arc<AtomicU64>) -> Self {
        Self {
            all: Some(all),
            ..Self::default()
        }
    }

    /// The parts that are being moved, and how far they are.
    pub(crate) fn parts(&self) -> BTreeMap<PartNumber, u64> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(part, bytes): (&PartNumber, &Arc<AtomicU64>)| (*part, bytes.load(Relaxed));
        parts.iter().map(read).collect()
    }

    /// All bytes that ever moved, those of given up attempts too.
    pub(crate) fn ever(&self) -> u64 {
        self.ever.load(Relaxed)
    }

    /// Whether a cap on bandwidth keeps any attempt waiting.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Relaxed) > 0
    }

    /// Bytes under way, in no recorded part yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }
}

/// The bytes of one attempt: they count as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Moved {
    progress: Arc<Progress>,
    part: Option<PartNumber>,
    bytes: Arc<AtomicU64>,
    /// Bytes that came and are not wanted.
    skipped: AtomicU64,
    /// How often a wait for a cap on bandwidth began or ended.
    holds: AtomicU64,
}

impl Moved {
    #[cfg(test)]
    pub(crate) fn of(progress: Arc<Progress>) -> Self {
        Self::new(progress, None)
    }

    /// An attempt to move a part.
    pub(crate) fn of_part(progress: Arc<Progress>, part: PartNumber) -> Self {
        Self::new(progress, Some(part))
    }

    fn new(progress: Arc<Progress>, part: Option<PartNumber>) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        if let Some(part) = part {
            let parts = progress.parts.lock();
            let mut parts = parts.unwrap_or_else(PoisonError::into_inner);
            parts.insert(part, Arc::clone(&bytes));
        }
        Self {
            progress,
            part,
            bytes,
            skipped: AtomicU64::new(0),
            holds: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.progress.in_flight.fetch_add(bytes, Relaxed);
        self.progress.ever.fetch_add(bytes, Relaxed);
        if let Some(all) = &self.progress.all {
            all.fetch_add(bytes, Relaxed);
        }
    }

    /// They show that the connection is alive, and are no progress.
    pub(crate) fn skip(&self, bytes: u64) {
        self.skipped.fetch_add(bytes, Relaxed);
    }

    /// It waits for a cap on bandwidth from now on.
    pub(crate) fn hold(&self) {
        self.holds.fetch_add(1, Relaxed);
        self.progress.held.fetch_add(1, Relaxed);
    }

    /// It does not wait any more.
    pub(crate) fn go_on(&self) {
        self.holds.fetch_add(1, Relaxed);
        self.progress.held.fetch_sub(1, Relaxed);
    }

    /// How often it was held up and went on: odd while it waits.
    pub(crate) fn holds(&self) -> u64 {
        self.holds.load(Relaxed)
    }

    /// Bytes of this attempt so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed) + self.skipped.load(Relaxed)
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Relaxed);
        self.progress.in_flight.fetch_sub(bytes, Relaxed);
        if let Some(part) = self.part {
            let parts = self.progress.parts.lock();
            let mut parts = parts.unwrap_or_else(PoisonError::into_inner);
            // Another attempt may have begun before this one was dropped.
            if parts
                .get(&part)
                .is_some_and(|it| Arc::ptr_eq(it, &self.bytes))
            {
                parts.remove(&part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_part_are_seen_while_it_is_moved_and_counted_for_good() {
        let all = Arc::new(AtomicU64::new(0));
        let progress = Arc::new(Progress::counted(Arc::clone(&all)));
        let part = PartNumber::new(3).unwrap();
        let first = Moved::of_part(Arc::clone(&progress), part);
        first.add(5);
        assert_eq!(progress.parts(), [(part, 5)].into());
        let second = Moved::of_part(Arc::clone(&progress), part);
        drop(first);
        second.add(7);
        assert_eq!(progress.parts(), [(part, 7)].into());
        assert_eq!((progress.in_flight(), progress.ever()), (7, 12));
        drop(second);
        assert_eq!((progress.parts(), all.load(Relaxed)), ([].into(), 12));
    }
}
