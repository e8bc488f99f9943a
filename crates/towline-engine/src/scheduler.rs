//! Whose turn it is: a bounded number of requests, given to the highest priority
//! first and shared fairly among those of one.
//!
//! What ages is a priority as a whole: one of which nobody got a slot for some
//! time, while higher ones took them, gets the next. Were it each transfer by
//! itself, a long queue would soon be urgent as a whole, and an urgent one would
//! wait at its end.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use towline_core::{Priority, TransferId};

/// Slots for requests, and the order in which transfers get them.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limit: usize,
    taken: usize,
    /// Slots that are not given, as this machine has too few descriptors.
    withheld: usize,
    /// The highest priority first.
    lanes: [Lane; Priority::ALL.len()],
}

/// The transfers of one priority.
#[derive(Debug)]
struct Lane {
    priority: Priority,
    turns: VecDeque<TransferId>,
    /// Since when higher ones have got slots and it none.
    behind: Option<Duration>,
}

/// Who may take slots now: so many of these, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) turns: Vec<TransferId>,
    pub(crate) slots: usize,
}

/// How long a priority waits behind higher ones.
const fn patience(priority: Priority) -> Duration {
    match priority {
        Priority::High => Duration::ZERO,
        Priority::Normal => Duration::from_secs(5),
        Priority::Low => Duration::from_secs(30),
    }
}

impl Scheduler {
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            limit: requests.max(1),
            taken: 0,
            withheld: 0,
            lanes: Priority::ALL.map(|priority| Lane {
                priority,
                turns: VecDeque::new(),
                behind: None,
            }),
        }
    }

    pub(crate) fn has_free_slot(&self) -> bool {
        self.taken < self.limit.saturating_sub(self.withheld).max(1)
    }

    /// Whether there is one more at most, of several.
    pub(crate) fn has_one_slot_left(&self) -> bool {
        let limit = self.limit.saturating_sub(self.withheld).max(1);
        limit > 1 && self.taken + 1 >= limit
    }

    /// A request found no descriptor: no more at one time than half of those
    /// that have theirs.
    pub(crate) fn hold_back(&mut self) {
        self.withheld = self.limit.saturating_sub((self.taken / 2).max(1));
    }

    /// One succeeded: one more at a time.
    pub(crate) fn ease(&mut self) {
        self.withheld = self.withheld.saturating_sub(1);
    }

    /// For work that asks nothing of a store: that is nobody's turn.
    pub(crate) fn take_slot_aside(&mut self) {
        self.taken += 1;
    }

    pub(crate) fn take_slot(&mut self, priority: Priority, now: Duration) {
        self.taken += 1;
        for lane in &mut self.lanes {
            match lane.priority.cmp(&priority) {
                Ordering::Less if !lane.turns.is_empty() => {
                    lane.behind.get_or_insert(now);
                }
                Ordering::Equal => lane.behind = None,
                _ => {}
            }
        }
    }

    pub(crate) fn give_back(&mut self) {
        self.taken -= 1;
    }

    /// A lower limit ends nothing: no request begins until enough have ended.
    pub(crate) fn set_limit(&mut self, requests: usize) {
        self.limit = requests.max(1);
    }

    /// Lets a transfer that takes no part do so from now on, after the others.
    pub(crate) fn join(&mut self, id: TransferId, priority: Priority) {
        let lane = self.lane(priority);
        if lane.turns.is_empty() {
            lane.behind = None;
        }
        lane.turns.push_back(id);
    }

    /// Who leaves has mostly just had its turn, so it is looked for from the front.
    pub(crate) fn leave(&mut self, id: TransferId, priority: Priority) {
        let turns = &mut self.lane(priority).turns;
        if let Some(place) = turns.iter().position(|other| *other == id) {
            turns.remove(place);
        }
    }

    /// Everyone once, by priority, and of each the one whose turn it is first; the
    /// next call starts after it. Before them come those who have waited behind
    /// higher ones for too long: one slot, for the oldest that can use it.
    pub(crate) fn rounds(&mut self, now: Duration) -> Vec<Round> {
        let there = || self.lanes.iter().filter(|lane| !lane.turns.is_empty());
        let is_overdue = |lane: &&Lane| {
            let waited = lane.behind.map(|since| now.saturating_sub(since));
            waited.is_some_and(|waited| waited >= patience(lane.priority))
        };
        let overdue = there().skip(1).filter(is_overdue);
        let mut rounds: Vec<Round> = overdue
            .map(|lane| {
                let mut turns: Vec<_> = lane.turns.iter().copied().collect();
                turns.sort_unstable();
                Round { turns, slots: 1 }
            })
            .collect();
        rounds.extend(there().map(|lane| Round {
            turns: lane.turns.iter().copied().collect(),
            slots: usize::MAX,
        }));
        for lane in &mut self.lanes {
            if !lane.turns.is_empty() {
                lane.turns.rotate_left(1);
            }
        }
        rounds
    }

    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::High => &mut self.lanes[0],
            Priority::Normal => &mut self.lanes[1],
            Priority::Low => &mut self.lanes[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// Some of each priority, who joined at the beginning, and the highest of
    /// whom can always use a slot.
    fn crowd(lanes: [(Priority, &[u64]); 3]) -> Scheduler {
        let mut scheduler = Scheduler::new(1);
        for (priority, ids) in lanes {
            for id in ids {
                scheduler.join(TransferId::new(*id), priority);
            }
        }
        scheduler
    }

    /// Who gets one slot after another, each given back after so many ms; who
    /// has got it is not there any more if `leaves`.
    fn given(scheduler: &mut Scheduler, each_ms: u64, slots: u64, leaves: bool) -> Vec<u64> {
        let mut given = Vec::new();
        for slot in 0..slots {
            let now = Duration::from_millis(slot * each_ms);
            let Some(round) = scheduler.rounds(now).into_iter().next() else {
                break;
            };
            let id = round.turns[0];
            let lane = scheduler.lanes.iter().find(|lane| lane.turns.contains(&id));
            let priority = lane.unwrap().priority;
            scheduler.take_slot(priority, now);
            scheduler.give_back();
            if leaves {
                scheduler.leave(id, priority);
            }
            given.push(id.get());
        }
        given
    }

    #[test]
    fn a_higher_priority_goes_first_whoever_came_first() {
        use Priority::{High, Low, Normal};
        let mut scheduler = crowd([(Low, &[1, 2]), (Normal, &[3, 4]), (High, &[5])]);
        let mut given_to = given(&mut scheduler, 1, 9, true);
        given_to[1..3].sort_unstable(); // each is first in turn
        given_to[3..].sort_unstable();
        assert_eq!(given_to, [5, 3, 4, 1, 2]);
        // A long queue of others that have waited for hours changes nothing.
        let many: Vec<u64> = (1..=1000).collect();
        let mut scheduler = crowd([(Normal, &many), (Low, &[]), (High, &[])]);
        let now = Duration::from_secs(3600);
        scheduler.join(TransferId::new(2000), High);
        let first = &scheduler.rounds(now)[0];
        assert_eq!(first.turns, [TransferId::new(2000)]);
        assert_eq!(given(&mut scheduler, 1, 2, true), [2000, 3]);
    }

    #[test]
    fn nobody_starves_behind_higher_ones_that_always_want_more() {
        use Priority::{High, Low, Normal};
        let mut scheduler = crowd([(Low, &[1, 2]), (Normal, &[3, 4]), (High, &[5, 6])]);
        let given = given(&mut scheduler, 100, 1200, false); // two minutes
        let got = |id: u64| given.iter().filter(|other| **other == id).count();
        // The oldest of each gets what its priority gets: every 5 s, and every 30 s.
        assert!((22..=24).contains(&got(3)), "{}", got(3));
        assert!((3..=4).contains(&got(1)), "{}", got(1));
        assert_eq!((got(2), got(4)), (0, 0));
        assert!(got(5).abs_diff(got(6)) <= 30, "{} and {}", got(5), got(6));
    }

    #[test]
    fn the_next_oldest_gets_what_ageing_gives_once_the_oldest_is_gone() {
        use Priority::{High, Low, Normal};
        let mut scheduler = crowd([(Normal, &[9, 3, 7]), (Low, &[]), (High, &[])]);
        let mut aged = Vec::new();
        for second in 0..20 {
            let now = Duration::from_secs(second);
            let urgent = TransferId::new(100 + second);
            scheduler.join(urgent, High);
            let rounds = scheduler.rounds(now);
            let Round { turns, slots } = &rounds[0];
            let priority = if turns[0] == urgent { High } else { Normal };
            if priority == Normal {
                assert_eq!(*slots, 1);
                aged.push(turns[0].get());
                scheduler.leave(turns[0], Normal);
            }
            scheduler.leave(urgent, High);
            scheduler.take_slot(priority, now);
            scheduler.give_back();
        }
        assert_eq!(aged, [3, 7, 9]);
    }

    #[test]
    fn who_joins_has_not_waited_yet_and_who_is_alone_does_not_age() {
        let mut scheduler = crowd([
            (Priority::High, &[1]),
            (Priority::Normal, &[]),
            (Priority::Low, &[]),
        ]);
        let late = Duration::from_secs(3600);
        scheduler.join(TransferId::new(2), Priority::Low);
        assert_eq!(scheduler.rounds(late).len(), 2, "nobody is overdue");
        scheduler.leave(TransferId::new(1), Priority::High);
        let rounds = scheduler.rounds(late + late);
        assert_eq!(rounds.len(), 1);
        assert_eq!(rounds[0].slots, usize::MAX);
    }

    #[test]
    fn a_lower_limit_holds_back_what_has_not_begun() {
        let mut scheduler = Scheduler::new(3);
        (0..3).for_each(|_| scheduler.take_slot(Priority::Normal, NOW));
        scheduler.set_limit(1);
        for free in [false, false, true] {
            scheduler.give_back();
            assert_eq!(scheduler.has_free_slot(), free);
        }
    }

    #[test]
    fn the_last_slot_of_several_is_known() {
        let mut scheduler = Scheduler::new(2);
        assert!(!scheduler.has_one_slot_left());
        scheduler.take_slot(Priority::Normal, NOW);
        assert!(scheduler.has_one_slot_left());
        assert!(
            !Scheduler::new(1).has_one_slot_left(),
            "it is the first too"
        );
    }

    #[test]
    fn a_lack_of_descriptors_halves_what_is_done_and_each_success_gives_one_back() {
        let mut scheduler = Scheduler::new(8);
        (0..6).for_each(|_| scheduler.take_slot(Priority::Normal, NOW));
        scheduler.hold_back();
        (0..3).for_each(|_| scheduler.give_back());
        assert!(!scheduler.has_free_slot());
        scheduler.give_back();
        assert!(scheduler.has_free_slot(), "the third");
        (0..5).for_each(|_| scheduler.ease());
        (0..5).for_each(|_| scheduler.take_slot(Priority::Normal, NOW));
        assert!(scheduler.taken == 7 && scheduler.has_free_slot());
        scheduler.hold_back();
        (0..7).for_each(|_| scheduler.give_back());
        scheduler.hold_back();
        assert!(scheduler.has_free_slot(), "one is always given");
    }

    #[test]
    fn everyone_is_first_in_turn() {
        let mut scheduler = Scheduler::new(4);
        let ids = [1, 2, 3].map(TransferId::new);
        let join = |id| scheduler.join(id, Priority::Normal);
        ids.into_iter().for_each(join);
        let firsts = (0..4).map(|_| scheduler.rounds(NOW)[0].turns[0]);
        assert_eq!(firsts.collect::<Vec<_>>(), [ids[0], ids[1], ids[2], ids[0]]);
        scheduler.leave(ids[1], Priority::Normal);
        assert_eq!(scheduler.rounds(NOW)[0].turns.len(), 2);
    }
}
