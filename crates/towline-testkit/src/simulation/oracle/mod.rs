//! The oracle of simulated worlds: tells from all that is known of one whether
//! promises 1 to 11 were kept. Each check has a name, and a broken world in
//! which it must find something.

mod bytes;
mod content;
mod ends;
mod order;

pub use crate::crash::Violation;

use super::world::Facts;

/// Judges one thing.
type Check = fn(&Facts) -> Vec<String>;

/// Every check: its name, the promise that it is about, and how it judges.
pub const CHECKS: [(&str, u8, Check); 12] = [
    ("accepted_is_durable", 1, ends::accepted_is_durable),
    ("done_is_true", 2, content::done_is_true),
    ("nothing_is_torn", 3, content::nothing_is_torn),
    (
        "what_is_lost_is_asked_about",
        4,
        order::what_is_lost_is_asked_about,
    ),
    ("nothing_fails_falsely", 4, ends::nothing_fails_falsely),
    ("no_orphans_stay", 5, ends::no_orphans_stay),
    (
        "nothing_recorded_moves_again",
        6,
        bytes::nothing_recorded_moves_again,
    ),
    ("progress_only_grows", 7, bytes::progress_only_grows),
    ("one_owner_at_a_time", 8, order::one_owner_at_a_time),
    (
        "everything_ends_and_is_told",
        9,
        ends::everything_ends_and_is_told,
    ),
    (
        "nothing_from_outside_is_trusted",
        10,
        content::nothing_from_outside_is_trusted,
    ),
    (
        "what_is_in_use_is_bounded",
        11,
        order::what_is_in_use_is_bounded,
    ),
];

/// Every promise that was broken. `whose` names the check.
pub fn violations(facts: &Facts) -> Vec<Violation> {
    let judge = |(name, promise, check): &(&str, u8, Check)| {
        let found = check(facts).into_iter();
        let (promise, whose) = (*promise, (*name).to_owned());
        found.map(move |what| Violation {
            promise,
            whose: whose.clone(),
            what,
        })
    };
    CHECKS.iter().flat_map(judge).collect()
}
