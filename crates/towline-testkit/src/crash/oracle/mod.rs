//! The oracle: is told what was asked, collects the evidence of server, files,
//! store and outputs, and tells whether promises 1 to 8 were kept.

mod bytes_moved;
mod content_is_true;
mod nothing_lost;
mod ownership;
#[cfg(test)]
mod sound_world;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use towline_core::Direction;

use super::content::Content;
use super::evidence::{Asked, Evidence, Fate, Place, Row, Survey};
use super::scene::{BUCKET, Scene};
use super::survey;
use super::watcher::content_at;

/// A promise of the design that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the design.
    pub promise: u8,
    /// The transfer, or the process, that it was broken for.
    pub whose: String,
    /// What shows it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            promise,
            whose,
            what,
        } = self;
        write!(f, "promise {promise} is broken, {whose}: {what}")
    }
}

/// Judges one promise.
pub type Promise = fn(&Evidence) -> Vec<Violation>;

/// Promises 1 to 8, in order.
pub const PROMISES: [Promise; 8] = [
    nothing_lost::accepted_survives,
    content_is_true::done_is_true,
    content_is_true::nothing_is_torn,
    nothing_lost::nothing_is_lost_or_failed_falsely,
    nothing_lost::no_orphans_stay,
    bytes_moved::little_is_sent_again,
    bytes_moved::progress_only_grows,
    ownership::one_owner_at_a_time,
];

/// Every promise that the evidence shows to be broken.
pub fn violations(evidence: &Evidence) -> Vec<Violation> {
    let judge = |promise: &Promise| promise(evidence);
    PROMISES.iter().flat_map(judge).collect()
}

/// One who is told what is asked of the command and judges what came of it.
#[derive(Debug)]
pub struct Oracle<'a> {
    scene: &'a Scene,
    seed: Option<u64>,
    in_flight: u64,
    asked: Vec<Asked>,
    /// What was there before it was asked.
    runs: usize,
    surveys: usize,
    requests: u64,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(scene: &'a Scene, in_flight: u64) -> Self {
        {
            let mut watched = scene.watcher.watched();
            watched.places.clear();
            watched.seen.clear();
            watched.owners_seen = 0;
        }
        Self {
            scene,
            seed: None,
            in_flight,
            asked: Vec::new(),
            runs: scene.runs.borrow().len(),
            surveys: scene.surveys.borrow().len(),
            requests: scene.requests_so_far(),
        }
    }

    /// Names the seed that repeats the run.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// This upload will be asked for. The file is as it is now; see [`Self::source_changed`].
    pub fn upload(&mut self, source: &Path, key: &str) {
        let place = Place::Object(key.to_owned());
        let version = Content::of_file(source).unwrap().unwrap();
        self.ask(Direction::Upload, key, source, version, place);
    }

    /// This download will be asked for. The object is as it is now.
    pub fn download(&mut self, key: &str, target: &Path) {
        let object = Place::Object(key.to_owned());
        let version = content_at(&self.scene.server, &object).unwrap();
        self.download_of(version, key, target);
    }

    pub(crate) fn download_of(&mut self, version: Content, key: &str, target: &Path) {
        let place = Place::File(target.to_owned());
        self.ask(Direction::Download, key, target, version, place);
    }

    fn ask(&mut self, direction: Direction, key: &str, path: &Path, now: Content, to: Place) {
        self.asked.push(Asked {
            direction,
            key: key.to_owned(),
            path: path.to_owned(),
            versions: vec![now],
            before: content_at(&self.scene.server, &to),
            fate: Fate::Completes,
        });
        self.scene.watcher.watched().places.insert(to);
    }

    /// A source of what was asked, a file or an object, has been replaced: from
    /// now on its content may arrive as well.
    pub fn source_changed(&mut self, source: &Place) {
        let now = content_at(&self.scene.server, source).unwrap();
        for asked in self.asked.iter_mut().filter(|a| &a.source() == source) {
            asked.versions.push(now.clone());
        }
    }

    /// What was asked last may fail: its source, object or server is not sound.
    pub fn may_fail(&mut self) {
        self.last_may_end(Fate::MayFail);
    }

    /// What was asked last may end like this.
    pub fn last_may_end(&mut self, fate: Fate) {
        self.asked.last_mut().unwrap().fate = fate;
    }

    /// Panics if a promise is broken; else forgets what was asked and watches
    /// what comes next.
    pub fn check(&mut self) -> Evidence {
        let evidence = self.collect();
        let broken = violations(&evidence);
        if !broken.is_empty() {
            let lines: Vec<String> = broken.iter().map(Violation::to_string).collect();
            let seed = self
                .seed
                .map_or("none".into(), |seed| format!("TOWLINE_SEED={seed}"));
            panic!(
                "{} violations after {} kills, seed {seed}\n{}",
                broken.len(),
                evidence.kills(),
                lines.join("\n")
            );
        }
        *self = Self {
            seed: self.seed,
            ..Self::new(self.scene, self.in_flight)
        };
        evidence
    }

    /// Everything that is known; no process of the scene may run.
    pub fn collect(&self) -> Evidence {
        let scene = self.scene;
        let runs = scene.runs.borrow()[self.runs..].to_vec();
        let states: BTreeSet<_> = runs.iter().map(|run| run.state_dir.clone()).collect();
        let is_asked = |row: &Row| self.asked.iter().any(|asked| row.is_of(asked));
        let of_ours = |rows: Vec<Row>| rows.into_iter().filter(is_asked).collect::<Vec<_>>();
        let keys: BTreeSet<&str> = self.asked.iter().map(|asked| asked.key.as_str()).collect();
        let places: BTreeSet<Place> = self.asked.iter().map(Asked::destination).collect();
        let mut told = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            let rows = run.json_lines().filter(|json| json["id"].is_u64());
            told.extend(rows.map(|json| (number, survey::row(&run.state_dir, &json))));
        }
        let surveys = scene.surveys.borrow()[self.surveys..].to_vec();
        let mut requests = scene.server.history().requests();
        requests.retain(|request| {
            let key = request.key.as_deref();
            request.sequence > self.requests && key.is_some_and(|key| keys.contains(key))
        });
        let open = scene.server.open_uploads(BUCKET).into_iter();
        let watched = scene.watcher.watched();
        Evidence {
            seed: self.seed,
            in_flight: self.in_flight,
            asked: self.asked.clone(),
            requests,
            rows: of_ours(states.iter().flat_map(|dir| scene.rows(dir)).collect()),
            surveys: surveys
                .into_iter()
                .map(|survey| Survey {
                    rows: of_ours(survey.rows),
                    ..survey
                })
                .collect(),
            open_uploads: open
                .filter(|upload| keys.contains(upload.key.as_str()))
                .map(|upload| (upload.key, upload.upload_id))
                .collect(),
            temporary_files: temporary_files(&self.asked),
            seen: watched.seen.clone(),
            left: places
                .into_iter()
                .filter_map(|place| content_at(&scene.server, &place).map(|found| (place, found)))
                .collect(),
            owners_seen: watched.owners_seen,
            two_owners: watched.two_owners.clone(),
            twins: watched.twins.clone(),
            told,
            runs,
        }
    }
}

/// `.towline-*.part` in the directories of all files that were asked for.
fn temporary_files(asked: &[Asked]) -> Vec<std::path::PathBuf> {
    let dirs: BTreeSet<_> = asked
        .iter()
        .filter_map(|asked| asked.path.parent())
        .collect();
    let entries = dirs
        .into_iter()
        .flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(".towline-") && name.ends_with(".part")
    });
    found
}

impl Asked {
    /// Where its bytes come from.
    pub fn source(&self) -> Place {
        match self.direction {
            Direction::Upload => Place::File(self.path.clone()),
            Direction::Download => Place::Object(self.key.clone()),
            Direction::Copy => unreachable!("nothing is copied here"),
        }
    }

    /// Where its bytes go.
    pub fn destination(&self) -> Place {
        match self.direction {
            Direction::Upload => Place::Object(self.key.clone()),
            Direction::Download => Place::File(self.path.clone()),
            Direction::Copy => unreachable!("nothing is copied here"),
        }
    }

    /// Whether nothing but a command may keep it from completing.
    pub fn is_sound(&self) -> bool {
        self.fate != Fate::MayFail
    }

    /// Its name in a message.
    fn name(&self) -> String {
        let (verb, path) = (self.direction.as_str(), self.path.display());
        format!("{verb} of {path} and {}", self.key)
    }

    fn broken(&self, promise: u8, what: impl Into<String>) -> Violation {
        Violation {
            promise,
            whose: self.name(),
            what: what.into(),
        }
    }
}

impl Evidence {
    /// How many processes were killed.
    pub fn kills(&self) -> u64 {
        self.runs.iter().filter(|run| run.killed.is_some()).count() as u64
    }

    /// How many processes were sent a signal, which costs what they had under
    /// way. A daemon that is terminated ends as one that was left alone.
    pub(crate) fn signals(&self) -> u64 {
        self.runs.iter().filter(|run| run.signalled).count() as u64
    }

    /// The transfers in the stores that carry out what was asked.
    fn rows_of<'e>(&'e self, asked: &'e Asked) -> impl Iterator<Item = &'e Row> {
        self.rows.iter().filter(|row| row.is_of(asked))
    }
}
