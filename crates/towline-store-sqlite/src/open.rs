//! How a database is found, checked, created and connected to.
//!
//! A file that is not ours, is damaged or is newer is refused before anything
//! could change it. Its header is read as a plain file: in the whole process
//! that may happen only while no SQLite connection to it exists, because
//! closing any descriptor of a file drops the process's POSIX locks on it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use towline_core::StoreError;

use crate::migrate;
use crate::place::{sync_dir, sync_path};
use crate::schema;
use crate::trouble::Trouble;

/// The database, in the directory of the store.
pub(crate) const DATABASE: &str = "towline.db";
/// The owner lock, beside it.
pub(crate) const LOCK: &str = "towline.lock";
/// A database that is being created.
const NEW: &str = "towline.db.new";

/// Older builds can corrupt a write-ahead log (the WAL-reset bug).
/// <https://www.sqlite.org/wal.html>
const SQLITE_MIN: i32 = 3_051_003;

/// After a clean end only a database up to here is checked through at once;
/// after an unclean one every database is.
const ALWAYS_CHECKED_BYTES: u64 = 8 << 20;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const MIB: i64 = 1 << 20;

/// Connects the owner, who holds the lock: checks the database, or creates one
/// where there is none, and brings one of an older schema to the newest.
pub(crate) fn owner(path: &Path) -> Result<Connection, StoreError> {
    check_library(path)?;
    if look(path)? {
        sync_log(path).map_err(|error| unusable(path, format!("its log: {error}")))?;
        check(path)?;
        // One that got its name just before the power failed.
        remove_unfinished(path).map_err(|error| unusable(path, error.to_string()))?;
    } else {
        create(path)?;
    }
    let connected = || -> Result<Connection, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        harden(&db)?;
        // A checkpoint is made by `close`, and by no one who only lets go.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            let why = format!("it cannot have a write-ahead log (journal mode {mode})");
            return Err(Trouble::Refused(unusable(path, why)));
        }
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "fullfsync", true)?;
        db.pragma_update(None, "checkpoint_fullfsync", true)?;
        db.pragma_update(None, "journal_size_limit", 64 * MIB)?;
        // In pages of 4 KiB: 16 MiB.
        db.pragma_update(None, "wal_autocheckpoint", 4096)?;
        // In KiB, when negative.
        db.pragma_update(None, "cache_size", -16 * 1024)?;
        Ok(db)
    };
    let db = connected().map_err(|trouble| trouble.into_store_error(path))?;
    migrate::to_newest(&db, path)?;
    Ok(db)
}

/// What an owner that was killed had written to the log, and not synced, is in the
/// memory of this machine alone. It is read as if it were recorded, so it has to be.
fn sync_log(path: &Path) -> std::io::Result<()> {
    match File::open(beside(path, "-wal")) {
        Ok(log) => log.sync_all()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    sync_dir(path.parent().unwrap_or(path)) // its name too
}

/// Connects one who only reads, whether or not somebody owns the store. It reads
/// older schemas as they are.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    check_library(path)?;
    // An owner always has a log, if an empty one; without it the file may be
    // looked at.
    let owned = beside(path, "-wal").exists();
    if !owned && !look(path)? {
        return Err(unusable(path, "there is no store".into()));
    }
    let connected = match connect_reader(path, "") {
        // Nobody has the right to make the log, so there is no writer either.
        Err(Trouble::Sql(_)) if !owned => connect_reader(path, "?immutable=1"),
        connected => connected,
    };
    connected.map_err(|trouble| match trouble {
        Trouble::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            foreign(path)
        }
        trouble => trouble.into_store_error(path),
    })
}

fn connect_reader(path: &Path, parameters: &str) -> Result<Connection, Trouble> {
    let db = read_only(path, parameters)?;
    harden(&db)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -4 * 1024)?;
    check_marks(&db, path)?;
    Ok(db)
}

fn read_only(path: &Path, parameters: &str) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(uri(path) + parameters, flags)?)
}

/// Settings of every connection. The file is taken for hostile: nothing in it
/// runs code of its own.
fn harden(db: &Connection) -> Result<(), Trouble> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // A plan that looks at bound values is made anew for each of them.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Whether there is a database that may be ours; the file is only looked at.
fn look(path: &Path) -> Result<bool, StoreError> {
    let unreadable = |error: std::io::Error| unusable(path, error.to_string());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return nothing_there(path),
        Err(error) => return Err(unreadable(error)),
    };
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(unusable(path, "it is not a regular file".into()));
    }
    if found.len() == 0 {
        // None is ever created under this name: see `create`.
        return Err(corrupt(path, "it is empty"));
    }
    let mut header = Vec::with_capacity(100);
    file.by_ref()
        .take(100)
        .read_to_end(&mut header)
        .map_err(unreadable)?;
    check_header(path, &header, found.len())?;
    Ok(true)
}

/// A log without its database is what is left of a store, not a new one.
fn nothing_there(path: &Path) -> Result<bool, StoreError> {
    if has_log(path) {
        return Err(corrupt(path, "its write-ahead log is there without it"));
    }
    Ok(false)
}

/// Checks the first 100 bytes. <https://www.sqlite.org/fileformat.html>
fn check_header(path: &Path, header: &[u8], len: u64) -> Result<(), StoreError> {
    let start = &header[..header.len().min(MAGIC.len())];
    if header.iter().all(|byte| *byte == 0) {
        return Err(corrupt(path, "its header is all zeros"));
    }
    if !MAGIC.starts_with(start) {
        return Err(foreign(path));
    }
    if header.len() < 100 {
        return Err(corrupt(path, "it is cut off within its header"));
    }
    let number = |at: usize| {
        header[at..at + 4]
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
    };
    if number(68).cast_signed() != schema::APPLICATION_ID {
        return Err(foreign(path));
    }
    check_version(path, i64::from(number(60).cast_signed()))?;
    let page_size = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        size => size,
    };
    if !page_size.is_power_of_two() || page_size < 512 {
        return Err(corrupt(path, "its page size is impossible"));
    }
    // With a log the last checkpoint may have been cut short; SQLite repeats it.
    let pages_known = number(24) == number(92);
    let whole =
        len.is_multiple_of(page_size) && (!pages_known || len / page_size >= u64::from(number(28)));
    if !whole && !has_log(path) {
        return Err(corrupt(path, "it is shorter than its header says"));
    }
    Ok(())
}

/// Reads the database through SQLite, in a way that changes no file: without
/// a log as an immutable file; with one, in which commits may wait that the
/// file does not show, through it.
fn check(path: &Path) -> Result<(), StoreError> {
    let checked = || -> Result<(), Trouble> {
        let unclean = has_log(path);
        let db = if unclean {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(path, flags)?;
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            if !beside(path, "-shm").exists() {
                // Keeps the index of the log in memory instead of a new file.
                db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
            }
            db
        } else {
            read_only(path, "?immutable=1")?
        };
        harden(&db)?;
        db.pragma_update(None, "query_only", true)?;
        check_marks(&db, path)?;
        let small = fs::metadata(path).is_ok_and(|found| found.len() <= ALWAYS_CHECKED_BYTES);
        if unclean || small {
            let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if said != "ok" {
                // Which database it is stands in a line of its own.
                let why: Vec<&str> = said.lines().filter(|line| !line.starts_with('*')).collect();
                return Err(Trouble::Damaged(why.join("; ")));
            }
        }
        Ok(())
    };
    checked().map_err(|trouble| trouble.into_store_error(path))
}

/// Whose database it is, as the last commit has it.
fn check_marks(db: &Connection, path: &Path) -> Result<(), Trouble> {
    let mark = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if mark("application_id")? != i64::from(schema::APPLICATION_ID) {
        return Err(Trouble::Refused(foreign(path)));
    }
    check_version(path, mark("user_version")?).map_err(Trouble::Refused)
}

fn check_version(path: &Path, found: i64) -> Result<(), StoreError> {
    let known = i64::from(schema::VERSION);
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known,
        });
    }
    if found < 1 {
        return Err(corrupt(path, "its schema has no version"));
    }
    Ok(())
}

/// Creates the database under another name and renames it, so that no crash
/// leaves a half-made one under its own.
fn create(path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let new = dir.join(NEW);
    let made = || -> Result<(), Trouble> {
        let io = |error: std::io::Error| Trouble::Refused(unusable(path, error.to_string()));
        remove_unfinished(path).map_err(io)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new);
        let file = file.map_err(io)?;
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(io)?;
        drop(file);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&new, flags)?;
        // A crash leaves nothing that anybody opens, so nothing needs to survive one
        // before all of it is synced below.
        db.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
        db.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE;")?;
        db.execute_batch(schema::CREATE)?;
        db.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        db.pragma_update(None, "user_version", schema::VERSION)?;
        db.execute_batch("COMMIT;")?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.close().map_err(|(_, error)| error)?;
        File::open(&new)
            .and_then(|file| file.sync_all())
            .map_err(io)?;
        // Before anybody can find a store there, so that whoever does need not ask.
        sync_path(dir).map_err(io)?;
        fs::rename(&new, path).map_err(io)?;
        sync_dir(dir).map_err(io)
    };
    made().map_err(|trouble| trouble.into_store_error(path))
}

/// Removes what is left of a database that was being created.
fn remove_unfinished(path: &Path) -> std::io::Result<()> {
    let new = path.with_file_name(NEW);
    for old in [
        new.clone(),
        beside(&new, "-wal"),
        beside(&new, "-shm"),
        beside(&new, "-journal"),
    ] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn check_library(path: &Path) -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        let why = format!(
            "SQLite {} is too old, its logs can be damaged",
            rusqlite::version()
        );
        return Err(unusable(path, why));
    }
    Ok(())
}

/// Whether a write-ahead log waits: the last owner did not close.
fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|found| found.len() > 0)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn unusable(path: &Path, why: String) -> StoreError {
    StoreError::Unusable {
        path: path.to_path_buf(),
        why,
    }
}

fn foreign(path: &Path) -> StoreError {
    StoreError::Foreign {
        path: path.to_path_buf(),
    }
}

fn corrupt(path: &Path, why: &str) -> StoreError {
    StoreError::Corrupt {
        path: path.to_path_buf(),
        why: why.into(),
    }
}
