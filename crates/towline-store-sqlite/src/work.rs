//! What each request does inside its savepoint.

use rusqlite::params;
use towline_core::{
    Change, Created, Incident, NewTransfer, PartRow, Record, StoreError, TransferId,
    TransferOptions,
};

use crate::codes;
use crate::intern::References;
use crate::rows::{self, changing};
use crate::schema;
use crate::trouble::Trouble;
use crate::writer::Writer;

impl Writer {
    pub(crate) fn create(&mut self, new: Vec<NewTransfer>) -> Result<Vec<Created>, Trouble> {
        new.into_iter()
            .map(|new| self.create_one(new, None))
            .collect()
    }

    /// In the group with this row, or else in the newest of the name it has.
    pub(crate) fn create_one(
        &mut self,
        new: NewTransfer,
        group: Option<i64>,
    ) -> Result<Created, Trouble> {
        if let Some(token) = &new.spec.token
            && let Some(id) = rows::id_of_token(&self.db, token)?
            && let Some(known) = rows::record(&self.db, id, &mut self.parsed)?
        {
            if known.spec.asks_the_same(&new.spec) {
                return Ok(Created::Known(known));
            }
            let token = token.clone();
            return Err(Trouble::Refused(StoreError::TokenTaken {
                token,
                id: known.id,
            }));
        }
        let spec = &new.spec;
        let (directory, file) = rows::split_path(&spec.path);
        let bucket = spec.object.bucket.as_str();
        let refers =
            self.interner
                .take(&self.db, bucket, directory, &spec.connection, &spec.options)?;
        let group = match (group, spec.group.as_deref()) {
            (Some(group), _) => Some(group),
            (None, Some(name)) => Some(rows::group(&self.db, name)?),
            (None, None) => None,
        };
        self.sequence += 1;
        let (phase, sub) = codes::phase(towline_core::Phase::Queued);
        let source = new.source;
        let id = self
            .db
            .prepare_cached(
                "INSERT INTO transfers (direction, bucket, key, version_id, directory, file,
                     connection, options, token, created_at, updated_at, phase, sub, generation,
                     source_device, source_inode, source_size, source_modified, source_changed,
                     bytes_done, changed, state_changed, group_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, 1, ?13, ?14, ?15,
                     ?16, ?17, 0, ?18, ?18, ?19)",
            )?
            .insert(params![
                codes::direction(spec.direction),
                refers.bucket,
                spec.object.key.as_str(),
                spec.object.version_id,
                refers.directory,
                file,
                refers.connection,
                refers.options,
                spec.token,
                new.created_at.as_millis(),
                phase,
                sub,
                source.map(|s| s.device.cast_signed()),
                source.map(|s| s.inode.cast_signed()),
                source.map(|s| rows::stored_length(s.size)).transpose()?,
                source.map(|s| s.modified_ns),
                source.map(|s| s.changed_ns),
                self.sequence,
                group,
            ])?;
        Ok(Created::New(Record::new(rows::transfer_id(id)?, new)))
    }

    pub(crate) fn commit(&mut self, batch: Vec<(TransferId, Vec<Change>)>) -> Result<(), Trouble> {
        batch
            .iter()
            .try_for_each(|(id, changes)| self.commit_one(*id, changes))
    }

    /// Folds the changes with [`Record::apply`], so that they mean the same
    /// here as in the state machine.
    fn commit_one(&mut self, id: TransferId, changes: &[Change]) -> Result<(), Trouble> {
        let row = rows::row_id(id);
        let mut record = rows::blank(id, self.no_spec.clone());
        {
            let select = concat!("SELECT ", changing!(), " FROM transfers WHERE id = ?1");
            let mut statement = self.db.prepare_cached(select)?;
            let mut found = statement.query([row])?;
            let found = found
                .next()?
                .ok_or(Trouble::Refused(StoreError::Unknown(id)))?;
            rows::read_changing(found, 0, &mut record)?;
        }
        let before = record.phase;
        for change in changes {
            match change {
                Change::Parts(parts) => self.add_parts(row, record.bytes_done, parts)?,
                Change::PartsLost(parts) => self.lose_parts(row, record.bytes_done, parts)?,
                Change::Network(policy) => self.set(row, |its| its.network = *policy)?,
                Change::Priority(priority) => self.set(row, |its| its.priority = *priority)?,
                change if change.drops_parts() => {
                    let drop = "DELETE FROM parts WHERE transfer = ?1";
                    self.db.prepare_cached(drop)?.execute([row])?;
                }
                _ => {}
            }
            record.apply(change);
        }
        self.sequence += 1;
        rows::write_changing(&self.db, &record, self.sequence, record.phase != before)
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
        let after = self.interner.take_options(&self.db, &options)?;
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
        let mut statement = rows::part_statement(&self.db)?;
        for part in parts {
            if !rows::write_part(&mut statement, row, part)? {
                let what = format!("part {} of transfer {row} is recorded already", part.number);
                return Err(Trouble::contradiction(what));
            }
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

    pub(crate) fn remove(&mut self, ids: &[TransferId]) -> Result<usize, Trouble> {
        let mut removed = 0;
        for id in ids {
            let row = rows::row_id(*id);
            let (refers, group): (_, Option<i64>) = {
                let mut statement = self.db.prepare_cached(
                    "DELETE FROM transfers WHERE id = ?1 AND phase >= 100
                     RETURNING bucket, directory, connection, options, group_id",
                )?;
                let mut found = statement.query([row])?;
                let Some(found_row) = found.next()? else {
                    continue;
                };
                let refers = References {
                    bucket: found_row.get(0)?,
                    directory: found_row.get(1)?,
                    connection: found_row.get(2)?,
                    options: found_row.get(3)?,
                };
                let group = found_row.get(4)?;
                // A statement that is not stepped to its end is not done.
                while found.next()?.is_some() {}
                (refers, group)
            };
            if let Some(group) = group {
                rows::sweep_group(&self.db, group)?;
            }
            self.interner.give_back(&refers);
            self.bury(row)?;
            removed += 1;
        }
        self.bound_tombstones(removed)?;
        Ok(removed)
    }

    pub(crate) fn note(&mut self, id: TransferId, incident: &Incident) -> Result<(), Trouble> {
        let row = rows::row_id(id);
        let newest: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT (SELECT coalesce(max(n), 0) FROM incidents WHERE transfer = t.id)
                 FROM transfers t WHERE id = ?1",
            )?
            .query_map([row], |row| row.get(0))?
            .next()
            .transpose()?;
        let newest = newest
            .ok_or(Trouble::Refused(StoreError::Unknown(id)))?
            .saturating_add(1);
        self.db
            .prepare_cached("INSERT INTO incidents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                row,
                newest,
                incident.at.as_millis(),
                incident.generation,
                incident.part,
                rows::to_json(&incident.error)?,
            ])?;
        self.db
            .prepare_cached("DELETE FROM incidents WHERE transfer = ?1 AND n <= ?2")?
            .execute([row, newest - schema::INCIDENTS_KEPT])?;
        Ok(())
    }
}
