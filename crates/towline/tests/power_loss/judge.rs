//! An image is opened and finished, and what came of it is judged.

use fastrand::Rng;
use towline::{State, Transfer};
use towline_testkit::crash::{Violation, violations};
use towline_testkit::disk::power::Honest;
use towline_testkit::disk::{Fate, Image};

use crate::agent::{Agent, Said};
use crate::evidence::{self, Finished};
use crate::machine::Machine;
use crate::moved;
use crate::story::{Mark, Story};
use crate::wanted::Step;

/// One power failure.
pub(crate) struct Failure<'a> {
    pub(crate) story: &'a Story,
    /// After how many changes of the disk.
    pub(crate) place: usize,
    pub(crate) mark: &'a Mark,
    pub(crate) image: Image,
    words: String,
}

impl<'a> Failure<'a> {
    /// Draws what is left.
    pub(crate) fn draw(
        story: &'a Story,
        place: usize,
        fate: Fate,
        seed: u64,
        honest: Honest<'_>,
    ) -> Self {
        let mut rng = Rng::with_seed(seed);
        let image = story.recorded.image(place, fate, &mut rng, honest);
        // The change before this place is done; S3 may have gone on since, until
        // the next one began.
        let mark = match rng.bool() {
            true => place,
            false => place.saturating_sub(1),
        };
        Self {
            story,
            place,
            mark: &story.marks[mark],
            image,
            words: format!("{fate:?}, image {seed}, S3 as before change {mark}"),
        }
    }

    /// Opens and finishes it on the machine, and tells what is wrong.
    pub(crate) fn judge(&self, machine: &Machine) -> Vec<Violation> {
        machine.reboot(self.image.tree.clone(), &self.mark.s3);
        let mut broken = Vec::new();
        let (mut rows, mut closed) = (Vec::new(), false);
        for said in Agent::start(machine, self.story.settings, Vec::new()) {
            match said {
                Said::Opened(rows) => broken.extend(self.told_and_undone(&rows)),
                Said::Finished(finished) => rows = finished,
                Said::Broken(promise, whose, what) => {
                    broken.push(self::broken(promise, whose, what));
                }
                Said::Closed => closed = true,
                Said::Step(..) => {}
            }
        }
        if !closed && broken.is_empty() {
            broken.push(self::broken(4, "the process", "it ended badly"));
        }
        let finished = Finished {
            rows,
            requests: machine.server.history().requests(),
        };
        broken.extend(violations(&evidence::of(self, machine, &finished)));
        broken.extend(moved::violations(self, machine, &finished));
        broken.extend(evidence::what_lies_around(machine));
        broken
    }

    /// Panics with all that helps to understand it, if anything is wrong.
    pub(crate) fn check(&self, machine: &Machine, seed: u64) {
        let broken = self.judge(machine);
        if broken.is_empty() {
            return;
        }
        let lines: Vec<String> = broken.iter().map(Violation::to_string).collect();
        panic!(
            "{} violations, TOWLINE_SEED={seed}, {}\n{}\n{:#?}\n{}",
            broken.len(),
            self.words,
            lines.join("\n"),
            self.story.wanted,
            self.story.around(self.place)
        );
    }

    /// What was acknowledged before the power failed, and is not so any more.
    fn told_and_undone(&self, opened: &[Transfer]) -> Vec<Violation> {
        let mut broken = Vec::new();
        for it in &self.story.wanted {
            let row = opened.iter().find(|row| row.key == it.key);
            let Some(told) = it.by(self.place).next_back() else {
                if row.is_some() {
                    broken.push(self::broken(1, &it.key, "it was never asked for"));
                }
                continue;
            };
            let state = row.map(|row| row.state);
            let kept = match told {
                Step::Removed => state.is_none(),
                Step::Paused => state == Some(State::Paused),
                Step::Ended(ended) => state == Some(ended),
                Step::Asked | Step::RemoveAsked => true,
                _ => state.is_some(),
            };
            if !kept {
                let now = state.map_or("gone".into(), |state| format!("{state:?}"));
                let what = format!("{told:?} was acknowledged, and after the reboot it is {now}");
                broken.push(self::broken(1, &it.key, what));
            }
        }
        broken
    }
}

pub(crate) fn broken(promise: u8, whose: impl Into<String>, what: impl Into<String>) -> Violation {
    Violation {
        promise,
        whose: whose.into(),
        what: what.into(),
    }
}
