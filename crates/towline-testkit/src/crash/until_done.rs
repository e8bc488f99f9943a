//! Runs commands side by side and kills them, again and again, until each has
//! ended by itself.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::evidence::Survey;
use super::kills::{Kills, Whom};
use super::owner;
use super::process::{End, Process, Run};
use super::scene::{Scene, Task};
use super::trigger::Armed;

/// How often triggers are looked at.
const LOOK: Duration = Duration::from_micros(500);

/// What happened until everything was done.
#[derive(Clone, Debug)]
pub struct Story {
    /// Every process, in order of their ends.
    pub runs: Vec<Run>,
}

impl Story {
    /// How many processes were killed.
    pub fn kills(&self) -> u64 {
        self.runs.iter().filter(|run| run.killed.is_some()).count() as u64
    }

    /// How the processes ended that were left alone, and by which task.
    pub fn ends(&self) -> Vec<(usize, End)> {
        let alone = self.runs.iter().filter(|run| run.killed.is_none());
        alone.map(|run| (run.task, run.end)).collect()
    }
}

/// A process, and when it is to be killed.
struct Running {
    process: Process,
    armed: Option<Armed>,
}

impl Scene {
    /// Carries out all tasks, side by side: what was killed is started again,
    /// until each has ended by itself. That it ended well is for the oracle.
    pub fn until_done(&self, tasks: &[Task], mut kills: Kills<'_>) -> Story {
        let mut story = Story { runs: Vec::new() };
        let (mut begun, mut killed) = (0, 0);
        let mut open: Vec<usize> = (0..tasks.len()).collect();
        let mut running: Vec<Running> = Vec::new();
        while !open.is_empty() || !running.is_empty() {
            for task in open.drain(..) {
                let armed = (killed < kills.most)
                    .then(|| (kills.draw)().arm(&self.server, &tasks[task].state_dir));
                let process = self.spawn(task, &tasks[task], &mut begun);
                running.push(Running { process, armed });
            }
            self.kill_those_due(&mut running, &kills, kills.most - killed);
            let mut at = 0;
            while at < running.len() {
                if !running[at].process.has_ended() {
                    at += 1;
                    continue;
                }
                let run = self.ended(running.remove(at).process, &kills);
                let wanted_killed = run.killed.is_some();
                if wanted_killed || run.also_fine.iter().any(|code| run.end == End::Code(*code)) {
                    open.push(run.task);
                }
                story.runs.push(run);
            }
            // A signal that came too late for its process was no kill.
            killed =
                story.kills() + running.iter().filter(|r| r.process.is_killed()).count() as u64;
            std::thread::sleep(LOOK);
        }
        story
    }

    fn spawn(&self, number: usize, task: &Task, begun: &mut u64) -> Process {
        let output = self.output_path(self.runs.borrow().len() * 1000 + *begun as usize);
        *begun += 1;
        let process = Process::start(number, self.command(task), &task.state_dir, output);
        let mut watched = self.watcher.watched();
        let pids = watched.running.entry(task.state_dir.clone()).or_default();
        pids.push(process.pid());
        process
    }

    /// Signals the processes whose moment has come, `most` of them.
    fn kill_those_due(&self, running: &mut [Running], kills: &Kills<'_>, most: u64) {
        let mut killed = 0;
        for at in 0..running.len() {
            let due = (running[at].armed.as_mut()).is_some_and(|armed| armed.fires(&self.server));
            if !due || killed == most {
                continue;
            }
            let Some(armed) = running[at].armed.take() else {
                continue;
            };
            let victim = match kills.whom {
                Whom::Itself => at,
                Whom::Owner => owner_of(running, &running[at].process.state_dir).unwrap_or(at),
            };
            killed += u64::from(running[victim].process.kill(kills.signal, armed.in_words()));
            self.watcher.watched().last_kill = Some(SystemTime::now());
        }
    }

    /// Records the end of a process, and what it left in the store.
    fn ended(&self, process: Process, kills: &Kills<'_>) -> Run {
        let pid = process.pid();
        let run = process.into_run(&kills.again_on);
        if let Some(pids) = self.watcher.watched().running.get_mut(&run.state_dir) {
            pids.retain(|running| *running != pid);
        }
        let number = self.runs.borrow().len();
        self.runs.borrow_mut().push(run.clone());
        // Each other kill: a reader repairs the index of the log that a kill left,
        // which the next owner has to be able to do as well.
        if run.killed.is_some() && number.is_multiple_of(2) {
            let rows = self.rows(&run.state_dir);
            let after_request = self.requests_so_far();
            let survey = Survey {
                after_request,
                rows,
            };
            self.surveys.borrow_mut().push(survey);
        }
        run
    }
}

fn owner_of(running: &[Running], state_dir: &Path) -> Option<usize> {
    running.iter().position(|running| {
        running.process.state_dir == state_dir
            && owner::holds_lock(running.process.pid(), state_dir)
    })
}
