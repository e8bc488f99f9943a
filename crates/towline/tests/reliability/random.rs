//! Faults at random, of every kind at once, over everything from nothing to 100 MiB.
//!
//! `TOWLINE_FAULT_CASES=n` plays n seeds for each probability, `TOWLINE_SEED=s`
//! begins with this one.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use towline::{State, Transfer, TransferObserver};
use towline_testkit::crash::bytes;

use crate::mix;
use crate::scene::{BUCKET, MIB, Scene, asked, quick};

/// One transfer of each, both ways.
const SIZES: [u64; 8] = [
    0,
    1,
    4 << 10,
    5 * MIB,
    5 * MIB + 1,
    16 * MIB + 3,
    64 * MIB,
    100 * MIB,
];

/// And of so many more of 4 KiB.
const SMALL: u64 = 120;

/// However bad the day, a run of all these ends in this time.
const TIME: Duration = Duration::from_secs(240);

/// What the server saw of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    requests: u64,
    bytes: u64,
    /// Requests that had a fault.
    faults: u64,
}

impl Cost {
    fn of(scene: &Scene) -> Self {
        let history = scene.server.history();
        let faults = history.count_where(|request| request.fault.is_some());
        Self {
            requests: history.count_where(|_| true) as u64,
            bytes: history.bytes_received() + history.bytes_sent(),
            faults: faults as u64,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
            faults: self.faults + other.faults,
        }
    }
}

fn sizes() -> Vec<u64> {
    let small = (0..SMALL).map(|_| 4 << 10);
    SIZES.into_iter().chain(small).collect()
}

/// Uploads and downloads everything, and looks whether it is right and nothing
/// else is left.
async fn play(seed: u64, probability: f64) -> Cost {
    let mut config = quick();
    config.requests = Some(32); // those that wait hold up no others
    let scene = Scene::start(config).await;
    let script = mix::script(seed, probability);
    scene.server.faults().play(script).unwrap();
    let sizes = sizes();
    let mut uploads = Vec::new();
    for (n, size) in sizes.iter().enumerate() {
        let source = scene.source(&format!("source-{n}"), &bytes(*size, n as u64));
        let upload = scene.utility.upload(BUCKET, format!("key-{n}"), source);
        uploads.push(upload.await.unwrap());
    }
    all_completed(uploads).await;
    for (n, size) in sizes.iter().enumerate() {
        let stored = scene.server.object_bytes(BUCKET, &format!("key-{n}"));
        assert!(stored.unwrap() == bytes(*size, n as u64), "key-{n}");
    }
    assert_eq!(scene.server.open_uploads(BUCKET), []);

    let mut downloads = Vec::new();
    let mut targets: Vec<PathBuf> = Vec::new();
    for n in 0..sizes.len() {
        targets.push(scene.target(&format!("{n}")));
        let download = scene
            .utility
            .download(BUCKET, format!("key-{n}"), &targets[n]);
        downloads.push(download.await.unwrap());
    }
    all_completed(downloads).await;
    for (n, size) in sizes.iter().enumerate() {
        let fetched = std::fs::read(&targets[n]).unwrap();
        assert!(fetched == bytes(*size, n as u64), "target {n}");
    }
    assert_eq!(scene.leftovers(&targets), [] as [PathBuf; 0]);
    Cost::of(&scene)
}

async fn all_completed(observers: Vec<TransferObserver>) {
    for observer in observers {
        let ended: Transfer = observer.finished().await.unwrap();
        assert_eq!(ended.state, State::Completed, "{ended:?}");
        assert_eq!(Some(ended.bytes_transferred), ended.bytes_total);
    }
}

/// Plays these seeds, unless others are asked for, and gives what they cost
/// together and how many they were.
async fn play_all(probability: f64, seeds: Range<u64>) -> (Cost, u64) {
    let first = asked("TOWLINE_SEED").unwrap_or(seeds.start);
    let count = asked("TOWLINE_FAULT_CASES").unwrap_or(seeds.end - seeds.start);
    let mut all = Cost::default();
    for seed in first..first + count {
        println!("TOWLINE_SEED={seed}, {probability} of the requests");
        let start = Instant::now();
        let played = tokio::time::timeout(TIME, play(seed, probability)).await;
        let cost = played.unwrap_or_else(|_| panic!("seed {seed} does not end"));
        println!("{cost:?} in {:.1} s", start.elapsed().as_secs_f64());
        all = all.and(cost);
    }
    // The dice were thrown.
    let expected = probability * all.requests as f64;
    assert!(all.faults as f64 > expected / 2.0, "{all:?}");
    (all, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_one_of_a_hundred_requests_all_arrive_whole() {
    play_all(0.01, 1..2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_five_of_a_hundred_all_arrive_whole_at_little_cost() {
    let none = play(0, 0.0).await;
    let (some, seeds) = play_all(0.05, 1..3).await;
    let times = |some: u64, none: u64| some as f64 / (none * seeds) as f64;
    let requests = times(some.requests, none.requests);
    let bytes = times(some.bytes, none.bytes);
    println!("{requests:.3} times the requests, {bytes:.3} times the bytes");
    assert!(requests <= 1.15, "{requests:.3} times the requests");
    assert!(bytes <= 1.10, "{bytes:.3} times the bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_one_of_ten_requests_all_arrive_whole() {
    play_all(0.1, 1..2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_three_of_ten_requests_all_arrive_whole() {
    play_all(0.3, 2..3).await;
}
