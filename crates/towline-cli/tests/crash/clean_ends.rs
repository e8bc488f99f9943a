//! SIGTERM and SIGINT at any time: what was confirmed is not moved again, and
//! the state is left as a clean end leaves it. T27, FAILURES 7.5.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use towline_testkit::crash::{End, Kills, Scene, Signal, Trigger, kills, seed};
use towline_testserver::Operation;

use crate::{BANDWIDTH, IN_FLIGHT, SEVERAL_PARTS, download, scene, upload};

/// The parts of a key that the server has answered for.
fn confirmed(scene: &Scene, key: &str) -> BTreeSet<u32> {
    let requests = scene.server.history().requests();
    let answered = requests.iter().filter(|request| {
        request.operation == Operation::UploadPart
            && request.key.as_deref() == Some(key)
            && request.completed
            && request.status == Some(200)
    });
    answered.filter_map(|request| request.part_number).collect()
}

/// After a clean end nobody serves the state, and its log is in the database.
fn assert_left_tidy(scene: &Scene) {
    let state = scene.path("state");
    assert!(!state.join("towline.sock").exists());
    // One who reads makes an empty log, and may not remove it.
    let log = std::fs::metadata(state.join("towline.db-wal"));
    assert_eq!(log.map_or(0, |log| log.len()), 0, "bytes in the log");
}

fn any_signal(rng: &mut Rng) -> Signal {
    [Signal::Terminate, Signal::Interrupt][rng.usize(..2)]
}

#[test]
fn t27_no_byte_that_was_confirmed_is_moved_again_after_a_clean_end_at_any_time() {
    let scene = scene();
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let source = scene.file("source", SEVERAL_PARTS, 3);
    scene.object("object", SEVERAL_PARTS, 4);
    scene.server.faults().bandwidth(BANDWIDTH / 4);
    let mut oracle = scene.oracle(IN_FLIGHT).seeded(seed);
    for round in 0..kills(2) {
        let (key, target) = (format!("key-{round}"), scene.path(format!("copy-{round}")));
        oracle.upload(&source, &key);
        oracle.download("object", &target);
        let tasks = [
            upload(&scene, &source, &key),
            download(&scene, "object", &target),
        ];
        let [up, down] = tasks.clone();
        for task in [up, down] {
            let when = Trigger::After(Duration::from_millis(rng.u64(..400)));
            let ended = scene.once(&task, Some((when, any_signal(&mut rng))));
            assert!(
                matches!(ended.end, End::Code(0 | 130 | 143) | End::Signal(_)),
                "{ended:?}"
            );
            if matches!(ended.end, End::Code(_)) {
                assert_left_tidy(&scene);
            }
        }
        let before = confirmed(&scene, &key);
        scene.until_done(&tasks, Kills::none());
        for part in before {
            let times = scene.server.history().times_part_sent(&key, part);
            assert_eq!(times, 1, "TOWLINE_SEED={seed}: part {part} of {key}");
        }
        // Ranges that were recorded are the oracle's.
        oracle.check();
    }
}

#[test]
fn t27_a_daemon_that_is_terminated_ends_with_0_and_the_next_one_goes_on() {
    let scene = scene();
    let source = scene.file("source", SEVERAL_PARTS, 5);
    scene.server.faults().bandwidth(BANDWIDTH / 8);
    let mut oracle = scene.oracle(IN_FLIGHT);
    oracle.upload(&source, "key");
    let daemon = scene.task(["daemon", "run"]);
    let detach = scene.task(["upload", "--detach", "source", "s3://bucket/key"]);
    let mut crowd = towline_testkit::crash::Crowd::of(&scene);
    crowd.start(0, &daemon, None);
    scene.until("it owns the state", || scene.has_owner(&daemon));
    let submitted = scene.once(&detach, None);
    assert_eq!(submitted.end, End::Code(0), "{}", submitted.stderr);
    scene.until("parts are confirmed", || {
        confirmed(&scene, "key").len() >= 2
    });
    crowd.signal_all(Signal::Terminate);
    let mut ended = Vec::new();
    scene.until("it has ended", || {
        ended.extend(crowd.reap());
        crowd.is_empty()
    });
    assert_eq!(ended[0].end, End::Code(0), "{}", ended[0].stderr);
    assert_left_tidy(&scene);
    assert_eq!(scene.background(&daemon), [] as [u32; 0]);
    let before = confirmed(&scene, "key");
    let rows = scene.rows_of(&daemon);
    assert_eq!(rows[0].state, "waiting", "nothing is stored as paused");

    scene.once(&scene.task(["daemon", "run", "--until-idle"]), None);
    for part in before {
        assert_eq!(scene.server.history().times_part_sent("key", part), 1);
    }
    oracle.check();
}
