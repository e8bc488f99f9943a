//! Row 72: few files may be open. Each runs as a process of its own, as the limit
//! is a process's.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use towline::{Config, State, TransferObserver, TransferUtility};

use crate::{BUCKET, MIB, Scene, completed, content};

const CHILD: &str = "TOWLINE_CHILD_DESCRIPTORS";
const ENDPOINT: &str = "TOWLINE_CHILD_ENDPOINT";
const DIR: &str = "TOWLINE_CHILD_DIR";
const TRANSFERS: usize = 40;

/// Runs a test of this file in a process with so many descriptors, against the
/// server of a scene and in its directory.
async fn run_beside(scene: &Scene, limit: u64, test: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("descriptors::{test}")])
        .args(["--ignored", "--nocapture"])
        .env(CHILD, limit.to_string())
        .env(ENDPOINT, scene.server.endpoint())
        .env(DIR, scene.dir.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(ran.contains("1 passed"), "{ran}");
}

/// A utility in such a process, and the directory of the scene.
async fn in_child(set: impl FnOnce(&mut Config)) -> (TransferUtility, PathBuf) {
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let mut config = Config::default();
    set(&mut config);
    let utility = crate::builder(std::env::var(ENDPOINT).unwrap(), &dir.join("few"))
        .config(config)
        .open();
    (utility.await.unwrap(), dir)
}

/// `false` when nobody asked for it.
fn is_child() -> bool {
    let Ok(limit) = std::env::var(CHILD) else {
        return false;
    };
    let current = Some(limit.parse().unwrap());
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    true
}

/// Takes all descriptors that are left.
fn take_all(held: &mut Vec<File>) {
    loop {
        match File::open("/dev/null") {
            Ok(file) => held.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(24), "EMFILE");
                return;
            }
        }
    }
}

/// Waits until it found no descriptor so many times; it may not fail. Whatever
/// becomes free meanwhile is taken.
async fn lacks(
    utility: &TransferUtility,
    observer: &TransferObserver,
    times: usize,
    held: &mut Vec<File>,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        take_all(held);
        let now = observer.transfer();
        assert!(!now.state.is_final(), "{now:?}");
        assert_ne!(now.state, State::WaitingForNetwork, "{:?}", now.error);
        let incidents = utility.incidents(observer.id()).await.unwrap();
        let of_it = incidents
            .iter()
            .filter(|i| i.error.code == "OutOfDescriptors");
        if of_it.count() >= times {
            return;
        }
        assert!(Instant::now() < deadline, "it found descriptors: {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The server is in this process and the transfers in the other, so that only
/// those lack descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn f72_without_descriptors_transfers_wait_and_none_fails() {
    let scene = Scene::start().await;
    let bytes = content(12 * MIB);
    scene.file("source", &bytes);
    scene.object("there", &bytes).await;
    // So slowly that no part ends while it is looked at.
    scene.server.faults().bandwidth(2 << 20);
    run_beside(&scene, 200, "child_whose_descriptors_are_all_taken").await;
    assert!(scene.stored("key").unwrap() == bytes);
    assert!(scene.stored("other").unwrap() == bytes);
    assert!(std::fs::read(scene.path("target")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, as a process of its own"]
async fn child_whose_descriptors_are_all_taken() {
    if !is_child() {
        return;
    }
    // No failure is forgiven: this is none.
    let (utility, dir) = in_child(|config| config.retry_limit = 0).await;
    let source = dir.join("source");
    let up = utility.upload(BUCKET, "key", &source).await.unwrap();
    let down = utility.download(BUCKET, "there", dir.join("target"));
    let down = down.await.unwrap();
    for observer in [&up, &down] {
        crate::until("bytes move", || observer.bytes_transferred() > 0).await;
        observer.pause().await.unwrap();
    }
    let mut held = Vec::new();
    take_all(&mut held);
    // To be asked for something more needs none: it waits too.
    let other = utility.upload(BUCKET, "other", &source).await.unwrap();
    for observer in [&up, &down] {
        observer.resume().await.unwrap();
    }
    let up = utility.observe(up.id()).await.unwrap();
    let down = utility.observe(down.id()).await.unwrap();
    lacks(&utility, &up, 3, &mut held).await;
    lacks(&utility, &down, 3, &mut held).await;
    drop(held);
    for observer in [&up, &down, &other] {
        completed(observer).await;
    }
}

/// Forty uploads and forty downloads at once, by a process with 64 descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn f72_with_few_descriptors_less_is_done_at_one_time_and_all_of_it_is_done() {
    let scene = Scene::start().await;
    let bytes = content(6 * MIB);
    scene.file("source", &bytes);
    scene.object("there", &bytes).await;
    run_beside(&scene, 64, "child_with_few_descriptors").await;
    for n in 0..TRANSFERS {
        assert!(scene.stored(&format!("key-{n}")).unwrap() == bytes, "{n}");
        let target = std::fs::read(scene.path(&format!("target-{n}")));
        assert!(target.unwrap() == bytes, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, as a process of its own"]
async fn child_with_few_descriptors() {
    if !is_child() {
        return;
    }
    let (utility, dir) = in_child(|config| {
        config.requests = Some(256);
        config.parts_per_transfer = Some(16);
    })
    .await;
    utility.set_limits(Some(256), None).unwrap();
    let mut observers = Vec::new();
    for n in 0..TRANSFERS {
        let (key, source) = (format!("key-{n}"), dir.join("source"));
        observers.push(utility.upload(BUCKET, &key, source).await.unwrap());
        let target = dir.join(format!("target-{n}"));
        observers.push(utility.download(BUCKET, "there", target).await.unwrap());
    }
    for observer in observers {
        completed(&observer).await;
        let incidents = utility.incidents(observer.id()).await.unwrap();
        assert_eq!(incidents, [], "they never ran out");
    }
}
