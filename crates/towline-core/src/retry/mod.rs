//! What a failure means, decided in one place.
//!
//! Three tables say what each failure means: [`answers`] for what S3 answers,
//! [`unanswered`] for requests that got no answer of S3's, [`local`] for this
//! machine. What went before then turns the meaning into a [`Reaction`]. The
//! page `docs/failures.md` says the same, and a test holds it to the tables.

mod answers;
mod local;
mod meaning;
#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
mod unanswered;

use std::time::Duration;

use self::meaning::Meaning;
use crate::{Failure, ParkReason, S3ErrorKind, Timestamp};

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// A: the same again after a random wait of at most `up_to`, at least `at_least`.
    Retry {
        /// The longest wait; the engine draws between `at_least` and this.
        up_to: Duration,
        /// S3 asked for this much patience.
        at_least: Duration,
        /// Whether it is evidence against this item and spends an attempt.
        costs: bool,
    },
    /// B: put this right, then once more.
    Fix(Fix),
    /// C: everything from zero, as a new generation.
    Restart,
    /// D: wait until the cause ends; costs no attempt.
    Park(ParkReason),
    /// E: trying again later, by hand, may help; what was moved is kept.
    GiveUp,
    /// E: it will not get better; what was moved is of no use any more.
    Fail,
    /// F: S3 may have done it; ask.
    Resolve,
}

/// What can be put right without a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Read the credentials again.
    Credentials,
    /// Sign by the server's clock, which read this.
    Clock(Timestamp),
    /// Sign for, and send to, this region.
    Region(String),
    /// Send for a while where this URL points, which is within the endpoint.
    Redirect(String),
}

/// What went before, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Failures of this item in a row, without any progress, this one not counted.
    pub in_a_row: u32,
    /// Those of them that are evidence against the item.
    pub strikes: u32,
    /// Those of these that are forgiven only a few times: wrong bytes, answers
    /// that nobody knows.
    pub odd: u32,
    /// How many strikes are forgiven; the next one ends the transfer.
    pub limit: u32,
    /// What was put right, and failed again.
    pub fixed: Fixed,
}

/// What was put right since the item last succeeded. Each helps once or never,
/// but for redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of `Fix`
pub struct Fixed {
    pub credentials: bool,
    pub clock: bool,
    pub region: bool,
    /// How many were followed.
    pub redirects: u32,
}

impl History {
    /// The default of `limit`.
    pub const DEFAULT_LIMIT: u32 = 8;

    /// Nothing went before.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// What went before the next failure, now that there was this one.
    pub fn and(mut self, failure: &Failure, reaction: &Reaction) -> Self {
        let before = self;
        self.in_a_row += 1;
        match reaction {
            Reaction::Retry { costs: true, .. } | Reaction::Resolve => {
                let meaning = meaning_of(failure);
                self.strikes += u32::from(!meaning.asks_free(before));
                self.odd += u32::from(meaning.is_odd());
            }
            Reaction::Fix(fix) => match fix {
                Fix::Credentials => self.fixed.credentials = true,
                Fix::Clock(_) => self.fixed.clock = true,
                Fix::Region(_) => self.fixed.region = true,
                Fix::Redirect(_) => self.fixed.redirects += 1,
            },
            _ => {}
        }
        self
    }
}

/// Decides what to do about a failure.
pub fn react(failure: &Failure, history: History) -> Reaction {
    let facts = match failure {
        Failure::S3(error) => Some(&**error),
        Failure::Local(_) => None,
    };
    let reaction = meaning_of(failure).reaction(facts, history);
    match reaction {
        Reaction::Retry { costs: true, .. } if history.strikes >= history.limit => Reaction::GiveUp,
        other => other,
    }
}

fn meaning_of(failure: &Failure) -> Meaning {
    match failure {
        Failure::Local(local) => local::meaning(local),
        Failure::S3(error) if error.kind == S3ErrorKind::Answer => answers::meaning(error),
        Failure::S3(error) => unanswered::meaning(error),
    }
}

/// The first wait is at most this.
const BACKOFF_BASE: Duration = Duration::from_millis(200);
/// No wait of our own is longer than this.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// No server makes us wait longer than this.
const PATIENCE_CAP: Duration = Duration::from_secs(300);

/// How long to wait before asking S3 what became of a lost request: a late one
/// may still be applied.
pub(crate) fn resolve_wait(in_a_row: u32) -> Duration {
    backoff(in_a_row)
}

fn backoff(in_a_row: u32) -> Duration {
    BACKOFF_BASE
        .saturating_mul(1 << in_a_row.min(16))
        .min(BACKOFF_CAP)
}
