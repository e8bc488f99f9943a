//! SIGKILL at random times and at chosen moments, until everything has arrived
//! whole all the same; SIGTERM and SIGINT. T25, T26, T27.
//!
//! `TOWLINE_KILLS` sets how many random kills all of these make together (default
//! 200), `TOWLINE_SEED` repeats a run. What is asserted of each run is the
//! oracle's to say: promises 1 to 8.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod all_flows;
mod clean_ends;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use towline_core::Direction;
use towline_testkit::crash::{
    BUCKET, End, Kills, Scene, Sighting, Signal, Task, Trigger, Whom, kills, seed,
};
use towline_testkit::crash::{Evidence, Flow, Story};
use towline_testserver::Operation;

const MIB: u64 = 1 << 20;
const SIZES: [u64; 5] = [0, 1, 5_242_880, 5_242_881, 100 * MIB];

/// Eight parts of 5 MiB.
const SEVERAL_PARTS: u64 = 40 * MIB;

/// What may be under way at one time and so may have to be sent again after a
/// kill: six requests, none above 8 MiB at these sizes.
const IN_FLIGHT: u64 = 6 * 8 * MIB;

/// Slow enough that a kill hits the middle of things.
const BANDWIDTH: u64 = 400 * MIB;

fn scene() -> Scene {
    Scene::start(env!("CARGO_BIN_EXE_towline"))
}

fn url(key: &str) -> PathBuf {
    format!("s3://{BUCKET}/{key}").into()
}

fn upload(scene: &Scene, source: &Path, key: &str) -> Task {
    let (verb, json) = (Path::new("upload"), Path::new("--json"));
    scene.task([verb, source, &url(key), json])
}

fn download(scene: &Scene, key: &str, target: &Path) -> Task {
    let (verb, json) = (Path::new("download"), Path::new("--json"));
    scene.task([verb, &url(key), target, json])
}

/// So many kills are made in one scene, whose server has all objects in memory.
const KILLS_IN_A_SCENE: u64 = 200;

fn uploads_through_kills(wanted: u64, draw: impl Fn(&mut Rng) -> Trigger) {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let (mut killed, mut again) = (0, 0);
    while killed < wanted {
        let some = (wanted - killed).min(KILLS_IN_A_SCENE);
        let (kills, bytes) = uploads_in_a_scene(some, seed, &mut rng, &draw);
        killed += kills;
        again += bytes;
    }
    tell(killed, again, "sent");
}

/// Five files of all sizes go up, several at once in one process, until `wanted`
/// kills are made. Tells the kills, and the bytes that were sent again.
fn uploads_in_a_scene(
    wanted: u64,
    seed: u64,
    rng: &mut Rng,
    draw: impl Fn(&mut Rng) -> Trigger,
) -> (u64, u64) {
    let scene = scene();
    let name = |i: usize| format!("file-{i}");
    let files: Vec<PathBuf> = (SIZES.iter().enumerate())
        .map(|(i, size)| scene.file(&name(i), *size, 1000 + i as u64))
        .collect();
    scene.server.faults().bandwidth(BANDWIDTH);
    let mut oracle = scene.oracle(IN_FLIGHT).seeded(seed);
    let (mut killed, mut again) = (0, 0);
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let prefix = format!("round-{round}/");
        let mut args = vec![PathBuf::from("upload"), "--json".into()];
        for (i, file) in files.iter().enumerate() {
            oracle.upload(file, &format!("{prefix}{}", name(i)));
            args.push(file.clone());
        }
        args.push(url(&prefix));
        let next = Kills::at_most(wanted - killed, || draw(rng));
        killed += scene.until_done(&[scene.task(args)], next).kills();
        again += oracle.check().resent();
    }
    (killed, again)
}

/// Five objects of all sizes come down, several at once: a command each, and
/// each with a state of its own.
fn downloads_through_kills(wanted: u64, draw: impl Fn(&mut Rng) -> Trigger) {
    let scene = scene();
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    for (i, size) in SIZES.iter().enumerate() {
        scene.object(&format!("file-{i}"), *size, 2000 + i as u64);
    }
    scene.server.faults().bandwidth(BANDWIDTH);
    let mut oracle = scene.oracle(IN_FLIGHT).seeded(seed);
    let (mut killed, mut again) = (0, 0);
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let dir = scene.path(format!("round-{round}"));
        std::fs::create_dir(&dir).unwrap();
        let mut tasks = Vec::new();
        for i in 0..SIZES.len() {
            let (key, target) = (format!("file-{i}"), dir.join(format!("file-{i}")));
            oracle.download(&key, &target);
            let state = scene.path(format!("state-{i}"));
            tasks.push(download(&scene, &key, &target).in_state(state));
        }
        let next = Kills::at_most(wanted - killed, || draw(&mut rng));
        killed += scene.until_done(&tasks, next).kills();
        again += oracle.check().resent();
        std::fs::remove_dir_all(&dir).unwrap();
    }
    tell(killed, again, "fetched");
}

fn tell(kills: u64, bytes: u64, verb: &str) {
    let each = bytes as f64 / MIB as f64 / kills as f64;
    println!("{kills} kills, {each:.1} MiB {verb} again for each");
}

fn any_time(rng: &mut Rng) -> Trigger {
    Trigger::After(Duration::from_millis(rng.u64(..500)))
}

#[test]
fn t25_t27_uploads_killed_at_random_arrive_whole_and_leave_nothing_behind() {
    uploads_through_kills(kills(18), any_time);
}

#[test]
fn t26_downloads_killed_at_random_arrive_whole_and_leave_nothing_behind() {
    downloads_through_kills(kills(18), any_time);
}

#[test]
fn t25_uploads_killed_at_random_moments_of_every_kind_arrive_whole() {
    let draw = |rng: &mut Rng| Trigger::random(rng, Direction::Upload, 100 * MIB);
    uploads_through_kills(kills(8), draw);
}

#[test]
fn t26_downloads_killed_at_random_moments_of_every_kind_arrive_whole() {
    let draw = |rng: &mut Rng| Trigger::random(rng, Direction::Download, 100 * MIB);
    downloads_through_kills(kills(8), draw);
}

/// Uploads a file of several parts with one signal at this moment. A process
/// may be done before its moment is noticed, so that is tried again.
fn one_upload(when: &Trigger, by: Signal) -> (Story, Evidence) {
    let scene = scene();
    let source = scene.file("source", SEVERAL_PARTS, 3);
    scene.server.faults().bandwidth(BANDWIDTH);
    let mut oracle = scene.oracle(IN_FLIGHT);
    for attempt in 0..20 {
        let key = format!("key-{attempt}");
        oracle.upload(&source, &key);
        let kills = Kills::once(when.clone()).by(by);
        let story = scene.until_done(&[upload(&scene, &source, &key)], kills);
        let evidence = oracle.check();
        if story.kills() == 1 {
            return (story, evidence);
        }
    }
    panic!("no process was ever killed by {when:?}");
}

fn one_download(when: &Trigger, by: Signal) -> (Story, Evidence) {
    let scene = scene();
    scene.object("key", SEVERAL_PARTS, 4);
    scene.server.faults().bandwidth(BANDWIDTH);
    let mut oracle = scene.oracle(IN_FLIGHT);
    for attempt in 0..20 {
        let target = scene.path(format!("target-{attempt}"));
        oracle.download("key", &target);
        let kills = Kills::once(when.clone()).by(by);
        let story = scene.until_done(&[download(&scene, "key", &target)], kills);
        let evidence = oracle.check();
        if story.kills() == 1 {
            return (story, evidence);
        }
    }
    panic!("no process was ever killed by {when:?}");
}

#[test]
fn t25_an_upload_killed_by_bytes_arrived_goes_on() {
    for bytes in [1, 5 * MIB, 17 * MIB, SEVERAL_PARTS - 1] {
        one_upload(&Trigger::Moved(Flow::Received, bytes), Signal::Kill);
    }
}

fn requests_of_an_upload() -> [Sighting; 5] {
    [
        Sighting::of(Operation::CreateMultipartUpload),
        Sighting::of(Operation::UploadPart),
        Sighting::of(Operation::UploadPart).nth(5),
        Sighting::of(Operation::UploadPart).part(8),
        Sighting::of(Operation::CompleteMultipartUpload),
    ]
}

#[test]
fn t25_an_upload_killed_as_a_request_begins_goes_on() {
    for request in requests_of_an_upload() {
        one_upload(&Trigger::Begun(request), Signal::Kill);
    }
}

#[test]
fn t25_an_upload_killed_as_a_request_is_answered_goes_on() {
    for request in requests_of_an_upload() {
        one_upload(&Trigger::Answered(request), Signal::Kill);
    }
}

#[test]
fn t25_an_upload_killed_at_a_write_to_its_store_goes_on() {
    for nth in 1..=8 {
        one_upload(&Trigger::StoreWrite(nth), Signal::Kill);
    }
}

#[test]
fn t26_a_download_killed_by_bytes_sent_goes_on() {
    for bytes in [1, 5 * MIB, 17 * MIB, SEVERAL_PARTS - 1] {
        one_download(&Trigger::Moved(Flow::Sent, bytes), Signal::Kill);
    }
}

#[test]
fn t26_a_download_killed_as_a_request_begins_or_is_answered_goes_on() {
    for request in [
        Sighting::of(Operation::HeadObject),
        Sighting::of(Operation::GetObject),
        Sighting::of(Operation::GetObject).nth(5),
        Sighting::of(Operation::GetObject).nth(8),
    ] {
        one_download(&Trigger::Begun(request.clone()), Signal::Kill);
        one_download(&Trigger::Answered(request), Signal::Kill);
    }
}

#[test]
fn t26_a_download_killed_at_a_write_to_its_store_goes_on() {
    for nth in 1..=8 {
        one_download(&Trigger::StoreWrite(nth), Signal::Kill);
    }
}

#[test]
fn t27_sigterm_and_sigint_end_a_command_within_10_s_and_the_same_one_goes_on() {
    for (signal, code) in [(Signal::Terminate, 143), (Signal::Interrupt, 130)] {
        for (operation, run) in [
            (
                Operation::UploadPart,
                one_upload as fn(&Trigger, Signal) -> _,
            ),
            (Operation::GetObject, one_download),
        ] {
            // Some parts are done, some are under way.
            let when = Trigger::Begun(Sighting::of(operation).nth(7));
            let (story, evidence): (Story, Evidence) = run(&when, signal);
            let stopped = &story.runs[0];
            assert_eq!(stopped.end, End::Code(code), "{}", stopped.stderr);
            let took = stopped.killed.as_ref().unwrap().took;
            assert!(took < Duration::from_secs(10), "{signal:?} took {took:?}");
            assert_eq!(story.ends(), [(0, End::Code(0))]);
            let [row] = &evidence.rows[..] else {
                panic!("one transfer and not {:?}", evidence.rows);
            };
            assert_eq!(row.generation, 1, "it went on, and did not start anew");
        }
    }
}

/// Eight commands of one user on one state, of which any is killed and started
/// again, or the one that owns the state. T36.
fn eight_commands(whom: Whom, wanted: u64) {
    let scene = scene();
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    scene.server.faults().bandwidth(BANDWIDTH);
    let mut oracle = scene.oracle(IN_FLIGHT).seeded(seed);
    let files: Vec<PathBuf> = (0..8)
        .map(|i| scene.file(&format!("file-{i}"), 12 * MIB, 10 + i))
        .collect();
    let (mut killed, mut again) = (0, 0);
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let mut tasks = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let key = format!("round-{round}/key-{i}");
            oracle.upload(file, &key);
            tasks.push(upload(&scene, file, &key));
        }
        let next = Kills::at_most(wanted - killed, || any_time(&mut rng));
        let story = scene.until_done(&tasks, next.whom(whom));
        for run in &story.runs {
            let said = format!("{}{}", run.stdout, run.stderr);
            let inner = ["locked", "panicked", "RUST_BACKTRACE", "in use"];
            for word in inner {
                assert!(!said.contains(word), "{word:?} was shown:\n{said}");
            }
        }
        killed += story.kills();
        let evidence = oracle.check();
        again += evidence.resent();
        if cfg!(target_os = "linux") {
            assert!(evidence.owners_seen > 0, "the watch on the lock is blind");
        }
    }
    tell(killed, again, "sent");
}

#[test]
fn t36_any_of_eight_commands_on_one_state_is_killed_and_all_uploads_arrive_whole() {
    eight_commands(Whom::Itself, kills(7));
}

#[test]
fn t36_the_owner_of_eight_commands_is_killed_and_all_uploads_arrive_whole() {
    eight_commands(Whom::Owner, kills(7));
}
