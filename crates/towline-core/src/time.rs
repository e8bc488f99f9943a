//! Time as it is passed in; nothing here reads a clock.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A moment of the wall clock, in milliseconds since 1970 (UTC). For what is
/// stored and shown; never for measuring how long something took.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved by whole seconds, negative ones to the past.
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_millis(secs.saturating_mul(1000))
    }

    /// This moment moved by milliseconds, negative ones to the past.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }
}

/// The clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since some start, never going back: for waits and deadlines.
    pub monotonic: Duration,
    /// The wall clock, for what is stored.
    pub wall: Timestamp,
    /// S3's wall clock as far as it is known: what requests are signed by, and
    /// what is stored to be compared with what S3 tells of its own times.
    pub server: Timestamp,
}
