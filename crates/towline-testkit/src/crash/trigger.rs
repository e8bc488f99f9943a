//! When a process is killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use towline_core::Direction;
use towline_testserver::{Operation, Request, TestServer};

/// A moment in the life of a process, counted from its start.
///
/// What the server has seen counts for all processes that use it.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// After this time.
    After(Duration),
    /// Once so many bytes have moved.
    Moved(Flow, u64),
    /// When the server sees a request begin.
    Begun(Sighting),
    /// When the server has an answer for a request.
    Answered(Sighting),
    /// At the nth write to its store, counted from 1.
    ///
    /// A poll of the log's length and time, not inotify: that tells of each
    /// write call, of which one commit makes several, and of none elsewhere
    /// than on Linux. Commits made within one look count as one.
    StoreWrite(u32),
}

/// Which bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Bodies of requests that arrived at the server.
    Received,
    /// Bodies of objects that the server sent.
    Sent,
}

/// A request to look out for.
#[derive(Clone, Debug)]
pub struct Sighting {
    operation: Operation,
    nth: usize,
    part: Option<u32>,
    key: Option<String>,
}

impl Sighting {
    /// The first request of this operation.
    pub fn of(operation: Operation) -> Self {
        Self {
            operation,
            nth: 1,
            part: None,
            key: None,
        }
    }

    /// The nth instead, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = nth;
        self
    }

    /// Only those for this part.
    #[must_use]
    pub fn part(mut self, part: u32) -> Self {
        self.part = Some(part);
        self
    }

    /// Only those for this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn fits(&self, request: &Request) -> bool {
        request.operation == self.operation
            && self
                .part
                .is_none_or(|part| request.part_number == Some(part))
            && (self.key.as_deref()).is_none_or(|key| request.key.as_deref() == Some(key))
    }
}

impl Trigger {
    /// A random trigger of a random kind, for transfers of `size` bytes.
    pub fn random(rng: &mut Rng, direction: Direction, size: u64) -> Self {
        let (flow, operations) = match direction {
            Direction::Upload => (Flow::Received, UPLOAD.as_slice()),
            Direction::Download | Direction::Copy => (Flow::Sent, DOWNLOAD.as_slice()),
        };
        let sighting = |rng: &mut Rng| {
            let operation = operations[rng.usize(..operations.len())];
            Sighting::of(operation).nth(rng.usize(1..=4))
        };
        match rng.u8(..5) {
            0 => Self::After(Duration::from_millis(rng.u64(..500))),
            1 => Self::Moved(flow, rng.u64(..=size)),
            2 => Self::Begun(sighting(rng)),
            3 => Self::Answered(sighting(rng)),
            _ => Self::StoreWrite(rng.u32(1..=12)),
        }
    }

    /// Starts counting, for a process that uses this server and state.
    pub(crate) fn arm(self, server: &TestServer, state_dir: &Path) -> Armed {
        Armed {
            start: Instant::now(),
            received: server.history().bytes_received(),
            sent: server.history().bytes_sent(),
            requests: server.history().count_where(|_| true),
            log: Log::watch(state_dir),
            trigger: self,
        }
    }
}

const UPLOAD: [Operation; 5] = [
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::PutObject,
];
const DOWNLOAD: [Operation; 3] = [
    Operation::HeadObject,
    Operation::GetObject,
    Operation::GetObject,
];

/// A trigger that counts since a process was started.
#[derive(Debug)]
pub(crate) struct Armed {
    trigger: Trigger,
    start: Instant,
    received: u64,
    sent: u64,
    requests: usize,
    log: Log,
}

impl Armed {
    /// Whether the moment has come.
    pub(crate) fn fires(&mut self, server: &TestServer) -> bool {
        let history = server.history();
        let count = |sighting: &Sighting, answered: bool| {
            history.count_where(|request| {
                request.sequence > self.requests as u64
                    && sighting.fits(request)
                    && (!answered || request.status.is_some())
            }) >= sighting.nth
        };
        match &self.trigger {
            Trigger::After(time) => self.start.elapsed() >= *time,
            Trigger::Moved(Flow::Received, bytes) => {
                history.bytes_received() >= self.received + bytes
            }
            Trigger::Moved(Flow::Sent, bytes) => history.bytes_sent() >= self.sent + bytes,
            Trigger::Begun(sighting) => count(sighting, false),
            Trigger::Answered(sighting) => count(sighting, true),
            Trigger::StoreWrite(nth) => self.log.writes() >= *nth,
        }
    }

    pub(crate) fn in_words(&self) -> String {
        format!("{:?}", self.trigger)
    }
}

/// SQLite's write-ahead log, looked at from outside.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    last: Option<(u64, SystemTime)>,
    writes: u32,
}

impl Log {
    fn watch(state_dir: &Path) -> Self {
        let path = state_dir.join("towline.db-wal");
        let last = Self::look(&path);
        Self {
            path,
            last,
            writes: 0,
        }
    }

    fn writes(&mut self) -> u32 {
        let now = Self::look(&self.path);
        if now != self.last {
            // One that appears empty or goes away holds no commit.
            self.writes += u32::from(now.is_some_and(|(len, _)| len > 0));
            self.last = now;
        }
        self.writes
    }

    fn look(path: &Path) -> Option<(u64, SystemTime)> {
        let found = std::fs::metadata(path).ok()?;
        Some((found.len(), found.modified().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_growth_of_the_log_is_a_write_and_its_removal_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("towline.db-wal");
        let mut log = Log::watch(dir.path());
        assert_eq!(log.writes(), 0);
        for (content, writes) in [("", 0), ("a", 1), ("ab", 2)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(log.writes(), writes, "{content:?}");
        }
        assert_eq!(log.writes(), 2);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(log.writes(), 2);
    }

    #[test]
    fn the_same_seed_draws_the_same_triggers_and_every_kind_is_drawn() {
        let draw = |direction| {
            let mut rng = Rng::with_seed(7);
            let one = || format!("{:?}", Trigger::random(&mut rng, direction, 1000));
            std::iter::repeat_with(one).take(100).collect::<Vec<_>>()
        };
        for direction in [Direction::Upload, Direction::Download] {
            let drawn = draw(direction);
            assert_eq!(drawn, draw(direction));
            for kind in ["After", "Moved", "Begun", "Answered", "StoreWrite"] {
                assert!(drawn.iter().any(|text| text.starts_with(kind)), "{kind}");
            }
        }
    }
}
