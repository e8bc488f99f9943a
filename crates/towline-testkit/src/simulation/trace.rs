//! What happened in a simulation, a line each, in order: two runs of one seed
//! have the same trace, byte for byte.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The trace of one world. Clones are the same one.
#[derive(Clone)]
pub struct Trace {
    start: Instant,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    text: String,
    count: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            lines: Arc::default(),
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl Trace {
    /// Adds a line, and gives its number.
    pub fn note(&self, what: fmt::Arguments<'_>) -> u64 {
        let at = self.elapsed();
        let mut lines = self.lines();
        lines.count += 1;
        let (count, ms) = (lines.count, at.as_millis());
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines.text,
            "{count:5} {:>7}.{:03} {what}",
            ms / 1000,
            ms % 1000
        );
        count
    }

    /// All lines.
    pub fn text(&self) -> String {
        self.lines().text.clone()
    }

    /// The number of the last line.
    pub fn now(&self) -> u64 {
        self.lines().count
    }

    /// The time since it began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
