//! What is not a store of ours, is damaged or is newer is refused, and left as
//! it was: no byte changes and no file appears but the lock.

#![allow(clippy::unwrap_used, reason = "also in the helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;
use towline_core::{Store, StoreError, TransferId};
use towline_store_sqlite::{SqliteReader, SqliteStore};
use towline_testkit::store_contract::{Sample, block_on};

#[test]
fn a_file_that_is_not_a_database_is_foreign() {
    for bytes in [
        &b"hello, world\n"[..],
        &[0xa5; 8192],
        b"SQLite format 2\0and more",
    ] {
        let place = tempfile::tempdir().unwrap();
        fs::write(database(&place), bytes).unwrap();
        assert!(matches!(refusal(&place), StoreError::Foreign { .. }));
    }
}

#[test]
fn the_database_of_another_program_is_foreign() {
    for (mark, table) in [(0, true), (0, false), (0x4d50_3031, true)] {
        for wal in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let db = Connection::open(database(&place)).unwrap();
            if wal {
                db.pragma_update(None, "journal_mode", "WAL").unwrap();
            }
            db.pragma_update(None, "application_id", mark).unwrap();
            db.pragma_update(None, "user_version", 1).unwrap();
            if table {
                db.execute_batch("CREATE TABLE transfers (id INTEGER)")
                    .unwrap();
            }
            drop(db);
            assert!(
                matches!(refusal(&place), StoreError::Foreign { .. }),
                "{mark} {table} {wal}"
            );
        }
    }
}

#[test]
fn a_newer_store_is_refused_with_both_versions() {
    let place = store_with(10);
    let db = Connection::open(database(&place)).unwrap();
    db.pragma_update(None, "user_version", 5).unwrap();
    drop(db);
    let refused = refusal(&place);
    assert!(
        matches!(
            refused,
            StoreError::Newer {
                found: 5,
                known: 4,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_newer_version_that_only_the_log_shows_is_refused_too() {
    for keep_index in [true, false] {
        let place = store_with(10);
        let db = Connection::open(database(&place)).unwrap();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        db.pragma_update(None, "user_version", 7).unwrap();
        drop(db);
        if !keep_index {
            fs::remove_file(place.path().join("towline.db-shm")).unwrap();
        }
        let refused = refusal(&place);
        assert!(
            matches!(refused, StoreError::Newer { found: 7, .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_store_that_is_cut_off_is_corrupt() {
    let whole = store_with(300);
    let bytes = fs::read(database(&whole)).unwrap();
    for keep in [
        1,
        15,
        16,
        60,
        99,
        100,
        4096,
        bytes.len() - 4096,
        bytes.len() - 1,
    ] {
        let place = tempfile::tempdir().unwrap();
        fs::write(database(&place), &bytes[..keep]).unwrap();
        assert!(
            matches!(refusal(&place), StoreError::Corrupt { .. }),
            "{keep}"
        );
    }
}

#[test]
fn a_store_with_a_spoiled_page_is_corrupt() {
    let whole = store_with(300);
    let bytes = fs::read(database(&whole)).unwrap();
    let mut found = 0;
    for page in 1..bytes.len() / 4096 {
        let place = tempfile::tempdir().unwrap();
        let mut spoiled = bytes.clone();
        spoiled[page * 4096..][..4096].fill(0xa5);
        fs::write(database(&place), &spoiled).unwrap();
        assert!(
            matches!(refusal(&place), StoreError::Corrupt { .. }),
            "page {page}"
        );
        found += 1;
    }
    assert!(found > 10);
    let place = tempfile::tempdir().unwrap();
    fs::write(database(&place), vec![0; 4096]).unwrap();
    assert!(matches!(refusal(&place), StoreError::Corrupt { .. }));
}

#[test]
fn a_spoiled_page_is_found_after_an_unclean_end_too() {
    let place = store_with(300);
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(store.create_many(vec![Sample::upload("late").build()])).unwrap();
    drop(store);
    let bytes = fs::read(database(&place)).unwrap();
    let log = fs::read(place.path().join("towline.db-wal")).unwrap();
    assert!(!log.is_empty());
    let pages = bytes.len() / 4096;
    let mut refused = 0;
    for page in 1..pages {
        let place = tempfile::tempdir().unwrap();
        let mut spoiled = bytes.clone();
        spoiled[page * 4096..][..4096].fill(0xa5);
        fs::write(database(&place), &spoiled).unwrap();
        fs::write(place.path().join("towline.db-wal"), &log).unwrap();
        // The log replaces some of the pages; those do not matter.
        if SqliteReader::open(place.path()).is_ok_and(|_| SqliteStore::open(place.path()).is_ok()) {
            continue;
        }
        let _ = fs::remove_file(place.path().join("towline.db-shm"));
        assert!(
            matches!(refusal(&place), StoreError::Corrupt { .. }),
            "page {page}"
        );
        refused += 1;
    }
    assert!(refused > pages / 2, "{refused} of {pages}");
}

#[test]
fn a_log_without_its_database_is_no_new_store() {
    let place = store_with(10);
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(store.create_many(vec![Sample::upload("late").build()])).unwrap();
    drop(store);
    fs::write(database(&place), b"").unwrap();
    assert!(matches!(refusal(&place), StoreError::Corrupt { .. }));
    fs::remove_file(database(&place)).unwrap();
    assert!(matches!(
        SqliteStore::open(place.path()),
        Err(StoreError::Corrupt { .. })
    ));
    assert!(!database(&place).exists());
}

#[test]
fn an_empty_file_is_what_is_left_of_a_store_and_no_new_one() {
    let place = tempfile::tempdir().unwrap();
    fs::write(database(&place), b"").unwrap();
    assert!(matches!(refusal(&place), StoreError::Corrupt { .. }));
}

#[test]
fn a_store_that_was_half_created_is_created_anew() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("towline.db.new"), b"half").unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
    assert!(!place.path().join("towline.db.new").exists());
}

#[test]
fn rows_that_nothing_here_writes_are_damage_and_never_a_panic() {
    let spoil = [
        "UPDATE transfers SET phase = 8",
        "UPDATE transfers SET sub = -1",
        "UPDATE transfers SET direction = 0",
        "UPDATE transfers SET generation = -1",
        "UPDATE transfers SET generation = 1 << 40",
        "UPDATE transfers SET key = ''",
        "UPDATE transfers SET key = CAST(x'ff' AS TEXT)",
        "UPDATE transfers SET bytes_done = -1",
        "UPDATE transfers SET plan_size = -5",
        "UPDATE transfers SET plan_size = 5",
        "UPDATE transfers SET source_inode = NULL",
        "UPDATE transfers SET upload_id = 'u', object = '{}'",
        "UPDATE transfers SET object = '{'",
        "UPDATE transfers SET object = '{\"checksum\":[\"crc32\",\"full_object\",\"0\"]}'",
        "UPDATE transfers SET asked = 9",
        "UPDATE transfers SET outcome = 9",
        "UPDATE transfers SET error = '7'",
        "UPDATE transfers SET proof = 'null and more'",
        "UPDATE buckets SET value = '../..'",
        "UPDATE connections SET value = '{\"source\":7}'",
        "UPDATE options SET value = ''",
        "UPDATE options SET value = '{\"part_size\":1}'",
        "PRAGMA foreign_keys = OFF; DELETE FROM directories",
        "UPDATE transfers SET id = -3",
    ];
    for sql in spoil {
        let place = store_with(1);
        Connection::open(database(&place))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let answer = match SqliteStore::open(place.path()) {
            Ok(store) => block_on(store.find(Default::default())).map(drop),
            Err(error) => Err(error),
        };
        assert!(
            matches!(answer, Err(StoreError::Corrupt { .. })),
            "{sql}: {answer:?}"
        );
    }
    for sql in [
        "number = 0",
        "len = -1",
        "algorithm = 77",
        "checksum = x'00'",
        "number = 1 << 33",
    ] {
        let place = store_with(1);
        let db = Connection::open(database(&place)).unwrap();
        db.execute_batch("INSERT INTO parts VALUES (1, 1, 5, NULL, 3, x'00000000')")
            .unwrap();
        db.execute_batch(&format!("UPDATE parts SET {sql}"))
            .unwrap();
        drop(db);
        let store = SqliteStore::open(place.path()).unwrap();
        let answer = block_on(store.parts(TransferId::new(1)));
        assert!(
            matches!(answer, Err(StoreError::Corrupt { .. })),
            "{sql}: {answer:?}"
        );
    }
}

#[test]
fn a_trigger_that_was_planted_does_not_run() {
    let place = store_with(1);
    let db = Connection::open(database(&place)).unwrap();
    db.execute_batch(
        "CREATE TRIGGER planted AFTER INSERT ON transfers BEGIN DELETE FROM transfers; END",
    )
    .unwrap();
    drop(db);
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(store.create_many(vec![Sample::upload("b").build()])).unwrap();
    let page = block_on(store.find(Default::default())).unwrap();
    assert_eq!(page.transfers.len(), 2);
}

#[test]
fn a_directory_that_everybody_may_write_to_is_unusable() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = SqliteStore::open(place.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_of_another_user_is_unusable() {
    let place = tempfile::tempdir().unwrap();
    // Only root can give one away.
    if std::os::unix::fs::chown(place.path(), Some(65_534), None).is_ok() {
        let refused = SqliteStore::open(place.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    }
}

#[test]
fn a_file_in_place_of_the_directory_is_unusable() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert!(matches!(
        SqliteStore::open(&file),
        Err(StoreError::Unusable { .. })
    ));
    fs::create_dir(place.path().join("towline.db")).unwrap();
    assert!(matches!(
        SqliteStore::open(place.path()),
        Err(StoreError::Unusable { .. })
    ));
}

/// How the store in a directory is refused, as its owner and as a reader,
/// after checking that neither left a trace.
fn refusal(place: &TempDir) -> StoreError {
    let before = contents(place.path());
    let refused = SqliteStore::open(place.path()).unwrap_err();
    let unchanged = |who: &str| {
        for (file, bytes) in contents(place.path()) {
            // The index of a log is no more than a cache of it.
            if !file.to_str().unwrap().ends_with("-shm") || !before.contains_key(&file) {
                assert!(
                    before.get(&file) == Some(&bytes),
                    "{who} changed {file:?}: {refused}"
                );
            }
        }
    };
    unchanged("the owner");
    if matches!(
        refused,
        StoreError::Foreign { .. } | StoreError::Newer { .. }
    ) {
        let seen = SqliteReader::open(place.path()).unwrap_err();
        assert_eq!(
            std::mem::discriminant(&seen),
            std::mem::discriminant(&refused),
            "{seen}"
        );
        if matches!(refused, StoreError::Foreign { .. }) {
            unchanged("a reader");
        }
    }
    refused
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| !path.ends_with("towline.lock"));
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn store_with(count: usize) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    let new = (0..count)
        .map(|n| Sample::upload(&n.to_string()).build())
        .collect();
    block_on(store.create_many(new)).unwrap();
    block_on(store.close()).unwrap();
    let files: Vec<_> = contents(place.path()).into_keys().collect();
    assert_eq!(files, [database(&place)], "a clean end leaves one file");
    place
}

fn database(place: &TempDir) -> PathBuf {
    place.path().join("towline.db")
}
