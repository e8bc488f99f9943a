//! Runs commands side by side and kills them, again and again, until each has
//! ended by itself.

use std::time::Duration;

use super::crowd::Crowd;
use super::kills::Kills;
use super::process::{End, Run};
use super::scene::{Scene, Task};

/// How often triggers are looked at.
pub(crate) const LOOK: Duration = Duration::from_micros(500);

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

impl Scene {
    /// Carries out all tasks, side by side: what was killed is started again,
    /// until each has ended by itself. That it ended well is for the oracle.
    pub fn until_done(&self, tasks: &[Task], mut kills: Kills<'_>) -> Story {
        let mut story = Story { runs: Vec::new() };
        let mut killed = 0;
        let mut open: Vec<usize> = (0..tasks.len()).collect();
        let mut crowd = Crowd::of(self);
        while !open.is_empty() || !crowd.is_empty() {
            for task in open.drain(..) {
                let doom = (killed < kills.most).then(|| ((kills.draw)(), (kills.signal)()));
                crowd.start(task, &tasks[task], doom);
            }
            crowd.kill_those_due(kills.whom, kills.most - killed);
            for run in crowd.reap() {
                if run.killed.is_some() {
                    open.push(run.task);
                }
                story.runs.push(run);
            }
            // A signal that came too late for its process was no kill.
            killed = story.kills() + crowd.signalled();
            std::thread::sleep(LOOK);
        }
        story
    }
}
