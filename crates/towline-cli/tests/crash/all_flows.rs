//! Every flow on one state, at random: commands of all kinds are started, ended
//! by SIGKILL, SIGTERM and SIGINT, and started again, while connections are cut,
//! stall and are slow. T25 to T27, T30, T38.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;
use towline_core::Direction;
use towline_testkit::crash::{
    BUCKET, Canaries, Crowd, End, Fate, Oracle, Run, Scene, Signal, Task, Trigger, Weather, Whom,
    kills, seed,
};

use crate::MIB;

/// Commands that are started in a round, one after the other.
const STEPS: usize = 40;
/// And of these at one time.
const AT_ONCE: usize = 4;
/// Faults of the network cost bytes as well, and their number is not bounded.
const NOT_COUNTED: u64 = 1 << 40;
/// A file and an object, one of which is to become as the other is.
struct Subject {
    direction: Direction,
    key: String,
    path: PathBuf,
    fate: Fate,
}

const KINDS: [(Direction, u64, Fate); 9] = [
    (Direction::Upload, 0, Fate::Completes),
    (Direction::Upload, 300 << 10, Fate::Completes),
    (Direction::Upload, 17 * MIB, Fate::Completes),
    (Direction::Upload, 12 * MIB, Fate::MayBeCanceled),
    (Direction::Upload, 12 * MIB, Fate::MayBeRemoved),
    (Direction::Download, 1, Fate::Completes),
    (Direction::Download, 17 * MIB, Fate::Completes),
    (Direction::Download, 12 * MIB, Fate::MayBeCanceled),
    (Direction::Download, 12 * MIB, Fate::MayBeRemoved),
];

/// The sources of all rounds: files of uploads, objects of downloads.
fn prepare(scene: &Scene) {
    for (i, (direction, size, _)) in KINDS.into_iter().enumerate() {
        let seed = 4000 + i as u64;
        match direction {
            Direction::Copy => unreachable!("nothing is copied here"),
            Direction::Upload => drop(scene.file(&format!("file-{i}"), size, seed)),
            Direction::Download => scene.object(&format!("object-{i}"), size, seed),
        }
    }
}

/// The transfers of one round, told to the oracle.
fn subjects(scene: &Scene, oracle: &mut Oracle<'_>, round: u32) -> Vec<Subject> {
    let dir = scene.path(format!("round-{round}"));
    std::fs::create_dir(&dir).unwrap();
    let kinds = KINDS.into_iter().enumerate();
    let subjects = kinds.map(|(i, (direction, _, fate))| {
        let (key, path) = match direction {
            Direction::Copy => unreachable!("nothing is copied here"),
            Direction::Upload => (
                format!("round-{round}/object-{i}"),
                scene.path(format!("file-{i}")),
            ),
            Direction::Download => (format!("object-{i}"), dir.join(format!("file-{i}"))),
        };
        match direction {
            Direction::Copy => unreachable!("nothing is copied here"),
            Direction::Upload => oracle.upload(&path, &key),
            Direction::Download => oracle.download(&key, &path),
        }
        oracle.last_may_end(fate);
        Subject {
            direction,
            key,
            path,
            fate,
        }
    });
    subjects.collect()
}

impl Subject {
    fn url(&self) -> PathBuf {
        format!("s3://{BUCKET}/{}", self.key).into()
    }

    /// The command that is to bring it about.
    fn command(&self, scene: &Scene, more: &[&str]) -> Task {
        let (verb, from, to) = match self.direction {
            Direction::Copy => unreachable!("nothing is copied here"),
            Direction::Upload => ("upload", self.path.clone(), self.url()),
            Direction::Download => ("download", self.url(), self.path.clone()),
        };
        let mut args = vec![PathBuf::from(verb), from, to];
        args.extend(more.iter().map(PathBuf::from));
        let task = scene.task(args);
        // What another command canceled or removed did not happen.
        match self.fate {
            Fate::Completes => task,
            _ => task.or_code(1),
        }
    }

    /// A command about it: to bring it about, or to steer it.
    fn any_command(&self, scene: &Scene, rng: &mut Rng) -> Task {
        // What cannot be done, or is done already, is said with 1.
        let steer = |verb: &str| scene.task([PathBuf::from(verb), self.url()]).or_code(1);
        match (rng.u8(..20), self.fate) {
            (0..=7, _) => self.command(scene, &[]),
            (8..=9, _) => self.command(scene, &["--detach"]),
            (10..=11, _) => scene.task(["daemon", "run", "--until-idle"]),
            (12..=13, _) => steer("pause"),
            (14..=15, _) => steer("resume"),
            (16, _) => steer("retry"),
            (17..=18, Fate::MayBeCanceled) => steer("cancel"),
            (17..=18, Fate::MayBeRemoved) => steer("remove"),
            _ => self.command(scene, &[]),
        }
    }
}

/// When and how a command is to be ended; most are.
fn doom(rng: &mut Rng) -> Option<(Trigger, Signal)> {
    let signal = match rng.u8(..10) {
        0..=1 => return None,
        2..=7 => Signal::Kill,
        8 => Signal::Terminate,
        _ => Signal::Interrupt,
    };
    let after = Duration::from_millis(rng.u64(..300));
    Some((Trigger::After(after), signal))
}

/// One look; says how many were killed.
fn look(crowd: &mut Crowd<'_>) -> u64 {
    crowd.kill_those_due(Whom::Itself, u64::MAX);
    let ended = crowd.reap();
    for run in &ended {
        ends_within_ten_seconds(run);
    }
    std::thread::sleep(Duration::from_millis(1));
    ended.iter().filter(|run| run.killed.is_some()).count() as u64
}

fn ends_within_ten_seconds(run: &Run) {
    if let Some(kill) = &run.killed {
        let took = kill.took;
        assert!(took < Duration::from_secs(10), "{took:?}: {}", run.stderr);
    }
}

/// A command that is left alone and must succeed.
fn finish(scene: &Scene, task: &Task) {
    let run = scene.once(task, None);
    assert_eq!(run.end, End::Code(0), "{task:?}: {}", run.stderr);
}

/// Commands at random, each on one of the subjects; gives how many were killed.
fn turmoil(scene: &Scene, state: &Task, subjects: &[Subject], rng: &mut Rng) -> u64 {
    let weather = Weather::over(scene, rng.u64(..));
    let mut crowd = Crowd::of(scene);
    let mut killed = 0;
    for step in 0..STEPS {
        let subject = &subjects[rng.usize(..subjects.len())];
        let task = subject.any_command(scene, rng);
        let next = Instant::now() + Duration::from_millis(rng.u64(..80));
        crowd.start(step, &task.on_state_of(state), doom(rng));
        if rng.u8(..8) == 0 {
            Canaries::assert_none_in_arguments();
            let signal = [Signal::Kill, Signal::Terminate][rng.usize(..2)];
            killed += scene.signal_background(state, signal) as u64;
        }
        // What waits for a paused one, or for a state that is taken, stays.
        let most = Instant::now() + Duration::from_secs(2);
        while Instant::now() < next || crowd.len() >= AT_ONCE && Instant::now() < most {
            killed += look(&mut crowd);
        }
        if crowd.len() >= AT_ONCE {
            crowd.signal_all(Signal::Terminate);
        }
    }
    drop(weather);
    crowd.signal_all(Signal::Terminate);
    scene.until("all commands have ended", || {
        killed += look(&mut crowd);
        crowd.is_empty()
    });
    scene.signal_background(state, Signal::Terminate);
    scene.until("the background has ended", || {
        scene.background(state).is_empty()
    });
    killed
}

#[test]
fn t25_t26_t27_all_flows_killed_at_random_on_a_bad_network_end_well_and_leave_nothing() {
    let wanted = kills(32);
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let mut scene = Scene::with_canaries(env!("CARGO_BIN_EXE_towline"));
    prepare(&scene);
    scene.put_proxy_between();
    scene.server.faults().bandwidth(40 * MIB);
    let mut oracle = scene.oracle(NOT_COUNTED).seeded(seed);
    let (mut killed, mut looked) = (0, 0);
    for round in 0.. {
        if killed >= wanted {
            break;
        }
        let state = scene
            .task(["list"])
            .in_state(scene.path(format!("state-{round}")));
        let subjects = subjects(&scene, &mut oracle, round);
        killed += turmoil(&scene, &state, &subjects, &mut rng);

        // Whatever was going on when all of it stopped, goes on and ends.
        let run = |args: &[&str]| finish(&scene, &scene.task(args).on_state_of(&state));
        run(&["resume", "--all"]);
        run(&["daemon", "run", "--until-idle"]);
        for row in scene.rows_of(&state) {
            assert!(!row.is_live(), "TOWLINE_SEED={seed}: {row:?}");
        }
        let must = |subject: &&Subject| subject.fate == Fate::Completes;
        for subject in subjects.iter().filter(must) {
            finish(&scene, &subject.command(&scene, &[]).on_state_of(&state));
        }
        oracle.check();
        assert_eq!(scene.background(&state), [] as [u32; 0]);
        looked += scene.assert_no_canary(&state);
        scene.forget_what_was_said();
    }
    println!("{killed} kills, {looked} texts and files without a secret");
    assert!(looked > 30);
}
