//! Minutes of uploads and downloads with faults of the network and kills; memory,
//! descriptors and the store's log stay flat, everything ends right, and nothing
//! is left.
//!
//! `TOWLINE_SOAK_SECONDS` sets how long (default 20). `soak.csv` and `soak.svg` are
//! written to `TOWLINE_SOAK_DIR`, or to the tests' own directory.

mod load;
mod plot;
mod sample;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;
use towline_testkit::crash::{
    BUCKET, Crowd, End, Scene, Signal, Task, Trigger, Weather, Whom, seed, soak_time,
};

use load::Load;
use sample::{Sample, Samples};

use crate::terminal::MIB;

/// Commands that submit at one time.
const AT_ONCE: usize = 3;
/// What `Run::task` says of daemons.
const DAEMON: usize = usize::MAX;

/// One state directory with its daemon.
struct Side {
    name: &'static str,
    state: Task,
    load: Load,
    is_killed: bool,
    daemon_runs: bool,
}

impl Side {
    fn of(scene: &Scene, name: &'static str, is_killed: bool) -> Self {
        let state = scene.task(["list"]).in_state(scene.path(name));
        Self {
            name,
            load: Load::on(scene, name),
            state,
            is_killed,
            daemon_runs: false,
        }
    }

    /// A daemon, where none runs; it is killed within seconds on the one side.
    fn keep_a_daemon(&mut self, scene: &Scene, crowd: &mut Crowd<'_>, rng: &mut Rng) {
        if self.daemon_runs {
            return;
        }
        let doom = self.is_killed.then(|| {
            let after = Duration::from_millis(rng.u64(500..6_000));
            let signal = [Signal::Kill, Signal::Kill, Signal::Terminate][rng.usize(..3)];
            (Trigger::After(after), signal)
        });
        let daemon = scene.task(["daemon", "run"]).on_state_of(&self.state);
        crowd.start(DAEMON, &daemon, doom);
        self.daemon_runs = true;
    }

    fn submit(&self, scene: &Scene, crowd: &mut Crowd<'_>, rng: &mut Rng) {
        // While its daemon is away, `--detach` may find that nobody takes it.
        let task = self.load.any(scene, rng).on_state_of(&self.state);
        let task = if self.is_killed {
            task.or_code(1).or_code(4)
        } else {
            task
        };
        let doom = (rng.u8(..5) == 0).then(|| {
            let after = Duration::from_millis(rng.u64(..100));
            (Trigger::After(after), Signal::Kill)
        });
        crowd.start(0, &task, doom);
    }
}

/// One look at those that run: kills them when it is time, and notes who has ended.
/// With a daemon goes whoever `--detach` started in its place.
fn look(scene: &Scene, crowd: &mut Crowd<'_>, sides: &mut [Side], kills: &mut u64) {
    crowd.kill_those_due(Whom::Itself, u64::MAX);
    for run in crowd.reap() {
        *kills += u64::from(run.killed.is_some());
        if run.task == DAEMON {
            let side = sides
                .iter_mut()
                .find(|side| side.state.has_state(&run.state_dir));
            let side = side.unwrap();
            assert!(side.is_killed, "{} ended: {}", side.name, run.stderr);
            side.daemon_runs = false;
            *kills += scene.signal_background(&side.state, Signal::Kill) as u64;
        } else if run.killed.is_none() {
            let fine =
                matches!(run.end, End::Code(code) if code == 0 || run.also_fine.contains(&code));
            assert!(fine, "{:?}: {}", run.end, run.stderr);
        }
    }
    std::thread::sleep(Duration::from_millis(2));
}

#[test]
fn minutes_with_faults_and_kills_leave_memory_descriptors_and_log_as_they_were() {
    let time = soak_time(Duration::from_secs(20));
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let mut scene = Scene::start(env!("CARGO_BIN_EXE_towline"));
    load::prepare(&scene);
    scene.put_proxy_between();
    scene.server.faults().bandwidth(60 * MIB);
    let mut sides = [
        Side::of(&scene, "steady", false),
        Side::of(&scene, "killed", true),
    ];
    let mut crowd = Crowd::of(&scene);
    let mut samples = Samples::every(time / 300, sides.iter().map(|side| side.name));
    let (mut kills, mut submitted) = (0, 0);
    sides[0].keep_a_daemon(&scene, &mut crowd, &mut rng);
    scene.until("it owns the state", || scene.has_owner(&sides[0].state));
    let weather = Weather::over(&scene, rng.u64(..));
    let begun = Instant::now();
    let mut next = Instant::now();
    while begun.elapsed() < time {
        for side in &mut sides {
            side.keep_a_daemon(&scene, &mut crowd, &mut rng);
        }
        if Instant::now() >= next && crowd.len() < sides.len() + AT_ONCE {
            sides[rng.usize(..2)].submit(&scene, &mut crowd, &mut rng);
            submitted += 1;
            next = Instant::now() + Duration::from_millis(rng.u64(20..200));
        }
        if samples.due(begun.elapsed()) {
            for side in &sides {
                samples.take(begun.elapsed(), side.name, Sample::of(&scene, &side.state));
            }
            scene.forget_history();
        }
        look(&scene, &mut crowd, &mut sides, &mut kills);
    }
    println!("{submitted} submits, {kills} kills");
    drop(weather);
    scene.server.faults().clear();

    // Submitters end by themselves, daemons by SIGTERM; what is unfinished then goes
    // on in one that ends when nothing is left to do.
    for run in crowd.end_all_but(DAEMON) {
        let by = run.killed.as_ref().map(|kill| kill.signal);
        let fine = run.task != DAEMON || run.end == End::Code(0) || by == Some(Signal::Kill);
        assert!(fine, "{:?}: {}", run.end, run.stderr);
    }
    for side in &sides {
        let leaves = ["daemon", "run", "--until-idle"];
        let ended = scene.once(&scene.task(leaves).on_state_of(&side.state), None);
        assert_eq!(ended.end, End::Code(0), "{}", ended.stderr);
        scene.until("nobody is left", || {
            scene.background(&side.state).is_empty()
        });
        side.load.assert_ended(&scene, &side.state);
    }
    assert_eq!(scene.server.open_uploads(BUCKET), []);

    let dir = std::env::var_os("TOWLINE_SOAK_DIR");
    let dir = dir.map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    std::fs::write(dir.join("soak.csv"), samples.csv()).unwrap();
    std::fs::write(dir.join("soak.svg"), plot::svg(&samples)).unwrap();
    println!("figures in {}", dir.display());
    samples.assert_flat();
}
