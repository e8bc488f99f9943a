//! Whose turn it is: a bounded number of requests, shared fairly.

use std::collections::VecDeque;

use towline_core::TransferId;

/// Slots for requests, and the order in which transfers get them.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limit: usize,
    taken: usize,
    /// Slots that are not given, as this machine has too few descriptors.
    withheld: usize,
    turns: VecDeque<TransferId>,
}

impl Scheduler {
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            limit: requests.max(1),
            taken: 0,
            withheld: 0,
            turns: VecDeque::new(),
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

    pub(crate) fn take_slot(&mut self) {
        self.taken += 1;
    }

    pub(crate) fn give_back(&mut self) {
        self.taken -= 1;
    }

    /// A lower limit ends nothing: no request begins until enough have ended.
    pub(crate) fn set_limit(&mut self, requests: usize) {
        self.limit = requests.max(1);
    }

    /// Lets a transfer take part from now on, after the others.
    pub(crate) fn join(&mut self, id: TransferId) {
        if !self.turns.contains(&id) {
            self.turns.push_back(id);
        }
    }

    pub(crate) fn leave(&mut self, id: TransferId) {
        self.turns.retain(|other| *other != id);
    }

    /// Everyone once, the one whose turn it is first; the next call starts
    /// after it.
    pub(crate) fn round(&mut self) -> Vec<TransferId> {
        let round = self.turns.iter().copied().collect();
        if !self.turns.is_empty() {
            self.turns.rotate_left(1);
        }
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_holds_back_what_has_not_begun() {
        let mut scheduler = Scheduler::new(3);
        (0..3).for_each(|_| scheduler.take_slot());
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
        scheduler.take_slot();
        assert!(scheduler.has_one_slot_left());
        assert!(
            !Scheduler::new(1).has_one_slot_left(),
            "it is the first too"
        );
    }

    #[test]
    fn a_lack_of_descriptors_halves_what_is_done_and_each_success_gives_one_back() {
        let mut scheduler = Scheduler::new(8);
        (0..6).for_each(|_| scheduler.take_slot());
        scheduler.hold_back();
        (0..3).for_each(|_| scheduler.give_back());
        assert!(!scheduler.has_free_slot());
        scheduler.give_back();
        assert!(scheduler.has_free_slot(), "the third");
        (0..5).for_each(|_| scheduler.ease());
        (0..5).for_each(|_| scheduler.take_slot());
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
        ids.iter().for_each(|id| scheduler.join(*id));
        scheduler.join(ids[0]);
        let firsts: Vec<_> = (0..4).map(|_| scheduler.round()[0]).collect();
        assert_eq!(firsts, [ids[0], ids[1], ids[2], ids[0]]);
        scheduler.leave(ids[1]);
        assert_eq!(scheduler.round().len(), 2);
    }
}
