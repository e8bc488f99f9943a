//! What is asked of the library during a run, and what it has said of it when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use towline::{Direction, State, TransferId, TransferUtility, WhenTargetExists};
use towline_testkit::crash::{Content, Place, bytes};

use crate::agent::{Said, say};
use crate::machine::Machine;
use crate::{BUCKET, KIB, MIB};

/// A transfer that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) direction: Direction,
    pub(crate) key: String,
    /// Its file; empty for bytes that are spooled.
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    /// What stands at its target.
    pub(crate) before: Option<Content>,
    /// The length and the seed of bytes that are spooled.
    spooled: Option<(u64, u64)>,
    course: Course,
    /// What was asked and told, in its order, each with the number of changes of
    /// the disk that had been made by then.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// The same, as the agent is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    direction: Direction,
    key: String,
    path: PathBuf,
    replaces: bool,
    spooled: Option<(u64, u64)>,
    course: Course,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Course {
    RunsThrough,
    PausedFor(Duration),
    PausedAndLeft(Duration),
    Canceled(Duration),
    /// Once there is a temporary file of it.
    CanceledOnceBegun,
    RemovedAfterwards,
}

/// Something that was asked of the library, or that it has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    Asked,
    Submitted(TransferId),
    PauseAsked,
    Paused,
    ResumeAsked,
    CancelAsked,
    Ended(State),
    RemoveAsked,
    Removed,
}

impl Wanted {
    /// What has been told of it when so many changes had been made.
    pub(crate) fn by(&self, changes: usize) -> impl DoubleEndedIterator<Item = Step> + '_ {
        let steps = self.steps.iter();
        steps
            .filter(move |(at, _)| *at <= changes)
            .map(|(_, step)| *step)
    }

    /// What is told is known once it is heard; what is asked may have had its
    /// effects since the step before.
    pub(crate) fn note(&mut self, changes: usize, step: Step) {
        let before = self.steps.last().map_or(0, |(at, _)| *at);
        let at = match step {
            Step::Asked | Step::PauseAsked | Step::ResumeAsked => before,
            Step::CancelAsked | Step::RemoveAsked => before,
            Step::Submitted(_) | Step::Paused | Step::Ended(_) | Step::Removed => changes,
        };
        self.steps.push((at, step));
    }

    pub(crate) fn has(&self, changes: usize, step: Step) -> bool {
        self.by(changes).any(|it| it == step)
    }

    pub(crate) fn id_by(&self, changes: usize) -> Option<TransferId> {
        self.by(changes).find_map(|step| match step {
            Step::Submitted(id) => Some(id),
            _ => None,
        })
    }

    pub(crate) fn place(&self) -> Place {
        match self.direction {
            Direction::Upload => Place::Object(self.key.clone()),
            Direction::Download => Place::File(self.path.clone()),
            Direction::Copy => unreachable!("nothing is copied here"),
        }
    }

    /// The same as it was by then; what came later never happened.
    pub(crate) fn cut(&self, changes: usize) -> Self {
        let mut cut = self.clone();
        cut.steps.retain(|(at, _)| *at <= changes);
        cut
    }

    pub(crate) fn order(&self) -> Order {
        Order {
            direction: self.direction,
            key: self.key.clone(),
            path: self.path.clone(),
            replaces: self.before.is_some(),
            spooled: self.spooled,
            course: self.course,
        }
    }
}

impl Order {
    /// Carries it out, and says what it has asked and was told.
    pub(crate) async fn carry_out(self, number: usize, utility: TransferUtility) {
        let note = |step| say(&Said::Step(number, step));
        if let Err(error) = self.go(&utility, note).await {
            say(&Said::Broken(4, self.key, error.to_string()));
        }
    }

    async fn go(
        &self,
        utility: &TransferUtility,
        note: impl Fn(Step),
    ) -> Result<(), towline::Error> {
        note(Step::Asked);
        let (key, path) = (self.key.as_str(), self.path.as_path());
        let observer = match (self.direction, &self.spooled) {
            (Direction::Copy, _) => unreachable!("nothing is copied here"),
            (Direction::Upload, Some((len, seed))) => {
                let upload = utility.upload_data(BUCKET, key, bytes(*len, *seed));
                upload.spool(true).await?
            }
            (Direction::Upload, None) => utility.upload(BUCKET, key, path).await?,
            (Direction::Download, _) => {
                let download = utility.download(BUCKET, key, path);
                let policy = match self.replaces {
                    true => WhenTargetExists::Overwrite,
                    false => WhenTargetExists::Fail,
                };
                download.when_target_exists(policy).await?
            }
        };
        note(Step::Submitted(observer.id()));
        match self.course {
            Course::PausedFor(wait) | Course::PausedAndLeft(wait) => {
                tokio::time::sleep(wait).await;
                note(Step::PauseAsked);
                if observer.pause().await? {
                    note(Step::Paused);
                    if let Course::PausedAndLeft(_) = self.course {
                        return Ok(());
                    }
                    note(Step::ResumeAsked);
                    observer.resume().await?;
                }
            }
            Course::Canceled(wait) => {
                tokio::time::sleep(wait).await;
                note(Step::CancelAsked);
                observer.cancel().await?;
            }
            Course::CanceledOnceBegun => {
                while !has_temporary_file(path.parent().unwrap()) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                note(Step::CancelAsked);
                observer.cancel().await?;
            }
            Course::RunsThrough | Course::RemovedAfterwards => {}
        }
        let ended = observer.finished().await?;
        note(Step::Ended(ended.state));
        let canceled = ended.state == State::Canceled && ended.error.is_none();
        assert!(ended.state == State::Completed || canceled, "{ended:?}");
        if self.course == Course::RemovedAfterwards {
            note(Step::RemoveAsked);
            utility.remove(observer.id()).await?;
            note(Step::Removed);
        }
        Ok(())
    }
}

/// Draws what is to be moved, and puts the sources there: of the two directions
/// one has a large file in several parts, the others are small.
pub(crate) async fn draw(machine: &Machine, rng: &mut Rng) -> Vec<Wanted> {
    let (sources, targets) = (machine.disk.path("in"), machine.disk.path("out"));
    std::fs::create_dir(&sources).unwrap();
    std::fs::create_dir(&targets).unwrap();
    let large = rng.bool();
    let several = rng.usize(3..=5);
    let mut drawn = Vec::new();
    for number in 0..several {
        let is_large = number == 0;
        let upload = if is_large { large } else { rng.bool() };
        let size = match (is_large, rng.u8(..4)) {
            (true, _) => 10 * MIB + rng.u64(1..300 * KIB),
            (false, 0) => 0,
            (false, 1) => rng.u64(1..5 * KIB),
            (false, _) => rng.u64(5 * KIB..400 * KIB),
        };
        let seed = rng.u64(..);
        let wait = Duration::from_micros(rng.u64(..30_000));
        let course = match rng.u8(..10) {
            0 | 1 => Course::PausedFor(wait),
            2 => Course::PausedAndLeft(wait),
            3 | 4 => Course::Canceled(wait),
            5 => Course::RemovedAfterwards,
            _ => Course::RunsThrough,
        };
        drawn.push(match upload {
            true => upload_of(
                &sources,
                number,
                (size, seed),
                !is_large && rng.u8(..3) == 0,
                course,
            ),
            false => download_of(machine, &targets, number, (size, seed), rng.bool(), course).await,
        });
    }
    rng.shuffle(&mut drawn);
    drawn
}

/// One download of so many bytes, which nobody disturbs.
pub(crate) async fn large_download(machine: &Machine, size: u64) -> Wanted {
    let targets = machine.disk.path("out");
    std::fs::create_dir(&targets).unwrap();
    let course = Course::RunsThrough;
    download_of(machine, &targets, 0, (size, 1), true, course).await
}

/// One download that is canceled half way.
pub(crate) async fn canceled_download(machine: &Machine, size: u64) -> Wanted {
    machine.server.faults().bandwidth(2 * size);
    Wanted {
        course: Course::CanceledOnceBegun,
        ..large_download(machine, size).await
    }
}

fn has_temporary_file(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).unwrap().flatten();
    names
        .map(|entry| entry.file_name())
        .any(|name| name.as_encoded_bytes().starts_with(b".towline-"))
}

/// One upload of bytes that are kept beside the state.
pub(crate) fn spooled_upload(machine: &Machine, size: u64) -> Wanted {
    let course = Course::RunsThrough;
    upload_of(&machine.disk.path("in"), 0, (size, 1), true, course)
}

fn upload_of(
    dir: &Path,
    number: usize,
    source: (u64, u64),
    spooled: bool,
    course: Course,
) -> Wanted {
    let bytes = bytes(source.0, source.1);
    let path = dir.join(format!("source-{number}"));
    let content = Content::of(&bytes);
    if !spooled {
        std::fs::write(&path, &bytes).unwrap();
    }
    Wanted {
        direction: Direction::Upload,
        key: format!("upload-{number}"),
        path: if spooled { PathBuf::new() } else { path },
        content,
        before: None,
        spooled: spooled.then_some(source),
        course,
        steps: Vec::new(),
    }
}

async fn download_of(
    machine: &Machine,
    dir: &Path,
    number: usize,
    source: (u64, u64),
    over_another: bool,
    course: Course,
) -> Wanted {
    let bytes = bytes(source.0, source.1);
    let (key, path) = (
        format!("object-{number}"),
        dir.join(format!("target-{number}")),
    );
    let before = format!("what was there before of {number}");
    if over_another {
        std::fs::write(&path, &before).unwrap();
    }
    let content = Content::of(&bytes);
    let put = machine.server.put_object(BUCKET, &key, bytes);
    put.await.unwrap();
    Wanted {
        direction: Direction::Download,
        key,
        path,
        content,
        before: over_another.then(|| Content::of(before.as_bytes())),
        spooled: None,
        course,
        steps: Vec::new(),
    }
}
