//! Which interned options have another priority than most: few rows, as a rule.

use std::collections::HashMap;

use rusqlite::Connection;
use towline_core::{Priority, TransferOptions};

use crate::rows;
use crate::trouble::Trouble;

/// So many rows are remembered, or twice as many as there were at the last look at
/// all of them: some may be gone.
const KEPT: usize = 1 << 16;

/// The rows that were looked at. An id is never used again, and its options never
/// change, so what is known of it stays true.
#[derive(Default)]
pub(crate) struct Priorities {
    upto: i64,
    /// How many there were when all were looked at.
    at_first: usize,
    not_normal: HashMap<i64, Priority>,
}

impl Priorities {
    /// Looks at the rows that were added.
    pub(crate) fn learn(&mut self, db: &Connection) -> Result<(), Trouble> {
        if self.not_normal.len() > KEPT.max(2 * self.at_first) {
            *self = Self::default();
        }
        let looks_at_all = self.upto == 0;
        let newest = "SELECT coalesce(max(id), 0) FROM options";
        let newest: i64 = db.prepare_cached(newest)?.query_row([], |row| row.get(0))?;
        if newest <= self.upto {
            return Ok(());
        }
        // Options leave out what is as usual; metadata may have the same name.
        let new = "SELECT id, value FROM options WHERE id > ?1 AND value LIKE '%\"priority\":\"%'";
        let mut statement = db.prepare_cached(new)?;
        let mut found = statement.query([self.upto])?;
        while let Some(row) = found.next()? {
            let value: String = row.get(1)?;
            let options: TransferOptions = rows::from_json(&value)?;
            if options.priority != Priority::Normal {
                self.not_normal.insert(row.get(0)?, options.priority);
            }
        }
        self.upto = newest;
        if looks_at_all {
            self.at_first = self.not_normal.len();
        }
        Ok(())
    }

    /// Whether there may be transfers of a priority.
    pub(crate) fn has_any(&self, priority: Priority) -> bool {
        priority == Priority::Normal || self.not_normal.values().any(|of| *of == priority)
    }

    /// That of a row which was looked at.
    pub(crate) fn of(&self, options: i64) -> Priority {
        self.not_normal.get(&options).copied().unwrap_or_default()
    }
}
