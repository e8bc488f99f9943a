//! Of each priority: which unfinished transfers are still to be held, and how
//! many are. So an urgent one is held although a window of others is.

use std::collections::{HashSet, VecDeque};

use towline_core::{Priority, TransferId};

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
    pub(super) more: bool,
    pub(super) loading: bool,
    /// Transfers were left to the backlog while a page was being read, which
    /// may lack them.
    pub(super) grew: bool,
    /// Held or let go while a page was being read, which may have them as they were.
    pub(super) touched: HashSet<TransferId>,
}

impl Lanes {
    /// What is left out is not read; ids grow, so the rest comes after.
    pub(super) fn new(left_out: Option<TransferId>) -> Self {
        Self(std::array::from_fn(|_| Lane {
            backlog: Backlog {
                after: left_out.unwrap_or(TransferId::START),
                more: left_out.is_none(),
                loading: false,
                grew: false,
                touched: HashSet::new(),
            },
            returning: VecDeque::new(),
            held: 0,
            parked: 0,
        }))
    }

    pub(super) fn of(&mut self, priority: Priority) -> &mut Lane {
        &mut self.0[priority as usize]
    }

    /// A page that is being read is not to be believed of it.
    pub(super) fn touch(&mut self, id: TransferId) {
        for lane in self.0.iter_mut().filter(|lane| lane.backlog.loading) {
            lane.backlog.touched.insert(id);
        }
    }

    pub(super) fn parked(&self) -> usize {
        self.0.iter().map(|lane| lane.parked).sum()
    }

    pub(super) fn returning(&self) -> usize {
        self.0.iter().map(|lane| lane.returning.len()).sum()
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
