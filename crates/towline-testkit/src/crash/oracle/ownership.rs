//! Promise 8: a state has one owner at a time, and a part one sender.

use super::Violation;
use crate::crash::evidence::Evidence;

/// Promise 8. Of senders the history tells only those whose bytes move at one
/// time, and not shortly after a kill; the others are seen by the lock alone.
pub(super) fn one_owner_at_a_time(evidence: &Evidence) -> Vec<Violation> {
    let owners = evidence
        .two_owners
        .iter()
        .map(|(state_dir, one, other)| Violation {
            promise: 8,
            whose: format!("state {}", state_dir.display()),
            what: format!("processes {one} and {other} hold its lock at one time"),
        });
    let twins = evidence.twins.iter().map(|twins| Violation {
        promise: 8,
        whose: format!("object {}", twins.key),
        what: format!(
            "requests {} and {} both send part {} at one time, long after the last kill",
            twins.requests.0, twins.requests.1, twins.part
        ),
    });
    owners.chain(twins).collect()
}
