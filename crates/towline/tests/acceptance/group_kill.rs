//! Groups of a process that is really killed while it lists: they go on by
//! themselves, and nothing is lost or done twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use towline::{
    Config, GroupId, Query, SqliteReader, State, SyncCompare, SyncRequest, TransferChange,
    TransferUtility,
};
use towline_testserver::{Operation, Rule, Script, TestServer};

use crate::{BUCKET, Scene};

const ENDPOINT: &str = "TOWLINE_CHILD_ENDPOINT";
const STATE: &str = "TOWLINE_CHILD_STATE";
const DIR: &str = "TOWLINE_CHILD_DIR";
/// What it begins.
const WHAT: &str = "TOWLINE_CHILD_WHAT";

/// More than a page of a listing, and than a step of a walk.
const ALL: usize = 1100;
const PAGE: u64 = 1000;

/// Begins a group, and waits until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by other tests, as a process of its own"]
async fn child_that_is_killed_with_a_group() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        return;
    };
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let utility = open(endpoint, path(STATE)).await;
    let by_size = |sync: SyncRequest| sync.compare(SyncCompare::Size).start();
    let _group = match std::env::var(WHAT).unwrap().as_str() {
        "directory" => utility.upload_directory(path(DIR), BUCKET, "p/").await,
        "prefix" => utility.download_prefix(BUCKET, "p/", path(DIR)).await,
        "copy" => utility.copy_prefix(BUCKET, "p/", BUCKET, "q/").await,
        "sync up" => by_size(utility.sync_up(path(DIR), BUCKET, "p/")).await,
        _ => by_size(utility.sync_down(BUCKET, "p/", path(DIR))).await,
    }
    .unwrap();
    std::future::pending().await
}

/// Lists no more before all that it listed is done.
async fn open(endpoint: String, state: PathBuf) -> TransferUtility {
    let mut config = Config::default();
    config.listed_ahead = 1;
    let builder = crate::builder(endpoint, state).config(config);
    builder.open().await.unwrap()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL
        let _ = self.0.wait();
    }
}

fn child(server: &TestServer, state: &Path, dir: &Path, what: &str) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "group_kill::child_that_is_killed_with_a_group"])
        .args(["--ignored", "--nocapture"])
        .env(ENDPOINT, server.endpoint())
        .env(STATE, state)
        .env(DIR, dir)
        .env(WHAT, what)
        .stdout(Stdio::null());
    Killed(command.spawn().unwrap())
}

/// The keys of those that a state has recorded as completed.
async fn completed(state: &Path) -> BTreeSet<String> {
    let reader = SqliteReader::open(state).unwrap();
    let query = Query {
        states: vec![State::Completed],
        limit: 2 * ALL,
        ..Query::default()
    };
    let found = reader.find(query).await.unwrap().transfers;
    let key = |record: &towline::Record| record.spec.object.key.as_str().to_owned();
    found.iter().map(key).collect()
}

/// The keys of all transfers, each of which there is once, and the ends of groups
/// that were told.
async fn ended(utility: &TransferUtility) -> (BTreeSet<String>, usize) {
    let group = utility.observe_group(GroupId::new(1)).await.unwrap();
    let group = group.finished().await.unwrap();
    assert_eq!(group.state, State::Completed, "{group:?}");
    assert_eq!(group.found.entries, ALL as u64);
    assert_eq!(group.transfers.completed, ALL as u64);
    assert_eq!(group.transfers.bytes_done, group.found.bytes);
    let query = Query {
        limit: 2 * ALL,
        ..Query::default()
    };
    let (found, _) = utility.find(query).await.unwrap();
    assert_eq!(found.len(), ALL);
    let keys = found.into_iter().map(|transfer| transfer.key).collect();
    let (_, cursor) = utility.changes(None, 1).await.unwrap();
    let start = towline::Cursor { n: 0, ..cursor };
    let (changes, _) = utility.changes(Some(start), 10 * ALL).await.unwrap();
    let ends = changes
        .iter()
        .filter(|change| matches!(change, TransferChange::Group(group) if group.state.is_final()));
    (keys, ends.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_whose_process_is_killed_while_it_lists_goes_on_by_itself_where_it_was() {
    let scene = Scene::start().await;
    for n in 0..ALL {
        let key = format!("p/{n:05}");
        let put = scene.server.put_object(BUCKET, &key, "bytes".into());
        put.await.unwrap();
    }
    let listing = Rule::on(Operation::ListObjectsV2).nth(2);
    let stalled = listing.delay(Duration::from_secs(600));
    let faults = scene.server.faults();
    faults.play(Script::new().rule(stalled)).unwrap();
    let (state, dir) = (
        scene.dir.path().join("killed"),
        scene.dir.path().join("dir"),
    );
    let process = child(&scene.server, &state, &dir, "prefix");
    let history = scene.server.history();
    let lists = || history.count(Operation::ListObjectsV2);
    crate::until("the second page is asked for", || lists() == 2).await;
    drop(process);
    let done = completed(&state).await;
    assert_eq!(
        done.len() as u64,
        PAGE,
        "it lists no more before these are done"
    );

    faults.play(Script::new()).unwrap();
    history.clear();
    let utility = open(scene.server.endpoint(), state).await;
    let (keys, ends) = ended(&utility).await;
    assert_eq!((keys.len(), ends), (ALL, 1));
    assert_eq!(lists(), 1, "it goes on behind what it had listed");
    let again = |key: &Option<String>| key.as_ref().is_some_and(|key| done.contains(key));
    let again = history.count_where(|it| it.operation == Operation::GetObject && again(&it.key));
    assert_eq!(again, 0, "nothing is fetched twice");
    assert_eq!(crate::names(&dir).len(), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_process_is_killed_while_it_is_walked_goes_on_by_itself_where_it_was() {
    let scene = Scene::start().await;
    let (state, dir) = (
        scene.dir.path().join("killed"),
        scene.dir.path().join("dir"),
    );
    let mut expected = BTreeSet::new();
    for n in 0..ALL {
        let below = format!("{}/{n:05}", n % 3);
        let path = dir.join(&below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "bytes").unwrap();
        expected.insert(format!("p/{below}"));
    }
    // One of the first thousand is never answered, so the rest is not listed.
    let stalled = Rule::on(Operation::PutObject).key("p/0/00300");
    let stalled = stalled.delay(Duration::from_secs(600));
    let faults = scene.server.faults();
    faults.play(Script::new().rule(stalled)).unwrap();
    let process = child(&scene.server, &state, &dir, "directory");
    let history = scene.server.history();
    crate::until("one is sent", || history.count(Operation::PutObject) > 0).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while completed(&state).await.len() < 100 {
        assert!(
            Instant::now() < deadline,
            "never: some are recorded as done"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(process);
    let done = completed(&state).await;
    assert!((done.len() as u64) < PAGE);

    faults.play(Script::new()).unwrap();
    history.clear();
    let utility = open(scene.server.endpoint(), state).await;
    let (keys, ends) = ended(&utility).await;
    assert!(keys == expected);
    assert_eq!(ends, 1);
    let again = |key: &Option<String>| key.as_ref().is_some_and(|key| done.contains(key));
    let again = history.count_where(|it| it.operation == Operation::PutObject && again(&it.key));
    assert_eq!(again, 0, "nothing is sent twice");
    for key in expected {
        assert_eq!(scene.server.versions(BUCKET, &key).len(), 1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_copy_whose_process_is_killed_while_it_lists_goes_on_and_copies_nothing_twice() {
    let scene = Scene::start().await;
    for n in 0..ALL {
        let key = format!("p/{n:05}");
        let put = scene.server.put_object(BUCKET, &key, "bytes".into());
        put.await.unwrap();
    }
    let listing = Rule::on(Operation::ListObjectsV2).nth(2);
    let stalled = listing.delay(Duration::from_secs(600));
    let faults = scene.server.faults();
    faults.play(Script::new().rule(stalled)).unwrap();
    let state = scene.dir.path().join("killed");
    let process = child(&scene.server, &state, scene.dir.path(), "copy");
    let history = scene.server.history();
    let lists = || history.count(Operation::ListObjectsV2);
    crate::until("the second page is asked for", || lists() == 2).await;
    drop(process);
    let done = completed(&state).await;
    assert_eq!(
        done.len() as u64,
        PAGE,
        "it lists no more before these are done"
    );

    faults.play(Script::new()).unwrap();
    history.clear();
    let utility = open(scene.server.endpoint(), state).await;
    let (keys, ends) = ended(&utility).await;
    assert_eq!((keys.len(), ends), (ALL, 1));
    assert_eq!(lists(), 1, "it goes on behind what it had listed");
    assert_eq!(history.count(Operation::CopyObject), ALL - done.len());
    for key in keys {
        assert!(key.starts_with("q/"), "{key}");
        assert_eq!(scene.server.versions(BUCKET, &key).len(), 1, "{key}");
    }
}

/// Killed before what lies behind the first thousand is compared.
async fn sync_is_killed(what: &str, moves: Operation) {
    let scene = Scene::start().await;
    let (state, dir) = (
        scene.dir.path().join("killed"),
        scene.dir.path().join("dir"),
    );
    std::fs::create_dir(&dir).unwrap();
    // Each tenth is the same on both sides.
    for n in 0..ALL {
        let (key, is_same) = (format!("p/{n:05}"), n % 10 == 0);
        if is_same || moves == Operation::GetObject {
            let put = scene.server.put_object(BUCKET, &key, "bytes".into());
            put.await.unwrap();
        }
        if is_same || moves == Operation::PutObject {
            std::fs::write(dir.join(format!("{n:05}")), "bytes").unwrap();
        }
    }
    // One of the first thousand is never answered, so the rest is not compared.
    let stalled = Rule::on(moves).key("p/00301");
    let stalled = stalled.delay(Duration::from_secs(600));
    let faults = scene.server.faults();
    faults.play(Script::new().rule(stalled)).unwrap();
    let process = child(&scene.server, &state, &dir, what);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !state.join("towline.db").exists() || completed(&state).await.len() < 100 {
        assert!(
            Instant::now() < deadline,
            "never: some are recorded as done"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(process);
    let done = completed(&state).await;
    assert!(done.len() < 900);

    faults.play(Script::new()).unwrap();
    let history = scene.server.history();
    history.clear();
    let utility = open(scene.server.endpoint(), state).await;
    let group = utility.observe_group(GroupId::new(1)).await.unwrap();
    let group = group.finished().await.unwrap();
    assert_eq!(group.state, State::Completed, "{group:?}");
    assert_eq!((group.found.entries, group.found.same), (1100, 110));
    assert_eq!(group.transfers.completed, 990);
    let lists = history.requests();
    let lists: Vec<_> = lists
        .iter()
        .filter(|it| it.operation == Operation::ListObjectsV2)
        .collect();
    assert_eq!(lists.len(), 1, "it goes on behind what it had compared");
    let again = |key: &Option<String>| key.as_ref().is_some_and(|key| done.contains(key));
    let again = history.count_where(|it| it.operation == moves && again(&it.key));
    assert_eq!(again, 0, "nothing is moved twice");
    for n in 0..ALL {
        let key = format!("p/{n:05}");
        assert_eq!(scene.server.versions(BUCKET, &key).len(), 1, "{key}");
        assert_eq!(std::fs::read(dir.join(&key[2..])).unwrap(), b"bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_up_whose_process_is_killed_while_it_compares_goes_on_by_itself_where_it_was() {
    sync_is_killed("sync up", Operation::PutObject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_down_whose_process_is_killed_while_it_compares_goes_on_by_itself_where_it_was() {
    sync_is_killed("sync down", Operation::GetObject).await;
}
