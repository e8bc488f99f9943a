//! SIGKILL at random times, until everything has arrived whole all the same.
//! T25, T26, T27.
//!
//! `TOWLINE_KILLS` sets how many (default 200 in all), `TOWLINE_SEED` repeats a run.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::{BUCKET, Random, Scene, sha256_of_file, spawn, stderr, temporary_files, towline};
use towline_testserver::Operation;

const MIB: u64 = 1 << 20;
const SIZES: [u64; 5] = [0, 1, 5_242_880, 5_242_881, 100 * MIB];

/// What may be under way at one time and so may have to be sent again after a
/// kill: six requests, none above 8 MiB at these sizes.
const IN_FLIGHT: u64 = 6 * 8 * MIB;

/// Slow enough that a kill hits the middle of things.
const BANDWIDTH: u64 = 400 * MIB;

fn kills() -> u64 {
    std::env::var("TOWLINE_KILLS").map_or(200, |n| n.parse().unwrap())
}

fn seed() -> u64 {
    let seed = std::env::var("TOWLINE_SEED")
        .map_or_else(|_| getrandom::u64().unwrap(), |seed| seed.parse().unwrap());
    println!("TOWLINE_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn t25_t27_uploads_killed_at_random_arrive_whole_and_leave_nothing_behind() {
    let scene = Scene::start().await;
    let mut random = Random(seed());
    let mut files = Vec::new();
    for (i, size) in SIZES.iter().enumerate() {
        files.push(scene.file(&format!("file-{i}"), *size, 1000 + i as u64));
    }
    scene.server.faults().bandwidth(BANDWIDTH);
    let (mut killed, mut again) = (0, 0);
    let wanted = kills() / 2;
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let prefix = format!("round-{round}/");
        let url = format!("s3://{BUCKET}/{prefix}");
        let mut args: Vec<&str> = vec!["upload"];
        args.extend(files.iter().map(|path| path.to_str().unwrap()));
        args.push(&url);
        let before = scene.server.history().bytes_received();
        // Several at once, in one process.
        let kills =
            kill_until_done(&mut random, wanted - killed, 1, |_| scene.towline(&args)).await;
        killed += kills;
        for (i, path) in files.iter().enumerate() {
            let key = format!("{prefix}file-{i}");
            assert_eq!(scene.sha256_of_object(&key), sha256_of_file(path), "{key}");
        }
        assert_eq!(scene.server.open_uploads(BUCKET).len(), 0, "round {round}");
        let resent = scene.server.history().bytes_received() - before - stored(&scene, &prefix);
        assert!(
            resent <= kills * IN_FLIGHT,
            "round {round}: {resent} bytes for {kills} kills"
        );
        again += resent;
    }
    println!(
        "{killed} kills, {:.1} MiB sent again for each",
        mib(again) / killed as f64
    );
    assert!(killed >= wanted);
}

/// Bytes of all objects that were made below a prefix. The same command again
/// makes a new transfer of what an earlier run had completed, so there may be
/// more than one of each.
fn stored(scene: &Scene, prefix: &str) -> u64 {
    let made = |i: usize| {
        let key = format!("{prefix}file-{i}");
        scene.server.history().count_where(|request| {
            request.key.as_deref() == Some(&key)
                && request.status == Some(200)
                && matches!(
                    request.operation,
                    Operation::PutObject | Operation::CompleteMultipartUpload
                )
        }) as u64
    };
    SIZES
        .iter()
        .enumerate()
        .map(|(i, size)| size * made(i))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn t26_downloads_killed_at_random_arrive_whole_and_leave_nothing_behind() {
    let scene = Scene::start().await;
    let mut random = Random(seed());
    let mut hashes = Vec::new();
    for (i, size) in SIZES.iter().enumerate() {
        let path = scene.file(&format!("file-{i}"), *size, 2000 + i as u64);
        let url = format!("s3://{BUCKET}/file-{i}");
        let output = scene.run(&["upload", path.to_str().unwrap(), &url]);
        assert!(output.status.success(), "{}", stderr(&output));
        hashes.push(sha256_of_file(&path));
    }
    scene.server.faults().bandwidth(BANDWIDTH);
    let total: u64 = SIZES.iter().sum();
    let (mut killed, mut again) = (0, 0);
    let wanted = kills() / 2;
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let dir = scene.path(&format!("round-{round}"));
        std::fs::create_dir(&dir).unwrap();
        let before = scene.server.history().bytes_sent();
        // Several at once: a command each, and each with a state of its own.
        let fetch = |i: usize| {
            let url = format!("s3://{BUCKET}/file-{i}");
            let target = dir.join(format!("file-{i}"));
            let state = scene.path(&format!("state-{i}"));
            towline(
                &scene.endpoint,
                &state,
                &["download", &url, target.to_str().unwrap()],
            )
        };
        let kills = kill_until_done(&mut random, wanted - killed, SIZES.len(), fetch).await;
        killed += kills;
        for (i, hash) in hashes.iter().enumerate() {
            let target = dir.join(format!("file-{i}"));
            assert_eq!(&sha256_of_file(&target), hash, "round {round}: file {i}");
        }
        assert_eq!(temporary_files(&dir), [] as [&Path; 0], "round {round}");
        // A kill after the rename and before its record fetches nothing again.
        let resent = (scene.server.history().bytes_sent() - before).saturating_sub(total);
        assert!(
            resent <= kills * IN_FLIGHT,
            "round {round}: {resent} bytes for {kills} kills"
        );
        again += resent;
        std::fs::remove_dir_all(&dir).unwrap();
    }
    println!(
        "{killed} kills, {:.1} MiB fetched again for each",
        mib(again) / killed as f64
    );
    assert!(killed >= wanted);
}

/// Runs commands side by side and kills them at random times, again and again,
/// until each has ended by itself. Kills at most `most`.
async fn kill_until_done(
    random: &mut Random,
    most: u64,
    commands: usize,
    command: impl Fn(usize) -> Command,
) -> u64 {
    let mut killed = 0;
    let mut open: Vec<usize> = (0..commands).collect();
    while !open.is_empty() {
        let mut running: Vec<(usize, Child)> =
            open.drain(..).map(|i| (i, spawn(command(i)))).collect();
        let deadline = Instant::now() + Duration::from_millis(random.below(500));
        while !running.is_empty() {
            running.retain_mut(|(i, child)| match child.try_wait().unwrap() {
                Some(status) => {
                    assert!(
                        status.success(),
                        "command {i} was left alone and failed: {status}"
                    );
                    false
                }
                None if Instant::now() >= deadline && killed < most => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    killed += 1;
                    open.push(*i);
                    false
                }
                None => true,
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    killed
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
