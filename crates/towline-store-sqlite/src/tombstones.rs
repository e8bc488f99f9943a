//! What is kept of records that were removed: so many of the last ones. The first
//! row may be a mark, of transfer 0: removals up to there are not known any more.

use rusqlite::{Connection, OptionalExtension};

use crate::reader::row_count;
use crate::trouble::Trouble;
use crate::writer::Writer;

/// How many removals are known, of 16 bytes each in the file.
pub(crate) const KEPT: usize = 100_000;

/// The transfer of a mark.
const NONE: i64 = 0;

/// How many rows there are, and how many there may be.
pub(crate) struct Tombstones {
    /// Counted when it is needed.
    rows: Option<i64>,
    most: i64,
}

impl Tombstones {
    /// So many removals, and a mark.
    pub(crate) fn keeping(removals: usize) -> Self {
        Self {
            rows: None,
            most: row_count(removals).saturating_add(1),
        }
    }

    /// What was written may not have been kept.
    pub(crate) fn count_again(&mut self) {
        self.rows = None;
    }
}

impl Writer {
    /// Notes a removal.
    pub(crate) fn bury(&mut self, row: i64) -> Result<(), Trouble> {
        self.sequence += 1;
        let note = "INSERT INTO tombstones (changed, transfer) VALUES (?1, ?2)";
        self.db
            .prepare_cached(note)?
            .execute([self.sequence, row])?;
        Ok(())
    }

    /// Lets go of the oldest, after so many new ones.
    pub(crate) fn bound_tombstones(&mut self, new: usize) -> Result<(), Trouble> {
        if new == 0 {
            return Ok(());
        }
        let rows = match self.tombstones.rows {
            Some(rows) => rows.saturating_add(row_count(new)),
            None => self
                .db
                .query_row("SELECT count(*) FROM tombstones", [], |row| row.get(0))?,
        };
        // No removal waits for all that an earlier version left.
        let surplus = (rows - self.tombstones.most).clamp(0, row_count(2 * new));
        self.tombstones.rows = Some(rows - surplus);
        if surplus == 0 {
            return Ok(());
        }
        let nth = "SELECT changed FROM tombstones ORDER BY changed LIMIT 1 OFFSET ?1";
        let mut nth = self.db.prepare_cached(nth)?;
        let mark: i64 = nth.query_row([surplus], |row| row.get(0))?;
        self.db
            .prepare_cached("DELETE FROM tombstones WHERE changed < ?1")?
            .execute([mark])?;
        self.db
            .prepare_cached("UPDATE tombstones SET transfer = ?2 WHERE changed = ?1")?
            .execute([mark, NONE])?;
        Ok(())
    }
}

/// Up to which place removals are not known any more.
pub(crate) fn forgotten_upto(db: &Connection) -> Result<i64, Trouble> {
    let first = "SELECT changed, transfer FROM tombstones ORDER BY changed LIMIT 1";
    let first: Option<(i64, i64)> = db
        .prepare_cached(first)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mark = first.filter(|(_, transfer)| *transfer == NONE);
    Ok(mark.map_or(0, |(changed, _)| changed))
}
