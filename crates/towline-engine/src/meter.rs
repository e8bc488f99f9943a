//! What an engine has done since it started, counted beside the loop: for
//! metrics, and for a graph of how fast bytes move.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use towline_core::{
    Direction, Failure, History, Operation, ParkReason, Reaction, S3Error, S3ErrorKind, react,
};

/// Commits that took at most so long, in milliseconds, are counted together.
pub const COMMIT_BOUNDS_MS: [u64; 8] = [1, 5, 10, 25, 100, 250, 1_000, 5_000];

/// Counts as it goes; every count only grows.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
    requests: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    under_way: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, u64>>,
    stalls: AtomicU64,
    commits: [AtomicU64; COMMIT_BOUNDS_MS.len() + 1],
    commit_micros: AtomicU64,
}

/// What an engine has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Bytes of files sent, those of attempts that were given up too.
    pub bytes_up: u64,
    /// Bytes of objects received, the same.
    pub bytes_down: u64,
    /// Requests that have ended, by S3's name of the operation and `ok` or the
    /// kind of failure.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Requests under way.
    pub requests_under_way: u64,
    /// Failed attempts, by what is done about such a failure.
    pub failures: BTreeMap<&'static str, u64>,
    /// Attempts that were given up because nothing moved.
    pub stalls: u64,
    /// Commits to the store, by how long they took: one count for each of
    /// [`COMMIT_BOUNDS_MS`], and one for longer ones.
    pub commits: Vec<u64>,
    /// How long all commits took together.
    pub commit_time: Duration,
}

impl Meter {
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            bytes_up: self.up.load(Relaxed),
            bytes_down: self.down.load(Relaxed),
            requests: lock(&self.requests).clone(),
            requests_under_way: self.under_way.load(Relaxed),
            failures: lock(&self.failures).clone(),
            stalls: self.stalls.load(Relaxed),
            commits: self.commits.iter().map(|n| n.load(Relaxed)).collect(),
            commit_time: Duration::from_micros(self.commit_micros.load(Relaxed)),
        }
    }

    /// Where bytes of one direction are counted.
    pub(crate) fn bytes(&self, direction: Direction) -> Arc<AtomicU64> {
        Arc::clone(match direction {
            // No byte of a copy passes here, so that none is counted.
            Direction::Upload | Direction::Copy => &self.up,
            Direction::Download => &self.down,
        })
    }

    pub(crate) fn request_began(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(self)
    }

    pub(crate) fn request_ended(&self, operation: Operation, failed: Option<&S3Error>) {
        let result = failed.map_or("ok", |error| result_of(error));
        *lock(&self.requests)
            .entry((name(operation), result))
            .or_default() += 1;
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        let stalled = |error: &S3Error| error.kind == S3ErrorKind::Stalled;
        if matches!(failure, Failure::S3(error) if stalled(error)) {
            self.stalls.fetch_add(1, Relaxed);
        }
        let class = class_of(&react(failure, History::new(History::DEFAULT_LIMIT)));
        *lock(&self.failures).entry(class).or_default() += 1;
    }

    pub(crate) fn committed(&self, took: Duration) {
        let place = COMMIT_BOUNDS_MS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound));
        self.commits[place.unwrap_or(COMMIT_BOUNDS_MS.len())].fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Relaxed);
    }
}

/// A request is under way until this is dropped.
pub(crate) struct UnderWay<'a>(&'a Meter);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The classes of `docs/failures.md`, in words.
fn class_of(reaction: &Reaction) -> &'static str {
    match reaction {
        Reaction::Park(ParkReason::Throttled) => "throttled",
        Reaction::Retry { costs: false, .. } => "retry_free",
        Reaction::Retry { costs: true, .. } => "retry",
        Reaction::Fix(_) => "fix",
        Reaction::Restart => "restart",
        Reaction::Park(_) => "park",
        Reaction::GiveUp | Reaction::Fail => "fail",
        Reaction::Resolve => "resolve",
    }
}

fn result_of(error: &S3Error) -> &'static str {
    match error.kind {
        S3ErrorKind::Answer => match error.status {
            Some(300..400) => "3xx",
            Some(400..500) => "4xx",
            Some(500..600) => "5xx",
            _ => "error",
        },
        S3ErrorKind::Credentials => "credentials",
        S3ErrorKind::Dns => "dns",
        S3ErrorKind::Connect => "connect",
        S3ErrorKind::Tls => "tls",
        S3ErrorKind::Transport => "transport",
        S3ErrorKind::Stalled => "stalled",
        S3ErrorKind::Malformed => "malformed",
        S3ErrorKind::Foreign => "foreign",
        S3ErrorKind::Body => "body",
        S3ErrorKind::Invalid => "invalid",
    }
}

fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::PutObject => "PutObject",
        Operation::CopyObject => "CopyObject",
        Operation::GetObject => "GetObject",
        Operation::HeadObject => "HeadObject",
        Operation::DeleteObject => "DeleteObject",
        Operation::DeleteObjects => "DeleteObjects",
        Operation::CreateMultipartUpload => "CreateMultipartUpload",
        Operation::UploadPart => "UploadPart",
        Operation::UploadPartCopy => "UploadPartCopy",
        Operation::CompleteMultipartUpload => "CompleteMultipartUpload",
        Operation::AbortMultipartUpload => "AbortMultipartUpload",
        Operation::ListParts => "ListParts",
        Operation::ListMultipartUploads => "ListMultipartUploads",
        Operation::ListObjects => "ListObjects",
        Operation::GetObjectTagging => "GetObjectTagging",
        Operation::GetBucketLifecycleConfiguration => "GetBucketLifecycleConfiguration",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_where_its_time_belongs() {
        let meter = Meter::default();
        for millis in [0, 1, 2, 5_000, 5_001, 60_000] {
            meter.committed(Duration::from_millis(millis));
        }
        let read = meter.read();
        assert_eq!(read.commits, [2, 1, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(read.commit_time, Duration::from_millis(70_004));
    }

    #[test]
    fn failures_count_by_what_is_done_about_them_and_stalls_apart() {
        let meter = Meter::default();
        let failed = |kind| Failure::from(S3Error::new(Operation::UploadPart, kind, "x"));
        meter.failed(&failed(S3ErrorKind::Stalled));
        meter.failed(&failed(S3ErrorKind::Tls));
        let read = meter.read();
        assert_eq!(read.stalls, 1);
        assert_eq!(read.failures.values().sum::<u64>(), 2);
    }

    #[test]
    fn a_request_is_under_way_until_it_has_ended() {
        let meter = Meter::default();
        let began = meter.request_began();
        assert_eq!(meter.read().requests_under_way, 1);
        drop(began);
        meter.request_ended(Operation::PutObject, None);
        let mut error = S3Error::new(Operation::PutObject, S3ErrorKind::Answer, "x");
        error.status = Some(503);
        meter.request_ended(Operation::PutObject, Some(&error));
        let read = meter.read();
        assert_eq!(read.requests_under_way, 0);
        let counted = [(("PutObject", "5xx"), 1), (("PutObject", "ok"), 1)];
        assert_eq!(read.requests, counted.into());
    }
}
