//! Stores of older schemas open in the newest, killed at any point of it too.

#![allow(clippy::unwrap_used, reason = "also in the helpers of tests")]

mod history;
mod killed;
mod stores;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;
use towline_core::{
    Change, Changed, Cursor, FoundCounts, GroupPage, GroupQuery, Incident, NewGroup, PartRow,
    Phase, Query, Record, Store, Timestamp, TransferId,
};
use towline_store_sqlite::{SqliteReader, SqliteStore};
use towline_testkit::store_contract::{Sample, block_on, completed, part, phase};

/// Of a store with a log, and of one without.
const CLOSED: [bool; 2] = [true, false];

/// The schemas before the newest.
const OLD: [i64; 3] = [1, 2, 3];

#[test]
fn t37_a_store_of_an_old_schema_opens_and_its_transfers_are_as_they_were() {
    for (schema, closed) in OLD.into_iter().flat_map(|old| CLOSED.map(|it| (old, it))) {
        let place = old(&stores::text(schema), closed);
        let store = SqliteStore::open(place.path()).unwrap();
        let new = tempfile::tempdir().unwrap();
        let same = SqliteStore::open(new.path()).unwrap();
        block_on(history::play(&same));
        let (old, new) = (all(&store), all(&same));
        assert!(old.len() > 20, "{}", old.len());
        assert!(old == new, "other transfers");
        let group = Query {
            group: Some("holiday pictures".into()),
            ..Query::default()
        };
        let found = |store: &SqliteStore| block_on(store.find(group.clone())).unwrap();
        assert!(found(&store).transfers.len() > 2);
        assert_eq!(found(&store), found(&same));
        // That group was a name; from now on there are others too.
        let groups = block_on(store.groups(GroupQuery::default())).unwrap();
        assert_eq!(groups, []);
        let new = NewGroup {
            name: "new".into(),
            request: "{}".into(),
            created_at: Timestamp::default(),
        };
        let made = block_on(store.create_group(new)).unwrap();
        let page = GroupPage {
            new: vec![Sample::upload("of the group").build()],
            ..GroupPage::default()
        };
        let page = block_on(store.record_page(made.id, page)).unwrap();
        assert_eq!(page.map(|created| created.len()), Some(1));
    }
}

#[test]
fn t37_the_transfers_of_a_store_of_schema_1_go_on() {
    let place = old(&stores::text(1), true);
    let store = SqliteStore::open(place.path()).unwrap();
    let unfinished = block_on(store.next(TransferId::START, 100)).unwrap();
    assert!(unfinished.len() > 10, "{}", unfinished.len());
    for record in &unfinished {
        let next = match record.bytes_done {
            0 => completed(),
            _ => vec![Change::PartsLost(block_on(store.parts(record.id)).unwrap())],
        };
        block_on(store.commit(vec![(record.id, next)])).unwrap();
    }
    let paused = Query {
        states: vec![towline_core::State::Paused],
        ..Query::default()
    };
    let paused = block_on(store.find(paused)).unwrap().transfers;
    assert_eq!(paused.len(), 1);
    let id = paused[0].id;
    let more = vec![Change::Parts(vec![part(1)]), phase(Phase::Moving)];
    block_on(store.commit(vec![(id, more)])).unwrap();
    assert_eq!(block_on(store.parts(id)).unwrap(), [part(1), part(2)]);
    // Tokens are known, and ids go on behind the one that was removed.
    let known = Sample::upload("asked to put").token("t-1").build();
    let known = block_on(store.create_many(vec![known])).unwrap();
    assert_eq!(known[0].record().id, TransferId::new(2));
    let last = all(&store).last().unwrap().0.id;
    let new = block_on(store.create_many(vec![Sample::upload("new").build()])).unwrap();
    assert_eq!(new[0].record().id.get(), last.get() + 2);
    block_on(store.close()).unwrap();
    drop(store);
    let store = SqliteStore::open(place.path()).unwrap();
    assert_eq!(
        block_on(store.get(id)).unwrap().unwrap().bytes_done,
        10 << 20
    );
}

#[test]
fn a_reader_that_kept_its_cursor_reads_on_after_an_upgrade() {
    let place = old(&stores::text(1), true);
    let db = Connection::open(place.path().join("towline.db")).unwrap();
    let cursor = db.query_row("SELECT store, epoch, sequence FROM meta", [], |row| {
        Ok(Cursor {
            store: u128::from_be_bytes(row.get(0)?),
            epoch: row.get::<_, i64>(1)?.cast_unsigned(),
            n: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    });
    let cursor = cursor.unwrap();
    drop(db);
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(store.commit(vec![(TransferId::new(1), completed())])).unwrap();
    let changes = block_on(store.changes(Some(cursor), 10)).unwrap();
    match &changes.changed[..] {
        [Changed::Transfer(record)] => assert_eq!(record.id, TransferId::new(1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_only_reads_a_store_of_an_old_schema_reads_it_and_changes_nothing() {
    for schema in OLD {
        let place = old(&stores::text(schema), true);
        let before = fs::read(place.path().join("towline.db")).unwrap();
        let reader = SqliteReader::open(place.path()).unwrap();
        let seen = block_on(reader.find(Query::default())).unwrap().transfers;
        let groups = block_on(reader.groups(GroupQuery::default())).unwrap();
        assert_eq!(groups, []);
        drop(reader);
        assert!(before == fs::read(place.path().join("towline.db")).unwrap());
        let store = SqliteStore::open(place.path()).unwrap();
        let found = block_on(store.find(Query::default())).unwrap();
        assert_eq!(seen, found.transfers);
    }
}

#[test]
fn a_store_that_was_brought_to_the_newest_schema_has_the_tables_of_a_new_one() {
    let fresh = tempfile::tempdir().unwrap();
    block_on(SqliteStore::open(fresh.path()).unwrap().close()).unwrap();
    for text in [stores::text(3), stores::text(2), stores::text(1), oldest()] {
        let place = old(&text, true);
        block_on(SqliteStore::open(place.path()).unwrap().close()).unwrap();
        assert_eq!(tables(place.path()), tables(fresh.path()));
        assert_eq!(version(place.path()), version(fresh.path()));
    }
}

#[test]
fn a_group_of_schema_3_is_as_it_was_and_has_compared_nothing_as_the_same() {
    let group = "INSERT INTO groups (id, name) VALUES (900, 'listed');
                 INSERT INTO listings VALUES (900, '{}', 1, 2, 1, 0, 0, 'behind', 7, 2, 1, 9,
                     NULL, NULL, 0, 3);";
    let place = old(&(stores::text(3) + group), true);
    let reader = SqliteReader::open(place.path()).unwrap();
    let seen = block_on(reader.groups(GroupQuery::default())).unwrap();
    drop(reader);
    let [group] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(group.position.as_deref(), Some("behind"));
    let found = FoundCounts {
        entries: 7,
        skipped: 2,
        refused: 1,
        same: 0,
        bytes: 9,
    };
    assert_eq!(group.found, found);
    let store = SqliteStore::open(place.path()).unwrap();
    let groups = block_on(store.groups(GroupQuery::default())).unwrap();
    assert_eq!(groups, seen);
}

#[test]
fn after_an_upgrade_nothing_but_the_store_is_left() {
    for closed in CLOSED {
        let place = old(&stores::text(1), closed);
        // What earlier attempts that were killed may have left.
        fs::write(place.path().join("towline.db.copying"), b"half").unwrap();
        fs::write(place.path().join("towline.db.schema-1"), b"stale").unwrap();
        block_on(SqliteStore::open(place.path()).unwrap().close()).unwrap();
        let left: BTreeSet<_> = files(place.path());
        assert_eq!(
            left,
            ["towline.db", "towline.lock"].map(String::from).into()
        );
    }
}

#[test]
fn a_store_that_cannot_be_brought_to_the_newest_schema_stays_as_it_was_with_a_copy() {
    let place = old(&stores::text(1), true);
    let db = Connection::open(place.path().join("towline.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM options")
        .unwrap();
    drop(db);
    let before = dump(place.path());
    let failed = SqliteStore::open(place.path()).unwrap_err();
    let damaged = matches!(failed, towline_core::StoreError::Corrupt { .. });
    assert!(damaged, "{failed}");
    assert!(dump(place.path()) == before, "it was changed");
    let copy = place.path().join("towline.db.schema-1");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = stores::dump(&Connection::open(copy).unwrap());
    assert!(copy == before, "the copy differs");
}

/// `cargo test -p towline-store-sqlite --test upgrade -- --ignored write`
#[test]
#[ignore = "writes the store of the newest schema, once, before that is released"]
fn write_the_store_of_the_newest_schema() {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    block_on(history::play(&store));
    block_on(store.close()).unwrap();
    let schema = stores::file(version(place.path()));
    fs::write(schema, dump(place.path())).unwrap();
}

/// A store of the first builds, which lacked some indexes.
fn oldest() -> String {
    let late = [
        "transfers_by_change",
        "groups_by_name",
        "transfers_by_group",
    ];
    let drops = late.map(|index| format!("DROP INDEX {index};\n"));
    stores::text(1) + &drops.concat()
}

/// A place with an old store in it.
fn old(text: &str, closed: bool) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    stores::make(place.path(), text, closed);
    place
}

fn files(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// All that a store has: each transfer with its parts and its incidents.
fn all(store: &SqliteStore) -> Vec<(Record, Vec<PartRow>, Vec<Incident>)> {
    let page = block_on(store.find(Query::default())).unwrap();
    assert!(page.next.is_none());
    let with = |record: Record| {
        let parts = block_on(store.parts(record.id)).unwrap();
        let incidents = block_on(store.incidents(record.id)).unwrap();
        (record, parts, incidents)
    };
    page.transfers.into_iter().map(with).collect()
}

/// What a closed store holds.
fn dump(place: &Path) -> String {
    let db = Connection::open(place.join("towline.db")).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    stores::dump(&db)
}

fn version(place: &Path) -> i64 {
    let db = Connection::open(place.join("towline.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// What makes the tables and indexes.
fn tables(place: &Path) -> BTreeSet<String> {
    let db = Connection::open(place.join("towline.db")).unwrap();
    let mut all = db
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        .unwrap();
    let rows = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    rows.map(|row| words(row.unwrap())).collect()
}
