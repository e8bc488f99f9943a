//! What every request was, and how many bytes it really moved.
//!
//! Counted below `s3s`, at the bodies, so that a request cut half way counts
//! for what arrived and is never taken for a completed one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::operation::{Operation, Target};

/// One request, as it stands now: a running one is listed too.
///
/// `GET /_towline/history` answers an array of these as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// Counts up from 1, in order of arrival.
    pub sequence: u64,
    /// When it arrived, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it asked for.
    pub operation: Operation,
    /// The bucket it named.
    pub bucket: Option<String>,
    /// The key it named, decoded.
    pub key: Option<String>,
    /// `partNumber` of its query.
    pub part_number: Option<u32>,
    /// `uploadId` of its query.
    pub upload_id: Option<String>,
    /// `versionId` of its query.
    pub version_id: Option<String>,
    /// Its `Range` header.
    pub range: Option<String>,
    /// Its headers, names in lower case, values of one name joined by `, `.
    /// Left out are those that carry secrets: the signature, the session
    /// token and the keys of SSE-C.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Bytes of its body that arrived, with any `aws-chunked` framing.
    pub bytes_received: u64,
    /// Whether its body arrived to the end.
    pub received_whole: bool,
    /// The status answered; `None` while it runs, or when it was cut before.
    pub status: Option<u16>,
    /// Bytes of the answer's body handed to the socket.
    pub bytes_sent: u64,
    /// Whether its body arrived to the end and the answer's was handed to the
    /// socket to the end.
    pub completed: bool,
    /// What was done to it, when something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    #[serde(skip)]
    sent_whole: bool,
}

impl Request {
    /// The value of one header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Bytes of its body that arrived, without any `aws-chunked` framing.
    pub fn content_received(&self) -> u64 {
        let content = self.header("x-amz-decoded-content-length");
        let content = content.and_then(|len| len.parse().ok());
        self.bytes_received.min(content.unwrap_or(u64::MAX))
    }
}

/// The requests a server has seen, in order. A cheap handle: clones look at the same history.
#[derive(Clone, Debug, Default)]
pub struct History {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sequence number of the request before the first one kept.
    cleared: u64,
    requests: Vec<Request>,
}

impl History {
    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// How many requests asked for `operation`, whatever became of them.
    pub fn count(&self, operation: Operation) -> usize {
        self.count_where(|request| request.operation == operation)
    }

    /// How many requests fulfil `condition`.
    pub fn count_where(&self, condition: impl Fn(&Request) -> bool) -> usize {
        self.lock()
            .requests
            .iter()
            .filter(|request| condition(request))
            .count()
    }

    /// How many times the bytes of part `part` of `key` arrived whole, in any
    /// upload, whatever was answered. A request cut half way does not count.
    pub fn times_part_sent(&self, key: &str, part: u32) -> usize {
        self.count_where(|request| {
            request.operation == Operation::UploadPart
                && request.key.as_deref() == Some(key)
                && request.part_number == Some(part)
                && request.received_whole
        })
    }

    /// Bytes of all request bodies that arrived, those of cut requests too.
    pub fn bytes_received(&self) -> u64 {
        self.lock()
            .requests
            .iter()
            .map(|request| request.bytes_received)
            .sum()
    }

    /// Bytes of all `GetObject` bodies handed to the sockets, those of cut requests too.
    pub fn bytes_sent(&self) -> u64 {
        self.lock()
            .requests
            .iter()
            .filter(|request| request.operation == Operation::GetObject)
            .map(|request| request.bytes_sent)
            .sum()
    }

    /// Forgets everything so far; requests still running are not counted further.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.cleared += inner.requests.len() as u64;
        inner.requests.clear();
    }

    /// Notes that a request arrived.
    pub(crate) fn begin(&self, target: &Target, headers: &HeaderMap) -> Entry {
        let mut inner = self.lock();
        let sequence = inner.cleared + inner.requests.len() as u64 + 1;
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        inner.requests.push(Request {
            sequence,
            time_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
            operation: target.operation,
            bucket: target.bucket.clone(),
            key: target.key.clone(),
            part_number: target.part_number,
            upload_id: target.upload_id.clone(),
            version_id: target.version_id.clone(),
            range: target.range.clone(),
            headers: shown(headers),
            bytes_received: 0,
            received_whole: false,
            status: None,
            bytes_sent: 0,
            completed: false,
            fault: None,
            sent_whole: false,
        });
        Entry {
            history: self.clone(),
            sequence,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The headers that may be seen.
fn shown(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    for name in headers.keys().filter(|name| !is_secret(name.as_str())) {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        shown.insert(name.as_str().to_owned(), values.join(", "));
    }
    shown
}

fn is_secret(name: &str) -> bool {
    // The keys of SSE-C, of the object and of the one it is a copy of.
    matches!(name, "authorization" | "cookie" | "x-amz-security-token")
        || name.ends_with("-customer-key")
}

/// The place of one request in the history, to note what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    history: History,
    sequence: u64,
}

impl Entry {
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.change(|request| request.bytes_received += bytes);
    }

    pub(crate) fn received_whole(&self) {
        self.change(|request| {
            request.received_whole = true;
            request.completed = request.sent_whole;
        });
    }

    pub(crate) fn fault(&self, what: String) {
        self.change(|request| request.fault = Some(what));
    }

    pub(crate) fn answered(&self, status: u16) {
        self.change(|request| request.status = Some(status));
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.change(|request| request.bytes_sent += bytes);
    }

    pub(crate) fn sent_whole(&self) {
        self.change(|request| {
            request.sent_whole = true;
            request.completed = request.received_whole;
        });
    }

    /// Does nothing when the history was cleared in between.
    fn change(&self, change: impl FnOnce(&mut Request)) {
        let mut inner = self.history.lock();
        let Some(place) = self.sequence.checked_sub(inner.cleared + 1) else {
            return;
        };
        if let Some(request) = usize::try_from(place)
            .ok()
            .and_then(|at| inner.requests.get_mut(at))
        {
            change(request);
        }
    }
}
