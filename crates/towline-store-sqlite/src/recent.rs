//! What was last written of transfers that go on: who changes one next need not read it.

use std::collections::HashMap;
use std::sync::Arc;

use towline_core::{Record, Spec, TransferId};

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

    /// One that was written just now.
    pub(crate) fn keep(&mut self, record: Record) {
        if !record.phase.is_final() && self.records.len() < KEPT {
            self.records.insert(record.id, record);
        }
    }

    /// One that was recorded just now.
    pub(crate) fn keep_new(&mut self, record: &Record, no_spec: &Arc<Spec>) {
        if self.records.len() < KEPT {
            let spec = Arc::clone(no_spec);
            self.records.insert(
                record.id,
                Record {
                    spec,
                    ..record.clone()
                },
            );
        }
    }

    /// What was written is taken back.
    pub(crate) fn forget(&mut self) {
        self.records.clear();
    }
}
