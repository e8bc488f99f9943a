//! What is known of a world: what was asked, what was seen, what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use towline_core::{
    Command, Cursor, Direction, Phase, Reason, Record, State, TransferId, TransferOptions,
};

use crate::simulation::{Committed, Named, Request, Version};

/// All that the oracle judges.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What was asked for.
    pub jobs: Vec<Job>,
    /// Every content that a source had: a file by its path, an object by its key.
    pub sources: BTreeMap<String, Vec<Bytes>>,
    /// What stood at the targets of downloads before.
    pub before: BTreeMap<PathBuf, Option<Bytes>>,
    /// What was asked of transfers.
    pub commands: Vec<Asked>,
    /// What those who watch transfers saw.
    pub shown: Vec<Shown>,
    /// What one heard who follows all and keeps a cursor.
    pub told: Vec<Record>,
    /// Up to where.
    pub cursor: Option<Cursor>,
    /// Processes, in order.
    pub runs: Vec<Run>,
    /// The limits, each since it was set.
    pub limits: Vec<Limits>,
    /// What stood at the target when a download was recorded as done.
    pub landed: Vec<Landed>,
    /// What did not end though nothing was wrong any more.
    pub stuck: Vec<String>,
    /// Every request.
    pub requests: Vec<Request>,
    /// Every object there was.
    pub versions: Vec<Version>,
    /// Uploads that are left open, and by which request each was opened.
    pub open_uploads: Vec<(String, Option<usize>)>,
    /// Objects that are not there any more.
    pub missing_objects: BTreeSet<String>,
    /// Every commit.
    pub commits: Vec<Committed>,
    /// Every content that got a name on the disk.
    pub named: Vec<Named>,
    /// What is left on the disk.
    pub files: BTreeMap<PathBuf, Bytes>,
    /// What is left in the store.
    pub records: BTreeMap<TransferId, Record>,
    /// The most files that were open at one time, and that are now.
    pub open_files: (usize, usize),
    /// The store's clock jumped, so that nobody can tell what is how old.
    pub clock_jumped: bool,
}

/// How many requests there may be, and parts of one transfer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Since this place of the trace …
    pub place: u64,
    /// … and this time.
    pub at: Duration,
    /// Requests of all.
    pub requests: usize,
    /// Parts of one.
    pub parts: usize,
}

/// One request to transfer something.
#[derive(Clone, Debug)]
pub struct Job {
    /// Which way.
    pub direction: Direction,
    /// The object's key; of a copy the one that is made.
    pub key: String,
    /// The file. Of a copy the object that is read, as `s3://BUCKET/KEY`.
    pub path: PathBuf,
    /// How.
    pub options: TransferOptions,
    /// Its number, once that it is recorded was confirmed.
    pub id: Option<TransferId>,
    /// It was asked to be forgotten.
    pub removed: bool,
}

impl Job {
    /// Where its bytes come from: a path, or a key.
    pub fn source(&self) -> String {
        match self.direction {
            Direction::Upload => self.path.display().to_string(),
            Direction::Download => self.key.clone(),
            Direction::Copy => {
                let name = self.path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        }
    }
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The place in the trace.
    pub at: u64,
    /// Of which job.
    pub job: usize,
    /// What.
    pub command: Command,
    /// Where it was confirmed.
    pub confirmed: Option<u64>,
}

/// A transfer as it was shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The place in the trace.
    pub at: u64,
    /// To whom.
    pub watcher: usize,
    /// Which.
    pub id: TransferId,
    /// In which generation.
    pub generation: u32,
    /// How many bytes.
    pub bytes: u64,
    /// Of how many.
    pub total: Option<u64>,
    /// The state.
    pub state: State,
    /// Why.
    pub reason: Option<Reason>,
    /// As it is stored.
    pub phase: Phase,
}

/// A process.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where in the trace it began …
    pub began: u64,
    /// … and ended.
    pub ended: Option<u64>,
    /// Which client of the store is its.
    pub client: u32,
}

/// A target when its download was recorded as done.
#[derive(Clone, Debug)]
pub struct Landed {
    /// The transfer as it was recorded.
    pub record: Record,
    /// What the file had.
    pub now: Option<Vec<u8>>,
    /// What it would have had after the worst loss of power.
    pub synced: Option<Vec<u8>>,
}
