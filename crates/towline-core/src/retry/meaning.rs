//! What a failure can mean, and what follows from it after what went before.

use std::time::Duration;

use super::{Fix, History, PATIENCE_CAP, Reaction, backoff};
use crate::{ParkReason, S3Error};

/// How often what is odd is forgiven in a row.
pub(super) const FEW: u32 = 3;

/// How many failures in a row may be free: there are no more dead connections
/// than that, and what still fails so has another cause.
const FREE: u32 = 16;

/// What a failure means. The names in `docs/failures.md` are those of [`Self::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It may pass: the same again, up to the limit.
    Again,
    /// It says nothing about the item: the same again at once.
    AgainFree,
    /// It says nothing about the item, but S3 may have done it: ask.
    AskFree,
    /// Too much was asked of S3: the same again, slower.
    Slower,
    /// Nobody knows what it means: a few times more, then give up.
    AFewTimes,
    /// Bytes were damaged: a few times more, then it is no accident.
    Damaged,
    /// Read the credentials again, then wait for others.
    Credentials,
    /// Sign by the server's clock, then wait until ours is right.
    Clock,
    /// Ask in the region that was named.
    Region,
    /// Ask the host that was named.
    Redirect,
    /// From zero, as a new generation.
    Restart,
    /// Ask S3 what became of it.
    Ask,
    /// The same, a few times.
    AskAFewTimes,
    /// Wait until the cause ends.
    Wait(ParkReason),
    /// A person may mend it.
    GiveUp,
    /// It will not get better.
    Fail,
}

impl Meaning {
    /// Whether it is forgiven only a few times.
    pub(super) fn is_odd(self) -> bool {
        matches!(self, Self::AFewTimes | Self::Damaged | Self::AskAFewTimes)
    }

    /// Whether asking what became of it spends no attempt.
    pub(super) fn asks_free(self, history: History) -> bool {
        self == Self::AskFree && history.in_a_row < FREE
    }

    pub(super) fn reaction(self, facts: Option<&S3Error>, history: History) -> Reaction {
        match self {
            Self::Again => again(facts, history, true),
            Self::AgainFree if history.in_a_row < FREE => Reaction::Retry {
                up_to: Duration::ZERO,
                at_least: Duration::ZERO,
                costs: false,
            },
            Self::AgainFree => again(facts, history, true),
            // Being throttled is no evidence against the item, so it costs nothing.
            Self::Slower => {
                let slower = History {
                    in_a_row: history.in_a_row.saturating_add(2),
                    ..history
                };
                again(facts, slower, false)
            }
            Self::AFewTimes if history.odd < FEW => again(facts, history, true),
            Self::AFewTimes => Reaction::GiveUp,
            Self::Damaged if history.odd < FEW => again(facts, history, true),
            Self::Damaged => Reaction::Fail,
            Self::Credentials if !history.fixed.credentials => Reaction::Fix(Fix::Credentials),
            Self::Credentials => Reaction::Park(ParkReason::Credentials),
            Self::Clock => match facts.and_then(|facts| facts.server_date) {
                Some(server) if !history.fixed.clock => Reaction::Fix(Fix::Clock(server)),
                _ => Reaction::Park(ParkReason::Clock),
            },
            Self::Region => match facts.and_then(|facts| facts.region.clone()) {
                Some(region) if !history.fixed.region => Reaction::Fix(Fix::Region(region)),
                _ => Reaction::Fail,
            },
            Self::Redirect => match facts.and_then(followable) {
                Some(to) if history.fixed.redirects < FEW => Reaction::Fix(Fix::Redirect(to)),
                _ => Self::Region.reaction(facts, history),
            },
            Self::Restart => Reaction::Restart,
            Self::Ask | Self::AskFree => Reaction::Resolve,
            Self::AskAFewTimes if history.odd < FEW => Reaction::Resolve,
            Self::AskAFewTimes => Reaction::Fail,
            Self::Wait(reason) => Reaction::Park(reason),
            Self::GiveUp => Reaction::GiveUp,
            Self::Fail => Reaction::Fail,
        }
    }
}

fn followable(facts: &S3Error) -> Option<String> {
    let to = facts.location.clone();
    to.filter(|_| facts.location_is_of_endpoint)
}

fn again(facts: Option<&S3Error>, history: History, costs: bool) -> Reaction {
    let asked = facts.and_then(|facts| facts.retry_after);
    let at_least = asked.unwrap_or_default().min(PATIENCE_CAP);
    Reaction::Retry {
        up_to: backoff(history.in_a_row).max(at_least),
        at_least,
        costs,
    }
}

#[cfg(test)]
impl Meaning {
    /// One of each.
    pub(super) const ALL: [Self; 21] = [
        Self::Again,
        Self::AgainFree,
        Self::AskFree,
        Self::Slower,
        Self::AFewTimes,
        Self::Damaged,
        Self::Credentials,
        Self::Clock,
        Self::Region,
        Self::Redirect,
        Self::Restart,
        Self::Ask,
        Self::AskAFewTimes,
        Self::Wait(ParkReason::Network),
        Self::Wait(ParkReason::Tls),
        Self::Wait(ParkReason::Credentials),
        Self::Wait(ParkReason::DiskFull),
        Self::Wait(ParkReason::ReadOnly),
        Self::Wait(ParkReason::Throttled),
        Self::GiveUp,
        Self::Fail,
    ];

    /// Its name on the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::AgainFree => "again, free",
            Self::AskFree => "ask, free",
            Self::Slower => "slower",
            Self::AFewTimes => "a few times",
            Self::Damaged => "damaged",
            Self::Credentials => "credentials",
            Self::Clock => "clock",
            Self::Region => "region",
            Self::Redirect => "redirect",
            Self::Restart => "from zero",
            Self::Ask => "ask",
            Self::AskAFewTimes => "ask a few times",
            Self::Wait(ParkReason::Network) => "wait: network",
            Self::Wait(ParkReason::Tls) => "wait: tls",
            Self::Wait(ParkReason::Credentials) => "wait: credentials",
            Self::Wait(ParkReason::DiskFull) => "wait: disk full",
            Self::Wait(ParkReason::ReadOnly) => "wait: read-only",
            Self::Wait(ParkReason::Throttled) => "wait: throttled",
            // No failure: see `Event::Barred`.
            Self::Wait(ParkReason::NetworkClass) => "wait: network class",
            Self::Wait(ParkReason::Clock) => "wait: clock",
            Self::GiveUp => "give up",
            Self::Fail => "fail",
        }
    }
}
