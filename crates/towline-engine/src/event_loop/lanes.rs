//! Of each priority: which unfinished transfers are still to be held, and how
//! many are. So an urgent one is held although a window of others is.

use std::collections::{HashSet, VecDeque};

use towline_core::{Priority, Record, TransferId};

/// So many are kept of those that were recorded while there was no room for them, some
/// 2 KiB each: as many as a group lists ahead.
const KEPT: usize = 3000;

/// One for each priority.
pub(super) struct Lanes([Lane; Priority::ALL.len()]);

pub(super) struct Lane {
    pub(super) backlog: Backlog,
    /// Parked ones that were let go to make room, whose cause may have ended.
    pub(super) returning: VecDeque<TransferId>,
    held: usize,
    /// Of those that are held.
    parked: usize,
}

/// The unfinished transfers that are not held yet.
pub(super) struct Backlog {
    pub(super) after: TransferId,
    /// The next ones, as they were recorded in this process: they need not be read.
    kept: VecDeque<Record>,
    /// There are some behind those in the store.
    pub(super) more: bool,
    pub(super) loading: bool,
    /// Transfers were left to the backlog while a page was being read, which
    /// may lack them.
    pub(super) grew: bool,
    /// Held or let go while a page was being read, which may have them as they were.
    pub(super) touched: HashSet<TransferId>,
    /// Held behind all that are known, since they were steered before they were to
    /// begin: what they were recorded as is not to be believed by then.
    early: HashSet<TransferId>,
}

impl Lanes {
    /// What is left out is not read; ids grow, so the rest comes after.
    pub(super) fn new(left_out: Option<TransferId>) -> Self {
        Self(std::array::from_fn(|_| Lane {
            backlog: Backlog {
                after: left_out.unwrap_or(TransferId::START),
                kept: VecDeque::new(),
                more: left_out.is_none(),
                loading: false,
                grew: false,
                touched: HashSet::new(),
                early: HashSet::new(),
            },
            returning: VecDeque::new(),
            held: 0,
            parked: 0,
        }))
    }

    pub(super) fn of(&mut self, priority: Priority) -> &mut Lane {
        &mut self.0[priority as usize]
    }

    /// What is kept of it, and a page that is being read, are not to be believed.
    pub(super) fn touch(&mut self, id: TransferId) {
        for Lane { backlog, .. } in &mut self.0 {
            if let Ok(place) = backlog.kept.binary_search_by_key(&id, |kept| kept.id) {
                backlog.kept.remove(place);
            }
            if backlog.loading {
                backlog.touched.insert(id);
            }
        }
    }

    pub(super) fn parked(&self) -> usize {
        self.0.iter().map(|lane| lane.parked).sum()
    }

    pub(super) fn returning(&self) -> usize {
        self.0.iter().map(|lane| lane.returning.len()).sum()
    }
}

impl Backlog {
    /// All up to here are held, were held, or are kept.
    pub(super) fn known_to(&self) -> TransferId {
        self.kept.back().map_or(self.after, |last| last.id)
    }

    /// Leaves one to it that was recorded behind all others.
    pub(super) fn add(&mut self, record: Record) {
        // What gives or takes the bytes of a stream comes on another way.
        if self.more || self.loading || self.kept.len() >= KEPT || record.spec.is_stream() {
            self.more = true; // it comes when its turn does
            self.grew = self.loading;
        } else {
            self.kept.push_back(record);
        }
    }

    /// One is held.
    pub(super) fn holds(&mut self, id: TransferId) {
        if id > self.known_to() {
            self.early.insert(id);
        }
    }

    /// Whether one that is to begin now was held before.
    pub(super) fn was_held(&mut self, id: TransferId) -> bool {
        self.early.remove(&id) || id <= self.known_to()
    }

    /// What is read up to here is as it is by now.
    pub(super) fn read_to(&mut self, last: TransferId) {
        let after = self.after.max(last);
        self.after = after;
        self.early.retain(|id| *id > after);
    }

    pub(super) fn next_kept(&mut self) -> Option<Record> {
        let next = self.kept.pop_front()?;
        self.after = next.id;
        Some(next)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty() && !self.more
    }
}

impl Lane {
    /// Parked ones take no room from those that can go on.
    pub(super) fn busy(&self) -> usize {
        self.held - self.parked
    }

    pub(super) fn hold(&mut self, parked: bool) {
        self.held += 1;
        self.parked += usize::from(parked);
    }

    pub(super) fn let_go(&mut self, parked: bool) {
        self.held -= 1;
        self.parked -= usize::from(parked);
    }

    /// One that is held parked, or went on.
    pub(super) fn count_parked(&mut self, was: bool, is: bool) {
        match (was, is) {
            (false, true) => self.parked += 1,
            (true, false) => self.parked -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn record(id: u64, path: &str) -> Record {
        fixtures::record(id, "bucket", path)
    }

    /// Lanes of a process that has read all there was.
    fn lanes() -> Lanes {
        let mut lanes = Lanes::new(None);
        lanes.of(Priority::Normal).backlog.more = false;
        lanes
    }

    fn rest(backlog: &mut Backlog) -> Vec<u64> {
        std::iter::from_fn(|| backlog.next_kept())
            .map(|record| record.id.get())
            .collect()
    }

    #[test]
    fn those_that_find_no_room_come_in_order_but_for_what_was_steered_meanwhile() {
        let mut lanes = lanes();
        for id in 1..=5 {
            lanes.of(Priority::Normal).backlog.add(record(id, "/file"));
        }
        assert!(!lanes.of(Priority::Normal).backlog.is_empty());
        lanes.touch(TransferId::new(2));
        lanes.touch(TransferId::new(5));
        lanes.touch(TransferId::new(7));
        let backlog = &mut lanes.of(Priority::Normal).backlog;
        assert_eq!(backlog.known_to(), TransferId::new(4));
        assert_eq!(rest(backlog), [1, 3, 4]);
        assert_eq!(backlog.after, TransferId::new(4));
        assert!(backlog.is_empty() && !backlog.more);
    }

    #[test]
    fn what_is_held_before_it_is_to_begin_is_known_until_then_or_until_it_is_read() {
        let mut lanes = lanes();
        let backlog = &mut lanes.of(Priority::Normal).backlog;
        let ids = [1, 2, 3, 4, 5].map(TransferId::new);
        backlog.add(record(1, "/file"));
        ids.iter().for_each(|id| backlog.holds(*id));
        assert!(backlog.was_held(ids[0]), "as one that is kept");
        assert!(backlog.was_held(ids[2]) && !backlog.was_held(ids[2]));
        assert_eq!(rest(backlog), [1]);
        backlog.read_to(ids[3]);
        assert_eq!(backlog.early, HashSet::from([ids[4]]));
        assert!(backlog.was_held(ids[1]), "as one that was read");
        assert!(backlog.was_held(ids[4]) && backlog.early.is_empty());
    }

    #[test]
    fn behind_one_that_has_to_be_read_nothing_is_kept() {
        let stream = || record(2, "");
        for (loading, second) in [(false, stream()), (true, record(2, "/file"))] {
            let mut lanes = lanes();
            let backlog = &mut lanes.of(Priority::Normal).backlog;
            backlog.add(record(1, "/file"));
            backlog.loading = loading;
            backlog.add(second);
            backlog.add(record(3, "/file"));
            assert!(backlog.more);
            assert_eq!(backlog.grew, loading);
            assert_eq!(rest(backlog), [1]);
            assert_eq!(
                backlog.after,
                TransferId::new(1),
                "the page behind it has both"
            );
        }
    }

    #[test]
    fn no_more_are_kept_than_a_group_lists_ahead() {
        let mut lanes = lanes();
        let backlog = &mut lanes.of(Priority::Normal).backlog;
        (1..=KEPT as u64 + 2).for_each(|id| backlog.add(record(id, "/file")));
        assert!(backlog.more);
        assert_eq!(rest(backlog).len(), KEPT);
    }
}
