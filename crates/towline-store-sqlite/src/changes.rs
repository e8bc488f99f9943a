//! What changed after a place in the store's order.

use rusqlite::params;
use towline_core::{ChangeFilter, Changed, Changes, Cursor, Only, StoreError};

use crate::groups;
use crate::reader::{Session, row_count};
use crate::rows::{self, select_records};
use crate::tombstones;
use crate::trouble::Trouble;

impl Session {
    /// See [`Store::changes_of`](towline_core::Store::changes_of).
    pub(crate) fn changes(
        &mut self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, Trouble> {
        // One moment for the sequence, the rows, the tombstones and the groups.
        let moment = self.db.unchecked_transaction()?;
        let now = self
            .db
            .query_row("SELECT store, epoch, sequence FROM meta", [], |row| {
                Ok((
                    row.get::<_, [u8; 16]>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })?;
        let now = Cursor {
            store: u128::from_be_bytes(now.0),
            epoch: now.1.cast_unsigned(),
            n: now.2.cast_unsigned(),
        };
        let Some(after) = after else {
            return Ok(Changes {
                changed: Vec::new(),
                cursor: now,
            });
        };
        let forgotten = tombstones::forgotten_upto(&self.db)?.cast_unsigned();
        let is_known = (after.store, after.epoch) == (now.store, now.epoch);
        if !is_known || !(forgotten..=now.n).contains(&after.n) {
            return Err(Trouble::Refused(StoreError::UnknownCursor(after)));
        }
        let bounds = params![after.n.cast_signed(), row_count(limit)];
        let mut order: Vec<(i64, Changed)> = Vec::new();
        // As `Only::takes` says it, in the numbers of `codes.rs`: 7 waits, from 50 on it rests.
        let select = match filter.only {
            Only::All => select_records!(
                "WHERE state_changed > ?1 AND (?3 IS NULL OR group_id = ?3)
                 ORDER BY state_changed LIMIT ?2"
            ),
            Only::Rest => select_records!(
                "WHERE state_changed > ?1 AND phase >= 7 AND (?3 IS NULL OR group_id = ?3)
                 ORDER BY state_changed LIMIT ?2"
            ),
            Only::Trouble => select_records!(
                "WHERE state_changed > ?1 AND phase >= 7 AND phase <> 100
                     AND (?3 IS NULL OR group_id = ?3)
                 ORDER BY state_changed LIMIT ?2"
            ),
        };
        let mut statement = self.db.prepare_cached(select)?;
        let place = statement.column_index("state_changed")?;
        let group = filter.group.map(groups::row_id);
        let mut found = statement.query(params![after.n.cast_signed(), row_count(limit), group])?;
        while let Some(row) = found.next()? {
            let record = rows::read_record(row, &mut self.parsed)?;
            order.push((row.get(place)?, Changed::Transfer(Box::new(record))));
        }
        let mut statement = self.db.prepare_cached(
            "SELECT changed, transfer FROM tombstones WHERE changed > ?1 ORDER BY changed LIMIT ?2",
        )?;
        let mut found = statement.query(bounds)?;
        while let Some(row) = found.next()? {
            let id = rows::transfer_id(row.get(1)?)?;
            order.push((row.get(0)?, Changed::Removed(id)));
        }
        for (place, group) in self.changed_groups(after.n.cast_signed(), limit, filter.group)? {
            order.push((place, Changed::Group(Box::new(group))));
        }
        order.sort_by_key(|(place, _)| *place);
        order.truncate(limit);
        let n = match order.last() {
            Some((last, _)) if order.len() == limit => last.cast_unsigned(),
            _ => now.n,
        };
        drop(moment);
        Ok(Changes {
            changed: order.into_iter().map(|(_, changed)| changed).collect(),
            cursor: Cursor { n, ..now },
        })
    }
}
