//! What was last written of transfers that go on: who changes one next need not read it.

use hashbrown::HashMap;
use towline_core::{Record, TransferId};

/// How many are remembered.
const KEPT: usize = 4096;

/// The changing columns of some transfers, as the writer left them. Their specs are
/// no part of it.
#[derive(Default)]
pub(crate) struct Recent {
    records: HashMap<TransferId, Record>,
}

impl Recent {
    /// Gives one out, to be changed, written and [kept](Self::keep).
    pub(crate) fn take(&mut self, id: TransferId) -> Option<Record> {
        self.records.remove(&id)
    }

    /// One that was written just now. A final one is seldom changed again.
    pub(crate) fn keep(&mut self, record: Record) {
        if !record.phase.is_final() && self.records.len() < KEPT {
            self.records.insert(record.id, record);
        }
    }

    /// What was written is taken back.
    pub(crate) fn forget(&mut self) {
        self.records.clear();
    }
}
