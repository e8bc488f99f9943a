//! A [`Record`] and its parts as rows. What is read is checked like any input
//! from outside: a value that nothing here writes is damage, never a panic.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection as Db, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use towline_core::{
    Asked, BucketName, Checksum, Connection, Direction, FileIdentity, Fingerprint, ObjectAddress,
    ObjectKey, PartNumber, PartPlan, PartRow, Phase, Record, Remote, Spec, Temp, Timestamp,
    TransferId, TransferOptions,
};

use crate::codes;
use crate::trouble::Trouble;

/// The columns that a change can change, in the order of [`read_changing`].
macro_rules! changing {
    () => {
        "updated_at, phase, sub, generation, plan_size, plan_part_size, source_device,
         source_inode, source_size, source_modified, source_changed, upload_id, object,
         temp_name, temp_boot, asked, asked_at, sealed_device, sealed_inode, sealed_size,
         sealed_modified, bytes_done, error, outcome, proof"
    };
}

/// A query for whole records, to be read with [`read_record`].
macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, direction, (SELECT value FROM buckets WHERE id = t.bucket), key,
             version_id, (SELECT value FROM directories WHERE id = t.directory), file,
             connection, (SELECT value FROM connections WHERE id = t.connection),
             options, (SELECT value FROM options WHERE id = t.options),
             token, (SELECT name FROM groups WHERE id = t.group_id), created_at, ",
            $crate::rows::changing!(),
            ", state_changed FROM transfers t ",
            $rest
        )
    };
}
pub(crate) use {changing, select_records};

/// The first changing column of [`select_records`].
const CHANGING_AT: usize = 14;

/// How many values of each kind are kept parsed.
const PARSED_KEPT: usize = 1024;

/// Interned values that were parsed before. Their ids are never used again, so
/// what is kept cannot become wrong.
#[derive(Default)]
pub(crate) struct Parsed {
    connections: HashMap<i64, Connection>,
    options: HashMap<i64, TransferOptions>,
}

/// Reads a whole record from a row of [`select_records`].
pub(crate) fn read_record(row: &Row<'_>, parsed: &mut Parsed) -> Result<Record, Trouble> {
    let bucket: String = row.get(2)?;
    let object = ObjectAddress {
        bucket: BucketName::new(bucket).map_err(damaged)?,
        key: ObjectKey::new(row.get::<_, String>(3)?).map_err(damaged)?,
        version_id: row.get(4)?,
    };
    let mut path: Vec<u8> = row.get(5)?;
    path.extend_from_slice(row.get_ref(6)?.as_blob().map_err(damaged)?);
    let spec = Spec {
        direction: codes::direction_of(row.get(1)?).ok_or_else(|| unknown("direction"))?,
        connection: interned(&mut parsed.connections, row, 7)?,
        object,
        path: PathBuf::from(OsString::from_vec(path)),
        options: interned(&mut parsed.options, row, 9)?,
        token: row.get(11)?,
        group: row.get(12)?,
    };
    let mut record = blank(transfer_id(row.get(0)?)?, Arc::new(spec));
    record.created_at = Timestamp::from_millis(row.get(13)?);
    read_changing(row, CHANGING_AT, &mut record)?;
    // Only what a copy holds is kept like this.
    let is_copy = record.spec.direction == Direction::Copy;
    match record.origin {
        Some(_) if !is_copy => Err(unknown("object")),
        _ => Ok(record),
    }
}

/// A record with nothing but its id and spec, to be filled from a row.
pub(crate) fn blank(id: TransferId, spec: Arc<Spec>) -> Record {
    Record {
        id,
        spec,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        phase: Phase::Queued,
        generation: 1,
        plan: None,
        source: None,
        origin: None,
        remote: None,
        asked: None,
        sealed: None,
        bytes_done: 0,
        error: None,
        outcome: None,
        proof: None,
    }
}

/// Reads the changing columns, the first of which is column `at`.
pub(crate) fn read_changing(row: &Row<'_>, at: usize, record: &mut Record) -> Result<(), Trouble> {
    record.updated_at = Timestamp::from_millis(row.get(at)?);
    record.phase =
        codes::phase_of(row.get(at + 1)?, row.get(at + 2)?).ok_or_else(|| unknown("phase"))?;
    record.generation = row.get(at + 3)?;
    record.plan = match row.get::<_, Option<i64>>(at + 4)? {
        Some(size) => Some(plan(size, row.get(at + 5)?)?),
        None => None,
    };
    record.source = match row.get::<_, Option<i64>>(at + 6)? {
        Some(device) => Some(Fingerprint {
            device: device.cast_unsigned(),
            inode: row.get::<_, i64>(at + 7)?.cast_unsigned(),
            size: length(row.get(at + 8)?)?,
            modified_ns: row.get(at + 9)?,
            changed_ns: row.get(at + 10)?,
        }),
        None => None,
    };
    let object: Option<String> = row.get(at + 12)?;
    let object = object.as_deref().map(from_json).transpose()?;
    // An object that is not written to a file is the origin of a copy.
    (record.origin, record.remote) = match (row.get(at + 11)?, object, row.get(at + 13)?) {
        (None, Some(object), Some(name)) => {
            let boot = row.get(at + 14)?;
            (None, Some(Remote::Object(object, Temp { name, boot })))
        }
        (upload_id, origin, None) => (origin, upload_id.map(Remote::Upload)),
        (_, _, Some(_)) => return Err(unknown("remote")),
    };
    record.asked = match row.get(at + 15)? {
        Some(code) => Some(Asked {
            request: codes::request_of(code).ok_or_else(|| unknown("request"))?,
            at: Timestamp::from_millis(row.get(at + 16)?),
        }),
        None => None,
    };
    record.sealed = match row.get::<_, Option<i64>>(at + 17)? {
        Some(device) => Some(FileIdentity {
            device: device.cast_unsigned(),
            inode: row.get::<_, i64>(at + 18)?.cast_unsigned(),
            size: length(row.get(at + 19)?)?,
            modified_ns: row.get(at + 20)?,
        }),
        None => None,
    };
    record.bytes_done = length(row.get(at + 21)?)?;
    record.error = optional_json(row, at + 22)?;
    record.outcome = match row.get(at + 23)? {
        Some(code) => Some(codes::outcome_of(code).ok_or_else(|| unknown("outcome"))?),
        None => None,
    };
    record.proof = optional_json(row, at + 24)?;
    Ok(())
}

/// The statement that writes the changing columns, for [`write_changing`].
pub(crate) fn changing_statement(db: &Db) -> Result<CachedStatement<'_>, Trouble> {
    Ok(db.prepare_cached(concat!(
        "UPDATE transfers SET (",
        changing!(),
        ", changed, state_changed) = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
          ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
          iif(?28, ?27, state_changed)) WHERE id = ?1"
    ))?)
}

/// Writes the changing columns; `changed` is the number of this change, and of
/// the change of state too if it is one. False if it has no row.
pub(crate) fn write_changing(
    statement: &mut CachedStatement<'_>,
    record: &Record,
    changed: i64,
    state_changed: bool,
) -> Result<bool, Trouble> {
    let (phase, sub) = codes::phase(record.phase);
    let (plan, source, sealed) = (record.plan, record.source, record.sealed);
    let origin = record.origin.as_ref();
    let (upload, object, temp) = match &record.remote {
        Some(Remote::Upload(id)) => (Some(id.as_str()), origin, None),
        Some(Remote::Object(object, temp)) => (None, Some(object), Some(temp)),
        None => (None, origin, None),
    };
    let object = object.map(to_json).transpose()?;
    let error = record.error.as_ref().map(to_json).transpose()?;
    let proof = record.proof.as_ref().map(to_json).transpose()?;
    let written = statement.execute(params![
        row_id(record.id),
        record.updated_at.as_millis(),
        phase,
        sub,
        record.generation,
        plan.map(stored_size).transpose()?,
        plan.map(stored_part_size).transpose()?,
        source.map(|s| s.device.cast_signed()),
        source.map(|s| s.inode.cast_signed()),
        source.map(|s| stored_length(s.size)).transpose()?,
        source.map(|s| s.modified_ns),
        source.map(|s| s.changed_ns),
        upload,
        object,
        temp.map(|t| &t.name),
        temp.map(|t| &t.boot),
        record.asked.map(|a| codes::request(a.request)),
        record.asked.map(|a| a.at.as_millis()),
        sealed.map(|s| s.device.cast_signed()),
        sealed.map(|s| s.inode.cast_signed()),
        sealed.map(|s| stored_length(s.size)).transpose()?,
        sealed.map(|s| s.modified_ns),
        stored_length(record.bytes_done)?,
        error,
        record.outcome.map(codes::outcome),
        proof,
        changed,
        state_changed,
    ])?;
    Ok(written == 1)
}

/// A size of -1 is that of a stream whose length is not known yet, a part size
/// of -1 that of parts that grow.
fn plan(size: i64, part_size: i64) -> Result<PartPlan, Trouble> {
    match (size, part_size) {
        (-1, _) | (_, -1) => {
            let known = |bytes: i64| (bytes != -1).then(|| length(bytes)).transpose();
            Ok(PartPlan::recorded_stream(known(size)?, known(part_size)?))
        }
        _ => Ok(PartPlan::recorded(length(size)?, length(part_size)?)),
    }
}

fn stored_size(plan: PartPlan) -> Result<i64, Trouble> {
    match plan.is_open() {
        true => Ok(-1),
        false => stored_length(plan.size()),
    }
}

fn stored_part_size(plan: PartPlan) -> Result<i64, Trouble> {
    plan.part_size().map_or(Ok(-1), stored_length)
}

/// One record by its id.
pub(crate) fn record(db: &Db, id: i64, parsed: &mut Parsed) -> Result<Option<Record>, Trouble> {
    record_with(&mut record_statement(db)?, id, parsed)
}

/// The statement that reads one record, for [`record_with`].
pub(crate) fn record_statement(db: &Db) -> Result<CachedStatement<'_>, Trouble> {
    Ok(db.prepare_cached(select_records!("WHERE t.id = ?1"))?)
}

/// One of many records by its id.
pub(crate) fn record_with(
    statement: &mut CachedStatement<'_>,
    id: i64,
    parsed: &mut Parsed,
) -> Result<Option<Record>, Trouble> {
    let mut rows = statement.query([id])?;
    rows.next()?.map(|row| read_record(row, parsed)).transpose()
}

/// The id of the transfer that has a token.
pub(crate) fn id_of_token(db: &Db, token: &str) -> Result<Option<i64>, Trouble> {
    let mut statement = db.prepare_cached("SELECT id FROM transfers WHERE token = ?1")?;
    Ok(statement.query_row([token], |row| row.get(0)).optional()?)
}

/// The id of the group with a name, made if there is none.
pub(crate) fn group(db: &Db, name: &str) -> Result<i64, Trouble> {
    let known = db
        .prepare_cached("SELECT max(id) FROM groups WHERE name = ?1")?
        .query_row([name], |row| row.get::<_, Option<i64>>(0))?;
    match known {
        Some(id) => Ok(id),
        None => Ok(db
            .prepare_cached("INSERT INTO groups (name) VALUES (?1)")?
            .insert([name])?),
    }
}

/// Removes a group that has no transfer any more, and lists none.
pub(crate) fn sweep_group(db: &Db, id: i64) -> Result<(), Trouble> {
    let sweep = "DELETE FROM groups WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM transfers WHERE group_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM listings WHERE group_id = ?1)";
    db.prepare_cached(sweep)?.execute([id])?;
    Ok(())
}

/// The statement that records one part, for [`write_part`].
pub(crate) fn part_statement(db: &Db) -> Result<CachedStatement<'_>, Trouble> {
    Ok(db.prepare_cached("INSERT OR IGNORE INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?)
}

/// Records a part; false if its number was recorded before.
pub(crate) fn write_part(
    statement: &mut CachedStatement<'_>,
    transfer: i64,
    part: &PartRow,
) -> Result<bool, Trouble> {
    let sum = part.checksum.as_ref();
    let written = statement.execute(params![
        transfer,
        part.number.get(),
        stored_length(part.len)?,
        part.etag,
        sum.map(|sum| codes::algorithm(sum.algorithm())),
        sum.map(Checksum::as_bytes),
    ])?;
    Ok(written == 1)
}

/// Reads a part from `number, len, etag, algorithm, checksum`.
pub(crate) fn read_part(row: &Row<'_>) -> Result<PartRow, Trouble> {
    let checksum = match row.get(3)? {
        Some(code) => {
            let algorithm = codes::algorithm_of(code).ok_or_else(|| unknown("algorithm"))?;
            let value = row.get_ref(4)?.as_blob().map_err(damaged)?;
            Some(Checksum::new(algorithm, value).map_err(damaged)?)
        }
        None => None,
    };
    Ok(PartRow {
        number: PartNumber::new(row.get(0)?).ok_or_else(|| unknown("part number"))?,
        len: length(row.get(1)?)?,
        etag: row.get(2)?,
        checksum,
    })
}

/// A path as the bytes of its directory, with the last slash, and of its name.
pub(crate) fn split_path(path: &Path) -> (&[u8], &[u8]) {
    let bytes = path.as_os_str().as_bytes();
    let name_at = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    bytes.split_at(name_at)
}

/// The row id of a transfer; one that is too large for a row stands for none.
pub(crate) fn row_id(id: TransferId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

/// The transfer of a row id.
pub(crate) fn transfer_id(id: i64) -> Result<TransferId, Trouble> {
    let number = u64::try_from(id).ok().filter(|number| *number > 0);
    number
        .map(TransferId::new)
        .ok_or_else(|| unknown("transfer id"))
}

/// A length in bytes as it is stored.
pub(crate) fn stored_length(bytes: u64) -> Result<i64, Trouble> {
    i64::try_from(bytes)
        .map_err(|_| Trouble::contradiction(format!("{bytes} bytes are more than can be stored")))
}

/// The text of a JSON column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::contradiction(error.to_string()))
}

/// The value of a JSON column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(damaged)
}

pub(crate) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
) -> Result<Option<T>, Trouble> {
    match row.get_ref(at)?.as_str_or_null().map_err(damaged)? {
        Some(text) => from_json(text).map(Some),
        None => Ok(None),
    }
}

/// The interned value whose id is in column `at` and whose text is in the next.
fn interned<T: DeserializeOwned + Clone>(
    parsed: &mut HashMap<i64, T>,
    row: &Row<'_>,
    at: usize,
) -> Result<T, Trouble> {
    let id = row.get(at)?;
    if let Some(value) = parsed.get(&id) {
        return Ok(value.clone());
    }
    let value: T = from_json(row.get_ref(at + 1)?.as_str().map_err(damaged)?)?;
    if parsed.len() >= PARSED_KEPT {
        parsed.clear();
    }
    parsed.insert(id, value.clone());
    Ok(value)
}

pub(crate) fn length(stored: i64) -> Result<u64, Trouble> {
    u64::try_from(stored).map_err(|_| unknown("length"))
}

pub(crate) fn unknown(what: &str) -> Trouble {
    Trouble::Damaged(format!("a row holds an impossible {what}"))
}

pub(crate) fn damaged(error: impl std::fmt::Display) -> Trouble {
    Trouble::Damaged(format!("a row holds a bad value: {error}"))
}
