//! An upgrade that is killed: the store is as it was, or new, and opens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use towline_core::failpoint::{self, Hook};
use towline_core::{Query, Store, TransferId};
use towline_store_sqlite::SqliteStore;
use towline_testkit::store_contract::{Sample, block_on};

use crate::{OLD, all, dump, files, history, old, stores, version};

/// Where a child process finds the store, and at which crash point it dies.
const PLACE: &str = "TOWLINE_TEST_PLACE";
const POINT: &str = "TOWLINE_TEST_POINT";

/// So many that an upgrade takes a while.
const TRANSFERS: usize = 3000;

#[test]
fn t37_an_upgrade_that_is_killed_at_any_point_leaves_the_old_store_or_the_new_one() {
    let points = points_of(|place| drop(SqliteStore::open(place)));
    assert!(points.len() >= 7, "{points:?}");
    let old_ones = OLD.into_iter().flat_map(|old| [(old, true), (old, false)]);
    for (schema, closed) in old_ones {
        for point in &points {
            let place = old(&stores::text(schema), closed);
            let killed = child("child_that_opens", place.path(), point)
                .status()
                .unwrap();
            assert!(was_killed(killed), "{point}: {killed}");
            opens_whole(place.path(), point);
        }
    }
}

#[test]
fn an_upgrade_that_is_killed_twice_leaves_the_old_store_or_the_new_one() {
    let points = points_of(|place| drop(SqliteStore::open(place)));
    for first in &points {
        for second in &points {
            let place = old(&stores::text(1), true);
            for point in [first, second] {
                // Where the store is new already, no point of a migration comes.
                let ended = child("child_that_opens", place.path(), point)
                    .status()
                    .unwrap();
                assert!(was_killed(ended) || ended.success(), "{first}, {second}");
            }
            opens_whole(place.path(), &format!("{first}, {second}"));
        }
    }
}

#[test]
fn t37_an_upgrade_that_is_killed_at_any_time_leaves_the_old_store_or_the_new_one() {
    let template = large_old_store();
    let text = dump(template.path());
    let time = {
        let place = copy_of(template.path());
        let begun = Instant::now();
        block_on(SqliteStore::open(place.path()).unwrap().close()).unwrap();
        begun.elapsed()
    };
    let mut random = fastrand::Rng::with_seed(7);
    let (mut old, mut new) = (0, 0);
    for round in 0..20 {
        let place = copy_of(template.path());
        let mut child = child("child_that_opens", place.path(), "none")
            .spawn()
            .unwrap();
        std::thread::sleep(time.mul_f64(random.f64() * 1.5));
        child.kill().unwrap();
        child.wait().unwrap();
        match version(place.path()) {
            1 => {
                old += 1;
                assert!(dump(place.path()) == text, "round {round}: other rows");
            }
            _ => new += 1,
        }
        let store = SqliteStore::open(place.path()).unwrap();
        let page = Query {
            limit: TRANSFERS,
            ..Query::default()
        };
        let there = block_on(store.find(page)).unwrap().transfers.len();
        assert_eq!(there, TRANSFERS, "round {round}");
        block_on(store.close()).unwrap();
        assert_eq!(files(place.path()).len(), 2, "round {round}");
    }
    println!("{old} were as before, {new} were new");
}

#[test]
fn a_close_that_is_killed_at_any_point_loses_nothing() {
    let close = |place: &Path| {
        let store = SqliteStore::open(place).unwrap();
        block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
        let _ = block_on(store.close());
    };
    let points = points_of(close);
    let points = points
        .iter()
        .filter(|point| point.starts_with("checkpoint."));
    let points: Vec<_> = points.collect();
    assert_eq!(points.len(), 2, "{points:?}");
    for point in points {
        let place = tempfile::tempdir().unwrap();
        let killed = child("child_that_closes", place.path(), point)
            .status()
            .unwrap();
        assert!(was_killed(killed), "{point}: {killed}");
        let store = SqliteStore::open(place.path()).unwrap();
        let kept = block_on(store.next(TransferId::START, 10)).unwrap();
        assert_eq!(kept.len(), 1, "{point}");
    }
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_that_opens() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let _watched = failpoint::install(dies_at_its_point());
    let store = SqliteStore::open(&PathBuf::from(place)).unwrap();
    block_on(store.close()).unwrap();
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_that_closes() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let store = SqliteStore::open(&PathBuf::from(place)).unwrap();
    block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
    let _watched = failpoint::install(dies_at_its_point());
    block_on(store.close()).unwrap();
}

/// SIGKILL, by its own hand, at that very point.
fn dies_at_its_point() -> Hook {
    let point = std::env::var(POINT).unwrap();
    Arc::new(move |name| {
        if name == point {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
            loop {
                std::thread::park();
            }
        }
    })
}

/// The crash points that something reaches.
fn points_of(what: impl Fn(&Path)) -> Vec<String> {
    let place = old(&stores::text(1), true);
    let reached: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&reached);
    let watched = failpoint::install(Arc::new(move |name| {
        let mut seen = seen.lock().unwrap();
        if !seen.iter().any(|point| point == name) {
            seen.push(name.to_owned());
        }
    }));
    what(place.path());
    drop(watched);
    let reached = reached.lock().unwrap();
    reached.clone()
}

fn opens_whole(place: &Path, point: &str) {
    let found = version(place);
    let is = dump(place);
    if let Some(schema) = OLD.into_iter().find(|old| *old == found) {
        let says = format!("PRAGMA user_version = {schema};");
        assert!(is.contains(&says), "{point}");
        assert!(
            rows(&is) == rows(&stores::text(schema)),
            "{point}: other rows"
        );
    }
    let store = SqliteStore::open(place).unwrap_or_else(|error| panic!("{point}: {error}"));
    let fresh = tempfile::tempdir().unwrap();
    let same = SqliteStore::open(fresh.path()).unwrap();
    block_on(history::play(&same));
    assert!(all(&store) == all(&same), "{point}: other transfers");
    block_on(store.close()).unwrap();
    assert_eq!(files(place).len(), 2, "{point}: {:?}", files(place));
}

fn rows(text: &str) -> Vec<&str> {
    let rows = text.lines().filter(|line| line.starts_with("INSERT"));
    rows.collect()
}

/// A store of schema 1 whose upgrade takes a while.
fn large_old_store() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    let new = (0..TRANSFERS).map(|n| Sample::upload(&format!("{n}")).build());
    block_on(store.create_many(new.collect())).unwrap();
    block_on(store.close()).unwrap();
    let db = rusqlite::Connection::open(place.path().join("towline.db")).unwrap();
    db.execute_batch(
        "DROP INDEX transfers_by_change; DROP INDEX groups_by_name; DROP INDEX transfers_by_group;
         DROP TABLE not_listed; DROP TABLE listings; DROP INDEX transfers_of_group_unfinished;
         PRAGMA user_version = 1",
    )
    .unwrap();
    place
}

fn copy_of(place: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(place.join("towline.db"), copy.path().join("towline.db")).unwrap();
    copy
}

/// This program again, for one ignored test.
fn child(test: &str, place: &Path, point: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("killed::{test}"), "--ignored"]);
    command.env(PLACE, place).env(POINT, point);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn was_killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}
