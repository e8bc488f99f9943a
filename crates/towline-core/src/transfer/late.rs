//! A Complete whose answer is not known may be applied long after it was sent.

use std::time::Duration;

/// How long its object is looked for by default.
const LIMIT: Duration = Duration::from_secs(600);

/// What may still come of a Complete of this generation.
#[derive(Clone, Debug)]
pub(super) struct Late {
    /// One was sent whose answer is not known.
    pub(super) possible: bool,
    looks: u32,
    /// How long it was waited for, at most.
    waited: Duration,
    limit: Duration,
}

impl Late {
    pub(super) fn new(possible: bool) -> Self {
        Self {
            possible,
            looks: 0,
            waited: Duration::ZERO,
            limit: LIMIT,
        }
    }

    pub(super) fn limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Another generation, which has sent none.
    pub(super) fn begin_anew(&mut self) {
        self.possible = false;
        self.look_from_the_start();
    }

    /// The upload is open: whatever was waited for did not come.
    pub(super) fn look_from_the_start(&mut self) {
        self.looks = 0;
        self.waited = Duration::ZERO;
    }

    /// How long to wait before the next look, at most; `None` when there is
    /// nothing to wait for any more.
    pub(super) fn next_wait(&mut self) -> Option<Duration> {
        if !self.possible || self.waited >= self.limit {
            return None;
        }
        let wait = crate::retry::resolve_wait(self.looks);
        self.looks += 1;
        self.waited += wait;
        Some(wait)
    }
}

impl Default for Late {
    fn default() -> Self {
        Self::new(false)
    }
}
