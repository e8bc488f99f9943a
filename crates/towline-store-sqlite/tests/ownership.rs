//! One owner at a time, readers beside it, and files for the user alone.

#![allow(clippy::unwrap_used, reason = "also in the helpers of tests")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use towline_core::{Change, Phase, Query, Store, StoreError, TransferId};
use towline_store_sqlite::{SqliteReader, SqliteStore};
use towline_testkit::store_contract::{Sample, block_on, completed, part, phase};

/// Where a child process finds the store.
const PLACE: &str = "TOWLINE_TEST_PLACE";

#[test]
fn a_second_owner_is_refused_and_told_who_holds_the_store() {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    match SqliteStore::open(place.path()) {
        Err(StoreError::Owned {
            path,
            holder: Some(holder),
        }) => {
            assert_eq!(path, place.path().join("towline.db"));
            assert!(holder == format!("pid {}", std::process::id()), "{holder}");
        }
        other => panic!("{other:?}"),
    }
    block_on(store.close()).unwrap();
    SqliteStore::open(place.path()).unwrap();
}

#[test]
fn the_store_of_a_killed_process_is_free_at_once_and_complete() {
    let place = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let mut child = child("child_that_holds_the_store", place.path());
        let owned = SqliteStore::open(place.path()).unwrap_err();
        let pid = format!("(pid {})", child.id());
        assert!(owned.to_string().contains(&pid), "{owned}");
        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let kept = block_on(store.next(TransferId::START, 100)).unwrap();
        assert_eq!(kept.len(), round);
    }
}

#[test]
fn every_file_is_for_the_user_alone_whatever_the_umask() {
    let outer = tempfile::tempdir().unwrap();
    let place = outer.path().join("a/state");
    let mut child = child("child_that_holds_the_store", &place);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    let files: Vec<_> = fs::read_dir(&place)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A power cut may take the removal of a journal and leave the rename after it.
#[test]
fn what_is_left_of_the_making_of_a_store_goes_with_its_next_owner() {
    let place = tempfile::tempdir().unwrap();
    let left = ["", "-journal", "-wal", "-shm"].map(|end| format!("towline.db.new{end}"));
    block_on(SqliteStore::open(place.path()).unwrap().close()).unwrap();
    for name in &left {
        fs::write(place.path().join(name), "left").unwrap();
    }
    let _store = SqliteStore::open(place.path()).unwrap();
    for name in &left {
        assert!(!place.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_reader_sees_what_is_committed_while_the_owner_writes() {
    let place = tempfile::tempdir().unwrap();
    let absent = SqliteReader::open(place.path()).unwrap_err();
    assert!(matches!(absent, StoreError::Unusable { .. }), "{absent}");
    let store = SqliteStore::open(place.path()).unwrap();
    let reader = SqliteReader::open(place.path()).unwrap();
    for round in 1..=50 {
        let new = vec![Sample::upload("a").build(), Sample::download("b").build()];
        let made = block_on(store.create_many(new)).unwrap();
        let id = made[0].record().id;
        block_on(store.commit(vec![(id, vec![Change::Parts(vec![part(1)])])])).unwrap();
        let seen = block_on(reader.get(id)).unwrap().unwrap();
        assert_eq!(seen.bytes_done, part(1).len);
        assert_eq!(block_on(reader.parts(id)).unwrap(), [part(1)]);
        assert_eq!(block_on(reader.incidents(id)).unwrap(), []);
        let page = block_on(reader.find(Query::default())).unwrap();
        assert_eq!(page.transfers.len(), (2 * round).min(100));
    }
    drop(reader);
    block_on(store.close()).unwrap();
    let reader = SqliteReader::open(place.path()).unwrap();
    assert!(block_on(reader.get(TransferId::new(1))).unwrap().is_some());
}

#[test]
fn a_reader_needs_no_right_to_write() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("state");
    let store = SqliteStore::open(&dir).unwrap();
    block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
    block_on(store.close()).unwrap();
    drop(store);
    let is_root = chown(&dir, Some(65_534), None).is_ok();
    if is_root {
        chown(dir.join("towline.db"), Some(65_534), None).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    // The tests may be built where another user cannot reach them.
    let program = place.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut child = run(&program, "child_that_reads_the_store", &dir);
    if is_root {
        child.uid(65_534);
    }
    let said = child.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && text.contains("read 1"), "{text}");
    let files: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn calls_at_the_same_time_share_transactions() {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    let new = (0..500)
        .map(|n| Sample::upload(&n.to_string()).build())
        .collect();
    let made = block_on(store.create_many(new)).unwrap();
    let before = store.stats();
    let commits = made
        .iter()
        .map(|made| store.commit(vec![(made.record().id, vec![phase(Phase::Moving)])]));
    assert!(block_on(join_all(commits)).iter().all(Result::is_ok));
    let after = store.stats();
    let transactions = after.transactions - before.transactions;
    println!("500 commits in {transactions} transactions");
    assert_eq!(after.requests - before.requests, 500);
    assert!(transactions < 250, "{transactions}");
}

#[test]
fn a_dropped_call_is_carried_out_or_not_but_never_half() {
    let place = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(place.path()).unwrap();
    let made = block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
    let id = made[0].record().id;
    let waker = std::task::Waker::noop();
    let mut commit = store.commit(vec![(id, completed())]);
    let _ = commit
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
    drop(commit);
    drop(store);
    let store = SqliteStore::open(place.path()).unwrap();
    let record = block_on(store.get(id)).unwrap().unwrap();
    assert_eq!(
        (record.phase, record.outcome.is_some()),
        (Phase::Completed, true)
    );
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_that_holds_the_store() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let store = SqliteStore::open(&PathBuf::from(place)).unwrap();
    block_on(store.create_many(vec![Sample::upload("a").build()])).unwrap();
    println!("\nholding");
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_that_reads_the_store() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let reader = SqliteReader::open(&PathBuf::from(place)).unwrap();
    println!(
        "\nread {}",
        block_on(reader.find(Query::default()))
            .unwrap()
            .transfers
            .len()
    );
}

/// Starts a process that holds the store, and waits until it does.
fn child(test: &str, place: &Path) -> Child {
    let mut child = command(test, place).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map(|line| line.unwrap())
            .any(|line| line == "holding")
    );
    child
}

/// This program again, for one ignored test, with nothing masked from the
/// modes of its files.
fn command(test: &str, place: &Path) -> Command {
    run(&std::env::current_exe().unwrap(), test, place)
}

fn run(program: &Path, test: &str, place: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$@\"", "sh"])
        .arg(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}
