//! Caps on how fast bytes move, each way: of all transfers, and of groups of them.
//!
//! Bytes pass the cap of their group first and that of all then, so that the bytes
//! of a slow group keep no others waiting. Its parts hold slots, though: `acting.rs`
//! leaves the last one to those that have none. Where no transfer of a direction has a
//! cap, each buffer costs a look at one flag.

mod bucket;
mod pass;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use towline_core::{Direction, Spec};

use crate::clock::Clock;
use bucket::Bucket;

pub(crate) use pass::Pass;

/// Bytes a second; at least 1 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// A rate at which nothing would get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes_per_second} bytes a second are too few for a cap; take 1024 (1 KiB) or more")]
pub struct RateError {
    /// The rate asked for.
    pub bytes_per_second: u64,
}

impl Rate {
    /// The lowest: 1 KiB a second.
    pub const MIN: Self = Self(1 << 10);

    /// So many bytes a second; fails below [`Self::MIN`].
    pub const fn from_bytes_per_second(bytes_per_second: u64) -> Result<Self, RateError> {
        if bytes_per_second < Self::MIN.0 {
            return Err(RateError { bytes_per_second });
        }
        Ok(Self(bytes_per_second))
    }

    /// In bytes a second.
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }
}

/// Caps on how fast bytes move, together, each way. Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes of files and streams that are sent; `None` is no cap.
    pub upload: Option<Rate>,
    /// Bytes of objects that are received; `None` is no cap.
    pub download: Option<Rate>,
}

impl Bandwidth {
    /// No cap either way.
    pub const NONE: Self = Self {
        upload: None,
        download: None,
    };

    fn of(&mut self, direction: Direction) -> &mut Option<Rate> {
        match direction {
            Direction::Upload | Direction::Copy => &mut self.upload,
            Direction::Download => &mut self.download,
        }
    }
}

/// The caps of an engine. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Caps {
    up: Arc<Lane>,
    down: Arc<Lane>,
}

impl Caps {
    pub(crate) fn new(mut bandwidth: Bandwidth, clock: Clock) -> Self {
        let mut lane = |direction| {
            let lane = Lane::new(clock);
            lane.set(None, *bandwidth.of(direction));
            Arc::new(lane)
        };
        Self {
            up: lane(Direction::Upload),
            down: lane(Direction::Download),
        }
    }

    /// Sets the cap of a group, or of all transfers, or lifts it.
    pub(crate) fn set(&self, group: Option<&str>, direction: Direction, cap: Option<Rate>) {
        if direction != Direction::Copy {
            self.lane(direction).set(group, cap);
        }
    }

    /// The caps of all transfers.
    pub(crate) fn of_all(&self) -> Bandwidth {
        let rate = |lane: &Lane| lane.buckets().all.as_ref().map(Bucket::rate);
        Bandwidth {
            upload: rate(&self.up),
            download: rate(&self.down),
        }
    }

    /// The groups that have caps, and which.
    pub(crate) fn of_groups(&self) -> BTreeMap<String, Bandwidth> {
        let mut groups = BTreeMap::<String, Bandwidth>::new();
        for direction in [Direction::Upload, Direction::Download] {
            for (name, bucket) in &self.lane(direction).buckets().groups {
                let group = groups.entry(name.clone()).or_default();
                *group.of(direction) = Some(bucket.rate());
            }
        }
        groups
    }

    /// Whether a cap slows the bytes of such a transfer.
    pub(crate) fn slow(&self, spec: &Spec) -> bool {
        let lane = self.lane(spec.direction);
        if !lane.is_capped() || spec.direction == Direction::Copy {
            return false;
        }
        let (buckets, group) = (lane.buckets(), spec.group.as_ref());
        buckets.all.is_some() || group.is_some_and(|group| buckets.groups.contains_key(group))
    }

    pub(crate) fn lane(&self, direction: Direction) -> &Arc<Lane> {
        match direction {
            // No byte of a copy passes here.
            Direction::Upload | Direction::Copy => &self.up,
            Direction::Download => &self.down,
        }
    }
}

/// The caps of one direction.
pub(crate) struct Lane {
    clock: Clock,
    /// Whether there is any.
    is_capped: AtomicBool,
    buckets: Mutex<Buckets>,
    /// Wakes all who wait, as a cap is another one.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Buckets {
    all: Option<Bucket>,
    groups: BTreeMap<String, Bucket>,
    /// Counts them, so that no place is taken for one of another line.
    series: u64,
}

impl Lane {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            is_capped: AtomicBool::new(false),
            buckets: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn set(&self, group: Option<&str>, cap: Option<Rate>) {
        let now = self.clock.monotonic();
        {
            let mut buckets = self.buckets();
            buckets.set(group, cap, now);
            let is_capped = buckets.all.is_some() || !buckets.groups.is_empty();
            self.is_capped.store(is_capped, Relaxed);
        }
        self.changed.send_replace(());
    }

    fn is_capped(&self) -> bool {
        self.is_capped.load(Relaxed)
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn set(&mut self, group: Option<&str>, cap: Option<Rate>, now: Duration) {
        self.series += 1;
        let was = match group {
            None => self.all.take(),
            Some(name) => self.groups.remove(name),
        };
        let Some(rate) = cap else {
            return;
        };
        let bucket = match was {
            Some(mut bucket) => {
                bucket.set_rate(rate, self.series, now);
                bucket
            }
            None => Bucket::new(rate, self.series, now),
        };
        match group {
            None => self.all = Some(bucket),
            Some(name) => drop(self.groups.insert(name.to_owned(), bucket)),
        }
    }
}
