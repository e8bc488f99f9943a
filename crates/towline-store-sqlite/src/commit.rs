//! Writes what changed of transfers that are recorded.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection as Db, params};
use towline_core::{Change, PartRow, Record, Spec, StoreError, TransferId, TransferOptions};

use crate::intern::Interner;
use crate::recent::Recent;
use crate::rows::{self, changing};
use crate::trouble::Trouble;
use crate::writer::Writer;

impl Writer {
    pub(crate) fn commit(&mut self, batch: &[(TransferId, Vec<Change>)]) -> Result<(), Trouble> {
        let mut commit = Commit {
            db: &self.db,
            read: self.db.prepare_cached(concat!(
                "SELECT ",
                changing!(),
                " FROM transfers WHERE id = ?1"
            ))?,
            write: rows::changing_statement(&self.db)?,
            interner: &mut self.interner,
            recent: &mut self.recent,
            sequence: &mut self.sequence,
            no_spec: &self.no_spec,
        };
        batch
            .iter()
            .try_for_each(|(id, changes)| commit.one(*id, changes))
    }
}

/// A batch of changes, with the statements that each of them needs.
struct Commit<'a> {
    db: &'a Db,
    read: CachedStatement<'a>,
    write: CachedStatement<'a>,
    interner: &'a mut Interner,
    recent: &'a mut Recent,
    sequence: &'a mut i64,
    no_spec: &'a Arc<Spec>,
}

impl Commit<'_> {
    /// Folds the changes with [`Record::apply`](towline_core::Record::apply), so that
    /// they mean the same here as in the state machine.
    fn one(&mut self, id: TransferId, changes: &[Change]) -> Result<(), Trouble> {
        let row = rows::row_id(id);
        let mut record = match self.recent.take(id) {
            Some(record) => record,
            None => self.look_up(id)?,
        };
        let before = record.phase;
        for change in changes {
            match change {
                Change::Parts(parts) => self.add_parts(row, record.bytes_done, parts)?,
                Change::PartsLost(parts) => self.lose_parts(row, record.bytes_done, parts)?,
                Change::Network(policy) => self.set(row, |its| its.network = *policy)?,
                Change::Priority(priority) => self.set(row, |its| its.priority = *priority)?,
                change if change.drops_parts() => self.drop_parts(row)?,
                _ => {}
            }
            record.apply(change);
        }
        *self.sequence += 1;
        let is_other = record.phase != before;
        if !rows::write_changing(&mut self.write, &record, *self.sequence, is_other)? {
            return Err(Trouble::Refused(StoreError::Unknown(id)));
        }
        self.recent.keep(record);
        Ok(())
    }

    fn look_up(&mut self, id: TransferId) -> Result<Record, Trouble> {
        let mut record = rows::blank(id, Arc::clone(self.no_spec));
        let mut found = self.read.query([rows::row_id(id)])?;
        let found = found
            .next()?
            .ok_or(Trouble::Refused(StoreError::Unknown(id)))?;
        rows::read_changing(found, 0, &mut record)?;
        Ok(record)
    }

    /// Its options are other ones from now on; those of its fellows stay.
    fn set(&mut self, row: i64, set: impl FnOnce(&mut TransferOptions)) -> Result<(), Trouble> {
        let (before, stored): (i64, String) = self
            .db
            .prepare_cached(
                "SELECT t.options, o.value FROM transfers t JOIN options o ON o.id = t.options
                 WHERE t.id = ?1",
            )?
            .query_row([row], |found| Ok((found.get(0)?, found.get(1)?)))?;
        let mut options: TransferOptions = rows::from_json(&stored)?;
        set(&mut options);
        let after = self.interner.take_options(self.db, &options)?;
        self.interner.give_back_options(before);
        self.db
            .prepare_cached("UPDATE transfers SET options = ?2 WHERE id = ?1")?
            .execute([row, after])?;
        Ok(())
    }

    fn add_parts(&self, row: i64, done: u64, parts: &[PartRow]) -> Result<(), Trouble> {
        let sum = parts
            .iter()
            .try_fold(done, |sum, part| sum.checked_add(part.len));
        rows::stored_length(sum.unwrap_or(u64::MAX))?;
        let mut statement = rows::part_statement(self.db)?;
        for part in parts {
            if !rows::write_part(&mut statement, row, part)? {
                let what = format!("part {} of transfer {row} is recorded already", part.number);
                return Err(Trouble::contradiction(what));
            }
        }
        Ok(())
    }

    fn drop_parts(&self, row: i64) -> Result<(), Trouble> {
        // SQLite makes a table of its own for what a DELETE finds, even of nothing,
        // and a small transfer has no parts.
        let any = "SELECT 1 FROM parts WHERE transfer = ?1 LIMIT 1";
        if self.db.prepare_cached(any)?.exists([row])? {
            let drop = "DELETE FROM parts WHERE transfer = ?1";
            self.db.prepare_cached(drop)?.execute([row])?;
        }
        Ok(())
    }

    fn lose_parts(&self, row: i64, done: u64, parts: &[PartRow]) -> Result<(), Trouble> {
        let delete = "DELETE FROM parts WHERE transfer = ?1 AND number = ?2 AND len = ?3";
        let mut statement = self.db.prepare_cached(delete)?;
        let mut left = Some(done);
        for part in parts {
            left = left.and_then(|left| left.checked_sub(part.len));
            let len = rows::stored_length(part.len)?;
            if left.is_none() || statement.execute(params![row, part.number.get(), len])? != 1 {
                let what = format!("part {} of transfer {row} is not recorded so", part.number);
                return Err(Trouble::contradiction(what));
            }
        }
        Ok(())
    }
}
