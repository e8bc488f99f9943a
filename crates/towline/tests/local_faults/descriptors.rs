//! Row 72: few files may be open. Each runs as a process of its own, as the limit
//! is a process's.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use towline::{State, TransferObserver};

use crate::{BUCKET, MIB, Scene, completed, content};

const CHILD: &str = "TOWLINE_CHILD_DESCRIPTORS";
const ENDPOINT: &str = "TOWLINE_CHILD_ENDPOINT";
const DIR: &str = "TOWLINE_CHILD_DIR";
const TRANSFERS: usize = 40;

/// Runs a test of this file in a process with so many descriptors.
fn run_with(limit: u64, test: &str, surroundings: &[(&str, &OsStr)]) {
    let name = format!("descriptors::{test}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(CHILD, limit.to_string())
        .envs(surroundings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(ran.contains("1 passed"), "{ran}");
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

/// All descriptors that are left.
fn all_that_are_left() -> Vec<File> {
    let mut held = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => held.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(24), "EMFILE");
                return held;
            }
        }
    }
}

/// Waits until it found no descriptor so many times; it may not fail.
async fn lacks(scene: &Scene, observer: &TransferObserver, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = observer.transfer();
        assert!(!now.state.is_final(), "{now:?}");
        assert_ne!(now.state, State::WaitingForNetwork, "{:?}", now.error);
        let incidents = scene.utility.incidents(observer.id()).await.unwrap();
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

#[test]
fn f72_without_descriptors_transfers_wait_and_none_fails() {
    run_with(200, "child_whose_descriptors_are_all_taken", &[]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, as a process of its own"]
async fn child_whose_descriptors_are_all_taken() {
    if !is_child() {
        return;
    }
    // No retry is forgiven: this is none.
    let mut scene = Scene::start().await;
    scene.utility.close().await.unwrap();
    let mut config = towline::Config::default();
    config.retry_limit = 0;
    scene.utility = crate::builder(scene.server.endpoint(), &scene.path("state"))
        .config(config)
        .open()
        .await
        .unwrap();
    let bytes = content(12 * MIB);
    scene.object("there", &bytes).await;
    let source = scene.file("source", &bytes);
    scene.utility.set_limits(Some(4), None).unwrap();
    scene.server.faults().bandwidth(2 << 20);
    let up = scene.upload("key", &source).await;
    let down = scene.download("there", &scene.path("target")).await;
    for observer in [&up, &down] {
        crate::until("bytes move", || observer.bytes_transferred() > 0).await;
        observer.pause().await.unwrap();
    }
    scene.server.faults().clear();

    let held = all_that_are_left();
    assert!(!held.is_empty());
    let refused = scene.utility.upload(BUCKET, "other", &source).await;
    assert_eq!(refused.unwrap_err().code(), "OutOfDescriptors");
    for observer in [&up, &down] {
        observer.resume().await.unwrap();
    }
    let up = scene.utility.observe(up.id()).await.unwrap();
    let down = scene.utility.observe(down.id()).await.unwrap();
    lacks(&scene, &up, 3).await;
    lacks(&scene, &down, 3).await;

    drop(held);
    completed(&up).await;
    completed(&down).await;
    assert!(scene.stored("key").unwrap() == bytes);
    assert!(std::fs::read(scene.path("target")).unwrap() == bytes);
}

/// Forty uploads and forty downloads at once, by a process with 64 descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn f72_with_few_descriptors_less_is_done_at_one_time_and_all_of_it_is_done() {
    let scene = Scene::start().await;
    let bytes = content(6 * MIB);
    scene.file("source", &bytes);
    scene.object("there", &bytes).await;
    let endpoint = scene.server.endpoint();
    let dir = scene.dir.path().to_owned();
    let child = move || {
        let surroundings = [(ENDPOINT, endpoint.as_ref()), (DIR, dir.as_os_str())];
        run_with(64, "child_with_few_descriptors", &surroundings);
    };
    tokio::task::spawn_blocking(child).await.unwrap();
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
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let mut config = towline::Config::default();
    config.requests = 256;
    config.parts_per_transfer = 16;
    let utility = crate::builder(std::env::var(ENDPOINT).unwrap(), &dir.join("few"))
        .config(config)
        .open()
        .await
        .unwrap();
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
