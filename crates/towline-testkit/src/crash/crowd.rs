//! Commands that run side by side: started, killed when their moment comes,
//! and what each left in the store when it was killed.

use std::time::SystemTime;

use super::evidence::Survey;
use super::kills::Whom;
use super::owner;
use super::process::{End, Process, Run, Signal};
use super::scene::{Scene, Task};
use super::trigger::{Armed, Trigger};

/// The commands of a scene that run now; killed when it is dropped.
#[derive(Debug)]
pub struct Crowd<'a> {
    scene: &'a Scene,
    running: Vec<Running>,
}

/// A process, and what is to become of it.
#[derive(Debug)]
struct Running {
    process: Process,
    fine: Vec<i32>,
    doom: Option<(Armed, Signal)>,
}

impl<'a> Crowd<'a> {
    /// Nobody yet.
    pub fn of(scene: &'a Scene) -> Self {
        Self {
            scene,
            running: Vec::new(),
        }
    }

    /// Starts a command, to be ended by this signal at this moment unless it
    /// ends before. `number` is what [`Run::task`] says of it.
    pub fn start(&mut self, number: usize, task: &Task, doom: Option<(Trigger, Signal)>) {
        let scene = self.scene;
        let arm = |(trigger, signal): (Trigger, Signal)| {
            (trigger.arm(&scene.server, &task.state_dir), signal)
        };
        let doom = doom.map(arm);
        let output = scene.output_path();
        let process = Process::start(number, scene.command(task), &task.state_dir, output);
        let mut watched = scene.watcher.watched();
        let pids = watched.running.entry(task.state_dir.clone()).or_default();
        pids.push(process.pid());
        self.running.push(Running {
            process,
            fine: task.fine.clone(),
            doom,
        });
    }

    /// Waits until all but those with this number have ended by themselves, and has
    /// these end by SIGTERM.
    pub fn end_all_but(&mut self, number: usize) -> Vec<Run> {
        let mut ended = Vec::new();
        self.scene.until("the others have ended", || {
            ended.extend(self.reap());
            self.running.iter().all(|r| r.process.task == number)
        });
        self.signal_all(Signal::Terminate);
        self.scene.until("all have ended", || {
            ended.extend(self.reap());
            self.is_empty()
        });
        ended
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether nobody runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// How many of those that run have been sent a signal.
    pub(crate) fn signalled(&self) -> u64 {
        let signalled = self.running.iter().filter(|r| r.process.is_killed());
        signalled.count() as u64
    }

    /// Signals all that run and were not yet.
    pub fn signal_all(&mut self, signal: Signal) {
        for running in &mut self.running {
            running.process.kill(signal, "all of them".into());
        }
        self.scene.watcher.watched().last_kill = Some(SystemTime::now());
    }

    /// Signals the processes whose moment has come, `most` of them.
    pub fn kill_those_due(&mut self, whom: Whom, most: u64) {
        let mut killed = 0;
        for at in 0..self.running.len() {
            let due = (self.running[at].doom.as_mut())
                .is_some_and(|(armed, _)| armed.fires(&self.scene.server));
            if !due || killed == most {
                continue;
            }
            let Some((armed, signal)) = self.running[at].doom.take() else {
                continue;
            };
            let victim = match whom {
                Whom::Itself => at,
                Whom::Owner => self.owner_of_the_state_of(at).unwrap_or(at),
            };
            let victim = &mut self.running[victim].process;
            killed += u64::from(victim.kill(signal, armed.in_words()));
            self.scene.watcher.watched().last_kill = Some(SystemTime::now());
        }
    }

    /// Takes those that have ended.
    pub fn reap(&mut self) -> Vec<Run> {
        let mut ended = Vec::new();
        let mut at = 0;
        while at < self.running.len() {
            if self.running[at].process.has_ended() {
                let running = self.running.remove(at);
                ended.push(self.ended(running));
            } else {
                at += 1;
            }
        }
        ended
    }

    fn owner_of_the_state_of(&self, at: usize) -> Option<usize> {
        let state_dir = &self.running[at].process.state_dir;
        self.running.iter().position(|running| {
            &running.process.state_dir == state_dir
                && owner::holds_lock(running.process.pid(), state_dir)
        })
    }

    /// Records the end of a process, and what it left in the store.
    fn ended(&self, running: Running) -> Run {
        let scene = self.scene;
        let pid = running.process.pid();
        let signalled = running.process.is_killed();
        let mut run = running.process.into_run();
        run.also_fine = running.fine;
        if let Some(pids) = scene.watcher.watched().running.get_mut(&run.state_dir) {
            pids.retain(|running| *running != pid);
        }
        let number = scene.runs.borrow().len();
        scene.runs.borrow_mut().push(run.clone());
        let clean = matches!(run.end, End::Code(_));
        // Each other kill: a reader repairs the index of the log that a kill left,
        // which the next owner has to be able to do as well.
        if signalled && (clean || number.is_multiple_of(2)) {
            let rows = scene.rows(&run.state_dir);
            let after_request = scene.requests_so_far();
            let survey = Survey {
                after_request,
                rows,
            };
            scene.surveys.borrow_mut().push(survey);
        }
        run
    }
}
