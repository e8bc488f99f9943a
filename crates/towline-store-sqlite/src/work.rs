//! What each request does inside its savepoint.

use std::sync::Arc;

use rusqlite::params;
use towline_core::{Created, Incident, NewTransfer, Record, StoreError, TransferId};

use crate::codes;
use crate::intern::References;
use crate::rows;
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
        let record = Record::new(rows::transfer_id(id)?, new);
        let spec = Arc::clone(&self.no_spec);
        self.recent.keep(Record {
            spec,
            ..record.clone()
        });
        Ok(Created::New(record))
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
