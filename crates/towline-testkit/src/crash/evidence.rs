//! What was collected of a run, as plain data, so that judging it is a pure function.

use std::collections::BTreeMap;
use std::path::PathBuf;

use towline_core::Direction;
use towline_testserver::Request;

use super::content::Content;
use super::process::Run;

/// All that the oracle judges.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What repeats the run.
    pub seed: Option<u64>,
    /// What a kill may cost in bytes.
    pub in_flight: u64,
    /// The transfers that were asked for.
    pub asked: Vec<Asked>,
    /// Every process, in order of their starts.
    pub runs: Vec<Run>,
    /// What the server was asked, in order.
    pub requests: Vec<Request>,
    /// The stores of all states as they were left.
    pub rows: Vec<Row>,
    /// The stores as they were read on the way, oldest first.
    pub surveys: Vec<Survey>,
    /// Uploads that the server holds open: key and id.
    pub open_uploads: Vec<(String, String)>,
    /// Temporary files that lie in directories of sources and targets.
    pub temporary_files: Vec<PathBuf>,
    /// What objects and targets held whenever they were looked at.
    pub seen: Vec<Seen>,
    /// What stands at each place in the end; nothing where it is not listed.
    pub left: BTreeMap<Place, Content>,
    /// How often somebody was seen to hold the lock of a state.
    pub owners_seen: u64,
    /// Pairs of processes that held the lock of one state at one time.
    pub two_owners: Vec<(PathBuf, u32, u32)>,
    /// Pairs of requests that moved the bytes of one part at one time.
    pub twins: Vec<Twins>,
    /// Transfers as the processes told of them, in order: the number of the
    /// process in `runs`, and what it said.
    pub told: Vec<(usize, Row)>,
}

/// One transfer that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which way.
    pub direction: Direction,
    /// The object's key.
    pub key: String,
    /// The file.
    pub path: PathBuf,
    /// The versions of its source there have been.
    pub versions: Vec<Content>,
    /// What stood at its destination before.
    pub before: Option<Content>,
    /// How it may end.
    pub fate: Fate,
}

/// How a transfer that was asked for may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Source, object and server are sound: it must complete.
    Completes,
    /// They are, but commands that cancel it are given beside.
    MayBeCanceled,
    /// Commands that have its record forgotten are given as well.
    MayBeRemoved,
    /// It may also fail.
    MayFail,
}

/// Where a content is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the object with this key.
    Object(String),
    /// In this file.
    File(PathBuf),
}

/// What was seen at a place.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// What.
    pub content: Content,
}

/// A transfer as `list --json` and the store show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The state directory it is recorded in.
    pub state_dir: PathBuf,
    /// Its number there.
    pub id: u64,
    /// Which way.
    pub direction: Direction,
    /// The object's key.
    pub key: String,
    /// The file.
    pub path: PathBuf,
    /// The state shown.
    pub state: String,
    /// The proof shown.
    pub verified: Option<String>,
    /// The error shown.
    pub error: Option<String>,
    /// Which start from zero.
    pub generation: u32,
    /// Bytes shown as moved.
    pub moved: u64,
    /// Bytes in all, once known.
    pub total: Option<u64>,
    /// The open upload it holds.
    pub upload_id: Option<String>,
    /// The name of the temporary file it holds.
    pub temp: Option<String>,
    /// The parts that are recorded: number and first byte to behind the last.
    pub parts: Vec<(u32, std::ops::Range<u64>)>,
}

impl Row {
    /// Whether it is none of completed, canceled, failed.
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "completed" | "canceled" | "failed")
    }

    /// Whether it carries out what was asked.
    pub fn is_of(&self, asked: &Asked) -> bool {
        self.direction == asked.direction && self.key == asked.key && self.path == asked.path
    }
}

/// A store as it was read at one moment.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The last request that the server had seen before.
    pub after_request: u64,
    /// Its transfers.
    pub rows: Vec<Row>,
}

/// Two requests that moved bytes of the same part at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twins {
    /// The object's key.
    pub key: String,
    /// The part's number.
    pub part: u32,
    /// Their sequence numbers.
    pub requests: (u64, u64),
}
