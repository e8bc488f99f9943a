//! Brings a store of an older schema to the newest.
//!
//! A copy of it comes first, `towline.db.schema-N` beside it; then all steps run
//! in one transaction, in which the result is checked. Killed at any moment,
//! the store is as it was or new, and the next owner goes on. The copy goes once
//! the store is new; where a step fails it stays, and the store is as it was.
//!
//! A new schema is a step here, the same in `schema::CREATE`, and a store of
//! the schema before in `tests/upgrade`.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use towline_core::{StoreError, failpoint};

use crate::place::sync_dir;
use crate::schema::{self, STEPS};
use crate::trouble::Trouble;

/// Takes all steps that a store still has to take. The connection is the
/// owner's only one.
pub(crate) fn to_newest(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let migrated = || -> Result<(), Trouble> {
        let found: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found < schema::VERSION {
            failpoint!("migration.begins");
            copy(db, path, found)?;
            take_steps(db, found)?;
        }
        remove_copies(path)
    };
    migrated().map_err(|trouble| trouble.into_store_error(path))
}

fn take_steps(db: &Connection, found: i32) -> Result<(), Trouble> {
    let within = || -> Result<(), Trouble> {
        db.execute_batch("BEGIN IMMEDIATE")?;
        for (to, step) in STEPS.iter().filter(|(to, _)| *to > found) {
            db.execute_batch(step)?;
            db.pragma_update(None, "user_version", to)?;
            failpoint!("migration.step-taken");
        }
        check(db)?;
        failpoint!("migration.commits");
        db.execute_batch("COMMIT")?;
        failpoint!("migration.committed");
        Ok(())
    };
    within().inspect_err(|_| {
        // It may have failed before it began.
        let _ = db.execute_batch("ROLLBACK");
    })
}

/// Whether every page is sound and every reference is to a row.
fn check(db: &Connection) -> Result<(), Trouble> {
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let dangling = db.prepare("PRAGMA foreign_key_check")?.exists([])?;
    match (said.as_str(), dangling) {
        ("ok", false) => Ok(()),
        ("ok", true) => Err(Trouble::Damaged("a row refers to none".into())),
        _ => Err(Trouble::Damaged(said)),
    }
}

/// Writes the store as it is now into a file of its own, whole or not at all.
fn copy(db: &Connection, path: &Path, found: i32) -> Result<(), Trouble> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let half = beside(path, "copying");
    let io = |error: std::io::Error| {
        Trouble::Refused(StoreError::Unusable {
            path: half.clone(),
            why: format!(
                "no copy can be made before the store is brought to a new schema: {error}"
            ),
        })
    };
    remove(&half).map_err(io)?;
    // SQLite takes an empty file, with the rights it has.
    let mut private = OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    drop(private.open(&half).map_err(io)?);
    // A path may be no Unicode; SQLite takes it as it is.
    let to = ToSqlOutput::Borrowed(ValueRef::Text(half.as_os_str().as_bytes()));
    db.execute("VACUUM INTO ?1", [to])?;
    failpoint!("migration.copied");
    File::open(&half)
        .and_then(|file| file.sync_all())
        .map_err(io)?;
    fs::rename(&half, of_schema(path, found)).map_err(io)?;
    sync_dir(dir).map_err(io)?;
    failpoint!("migration.copy-kept");
    Ok(())
}

/// The store is new and sound: nobody needs it as it was.
fn remove_copies(path: &Path) -> Result<(), Trouble> {
    let old = (1..schema::VERSION).map(|schema| of_schema(path, schema));
    for copy in old.chain([beside(path, "copying")]) {
        // One that cannot be removed harms nobody.
        let _ = remove(&copy);
    }
    failpoint!("migration.copies-removed");
    Ok(())
}

fn remove(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn of_schema(path: &Path, schema: i32) -> PathBuf {
    beside(path, &format!("schema-{schema}"))
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}
