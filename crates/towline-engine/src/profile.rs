//! What was learned of a store while working with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use towline_core::{ChecksumAlgorithm, Connection, Operation, S3Error, S3ErrorKind};

/// What a store does with checksums of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Its answers show the checksum: it has looked at it.
    Shown,
    /// It takes the header, and nobody can tell whether it has looked at it.
    Silent,
    /// It refuses requests with the header.
    Refused,
}

/// What a store does with a condition on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heeds {
    /// It keeps to it.
    Yes,
    /// It does as if there were none.
    Ignores,
    /// It refuses requests with one.
    Refuses,
}

/// One thing that an answer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// What became of a checksum that was sent.
    Checksum(ChecksumAlgorithm, Checks),
    /// It said that it checks parts so, before any was sent.
    ChecksParts(ChecksumAlgorithm),
    /// Whether a checksum behind the bytes was looked at.
    Trailers(bool),
    /// Whether a range was asked for and given.
    Ranges(bool),
    /// `If-Match` on GetObject.
    ReadCondition(Heeds),
    /// `If-None-Match: *` on PutObject and CompleteMultipartUpload.
    WriteCondition(Heeds),
    /// Whether ListParts goes on behind a part number.
    PagesOfParts(bool),
    /// Whether an operation is allowed.
    Right(Operation, bool),
}

impl Fact {
    /// What it costs, in words; `None` where it costs nothing.
    pub fn lack(self) -> Option<String> {
        use ChecksumAlgorithm::Md5;
        Some(match self {
            Self::Checksum(Md5, _) | Self::Checksum(_, Checks::Shown) => return None,
            Self::Checksum(algorithm, Checks::Silent) => format!(
                "this store shows no {} checksum; bytes go with Content-MD5, and what is verified is the MD5",
                algorithm.s3_name().unwrap_or_default()
            ),
            Self::Checksum(algorithm, Checks::Refused) => format!(
                "this store refuses {} checksums; a weaker checksum takes their place",
                algorithm.s3_name().unwrap_or_default()
            ),
            Self::Ranges(false) => {
                "this store ignores ranges; an object comes in one piece, and from its start again after a break".into()
            }
            Self::ReadCondition(Heeds::Ignores) => {
                "this store ignores If-Match; that an object changed is seen by its ETag alone".into()
            }
            Self::ReadCondition(Heeds::Refuses) => {
                "this store refuses If-Match on reads; that an object changed is seen by its ETag alone".into()
            }
            Self::WriteCondition(Heeds::Ignores) => {
                "this store ignores If-None-Match; \"only if absent\" is not kept, and an object may be replaced".into()
            }
            Self::WriteCondition(Heeds::Refuses) => {
                "this store refuses If-None-Match; uploads \"only if absent\" fail".into()
            }
            Self::PagesOfParts(false) => {
                "this store lists only the first page of an upload's parts; after a crash the others are sent again".into()
            }
            Self::Right(operation, false) => {
                format!("{operation} is denied; {}", without(operation))
            }
            Self::ChecksParts(_)
            | Self::Trailers(_)
            | Self::Ranges(true)
            | Self::ReadCondition(Heeds::Yes)
            | Self::WriteCondition(Heeds::Yes)
            | Self::PagesOfParts(true)
            | Self::Right(_, true) => return None,
        })
    }
}

/// What cannot be done without an operation.
pub fn without(operation: Operation) -> &'static str {
    match operation {
        Operation::PutObject => "nothing can be uploaded",
        Operation::CopyObject => "nothing can be copied in one request",
        Operation::GetObject => "nothing can be downloaded",
        Operation::HeadObject => {
            "what GetObject shows takes its place; where that is denied too, downloads do not begin, and whether an upload whose answer was lost has landed is not known"
        }
        Operation::DeleteObject => "objects cannot be deleted",
        Operation::DeleteObjects => "objects are deleted one by one",
        Operation::CreateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload => "nothing above 5 MiB can be uploaded",
        Operation::UploadPartCopy => "nothing above 256 MiB can be copied",
        Operation::AbortMultipartUpload => {
            "the parts of canceled uploads stay at S3 and are paid for, unless a lifecycle rule aborts them"
        }
        Operation::ListParts => {
            "after a crash parts that were under way are sent again, and that an upload is gone is noticed late"
        }
        Operation::ListMultipartUploads => {
            "an upload whose opening was not answered stays open, and leftovers cannot be found"
        }
        Operation::ListObjects => {
            "objects cannot be listed, and S3 says \"denied\" of an object that is not there"
        }
        Operation::GetBucketLifecycleConfiguration => {
            "whether the bucket aborts uploads that nobody completes is not known"
        }
        Operation::GetObjectTagging => "copies do not have the tags of what was copied",
    }
}

/// So many ranges in a row that were answered with the whole are no accident.
const IGNORED_RANGES: u32 = 3;

/// What one store can and cannot do with one bucket, as its answers have shown
/// so far. What was not asked for yet is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    checks: HashMap<ChecksumAlgorithm, Checks>,
    /// What it said that it checks parts by.
    says: Vec<ChecksumAlgorithm>,
    trailers: Option<bool>,
    ranges: Option<bool>,
    ranges_ignored: u32,
    reads: Option<Heeds>,
    writes: Option<Heeds>,
    pages_of_parts: Option<bool>,
    denied: Vec<Operation>,
}

impl Profile {
    /// Takes in what an answer showed; gives whether it costs something and was
    /// not known.
    pub fn learn(&mut self, fact: Fact) -> bool {
        // Nearly every answer shows what is known and costs nothing.
        let before = fact.lack().is_some().then(|| self.clone());
        match fact {
            // A store that shows them has lost this one on its way.
            Fact::Checksum(algorithm, Checks::Silent)
                if self.checks(algorithm) == Some(Checks::Shown) => {}
            Fact::Checksum(algorithm, checks) => drop(self.checks.insert(algorithm, checks)),
            Fact::ChecksParts(algorithm) => {
                if !self.says.contains(&algorithm) {
                    self.says.push(algorithm);
                }
            }
            // A store that has looked at one does not lose the ability.
            Fact::Trailers(false) if self.trailers == Some(true) => {}
            Fact::Trailers(looked_at) => self.trailers = Some(looked_at),
            Fact::Ranges(heeded) => {
                self.ranges = Some(heeded);
                self.ranges_ignored = 0;
            }
            Fact::ReadCondition(heeds) => self.reads = Some(heeds),
            Fact::WriteCondition(heeds) => self.writes = Some(heeds),
            Fact::PagesOfParts(there) => self.pages_of_parts = Some(there),
            Fact::Right(operation, allowed) => {
                self.denied.retain(|denied| *denied != operation);
                if !allowed {
                    self.denied.push(operation);
                }
            }
        }
        before.is_some_and(|before| *self != before)
    }

    /// All of a range's object came instead: gives whether ranges are of no use
    /// here, or it may be an accident.
    pub fn range_was_ignored(&mut self) -> bool {
        self.ranges_ignored = self.ranges_ignored.saturating_add(1);
        self.ranges_ignored >= IGNORED_RANGES
    }

    /// What to send with the bytes: as asked, or what takes its place where the
    /// store does not show it, or refuses it, or refused it just now.
    pub fn checksum(
        &self,
        asked: ChecksumAlgorithm,
        refused: &[ChecksumAlgorithm],
    ) -> ChecksumAlgorithm {
        let refuses = |algorithm| {
            refused.contains(&algorithm) || self.checks(algorithm) == Some(Checks::Refused)
        };
        match asked {
            asked if self.checks(asked) == Some(Checks::Silent) => ChecksumAlgorithm::Md5,
            asked if !refuses(asked) => asked,
            // The newest algorithm may be the only one that it does not know.
            ChecksumAlgorithm::Crc64Nvme => self.checksum(ChecksumAlgorithm::Crc32c, refused),
            _ => ChecksumAlgorithm::Md5,
        }
    }

    /// Whether a request may have been refused for the checksum that it had.
    pub fn may_refuse(&self, algorithm: ChecksumAlgorithm, error: &S3Error) -> bool {
        algorithm != ChecksumAlgorithm::Md5
            && may_refuse_a_header(error)
            && (self.checks(algorithm).is_none() || names_checksums(error))
    }

    /// What it does with checksums of an algorithm.
    pub fn checks(&self, algorithm: ChecksumAlgorithm) -> Option<Checks> {
        self.checks.get(&algorithm).copied()
    }

    /// Whether a checksum may go behind its bytes: to a store that shows such in its
    /// answers, or said that it looks at them, and did not refuse one there. `None` as
    /// long as it did neither.
    pub fn trails(&self, algorithm: ChecksumAlgorithm) -> Option<bool> {
        match (algorithm, self.trailers, self.checks(algorithm)) {
            (ChecksumAlgorithm::Md5, ..) | (_, Some(false), _) => Some(false),
            (.., Some(checks)) => Some(checks == Checks::Shown),
            (.., None) => self.says.contains(&algorithm).then_some(true),
        }
    }

    /// Whether a request may have been refused for having its checksum behind the bytes.
    pub fn may_refuse_a_trailer(&self, error: &S3Error) -> bool {
        let takes_it_for_content = || {
            let codes = ["SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"];
            error.status == Some(411) || codes.contains(&error.code())
        };
        self.trailers.is_none() && (may_refuse_a_header(error) || takes_it_for_content())
    }

    /// Whether ranges of an object can be had.
    pub fn ranges(&self) -> Option<bool> {
        self.ranges
    }

    /// What it does with `If-Match` on reads.
    pub fn read_conditions(&self) -> Option<Heeds> {
        self.reads
    }

    /// What it does with `If-None-Match: *` on writes.
    pub fn write_conditions(&self) -> Option<Heeds> {
        self.writes
    }

    /// Whether ListParts goes on behind a part number.
    pub fn pages_of_parts(&self) -> Option<bool> {
        self.pages_of_parts
    }

    /// The operations that are denied, as they were asked for.
    pub fn denied(&self) -> &[Operation] {
        &self.denied
    }
}

/// Whether an answer is one that stores give to a header they do not know.
pub fn may_refuse_a_header(error: &S3Error) -> bool {
    error.kind == S3ErrorKind::Answer
        && match error.status {
            Some(501) => true,
            Some(400) => matches!(
                error.code(),
                "" | "InvalidArgument"
                    | "InvalidRequest"
                    | "InvalidHeader"
                    | "NotImplemented"
                    | "NotSupported"
            ),
            _ => false,
        }
}

fn names_checksums(error: &S3Error) -> bool {
    error.message.to_ascii_lowercase().contains("checksum")
}

/// Whether an answer says that the operation is not for us, or not there at all.
pub fn is_denied(error: &S3Error) -> bool {
    let listing = matches!(
        error.operation,
        Operation::ListParts | Operation::ListMultipartUploads
    );
    error.kind == S3ErrorKind::Answer
        && match error.status {
            Some(403) => matches!(error.code(), "" | "AccessDenied" | "Forbidden"),
            Some(405 | 501) => listing,
            _ => false,
        }
}

/// The profile of a store and bucket, as all their transfers share it.
pub(crate) struct Shared {
    profile: Mutex<Profile>,
    /// Of the store, whichever the bucket.
    worked: Arc<AtomicBool>,
}

impl Shared {
    pub(crate) fn profile(&self) -> MutexGuard<'_, Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was answered: the endpoint and the credentials work.
    pub(crate) fn note_worked(&self) {
        self.worked.store(true, Relaxed);
    }

    pub(crate) fn has_worked(&self) -> bool {
        self.worked.load(Relaxed)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.profile().fmt(f)
    }
}

/// The profiles of all stores that this process talked to.
#[derive(Debug, Default)]
pub(crate) struct Profiles(Mutex<HashMap<Connection, Store>>);

/// One store, and what was learned of each of its buckets.
#[derive(Debug, Default)]
struct Store {
    worked: Arc<AtomicBool>,
    buckets: HashMap<String, Arc<Shared>>,
}

impl Profiles {
    pub(crate) fn of(&self, connection: &Connection, bucket: &str) -> Arc<Shared> {
        let mut profiles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = profiles.get(connection);
        if let Some(known) = known.and_then(|store| store.buckets.get(bucket)) {
            return Arc::clone(known);
        }
        let store = profiles.entry(connection.clone()).or_default();
        let new = Arc::new(Shared {
            profile: Mutex::default(),
            worked: Arc::clone(&store.worked),
        });
        store.buckets.insert(bucket.to_owned(), Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChecksumAlgorithm::{Crc32c, Crc64Nvme, Md5, Sha256};

    fn answer(operation: Operation, status: u16, code: &str) -> S3Error {
        let mut error = S3Error::new(operation, S3ErrorKind::Answer, "");
        error.status = Some(status);
        error.code = (!code.is_empty()).then(|| code.to_owned());
        error
    }

    #[test]
    fn a_checksum_that_is_not_shown_or_refused_gives_way_to_the_next_weaker_one() {
        let mut profile = Profile::default();
        assert_eq!(profile.checksum(Crc64Nvme, &[]), Crc64Nvme);
        assert_eq!(profile.checksum(Crc64Nvme, &[Crc64Nvme]), Crc32c);
        assert_eq!(profile.checksum(Crc64Nvme, &[Crc64Nvme, Crc32c]), Md5);
        assert!(profile.learn(Fact::Checksum(Crc64Nvme, Checks::Refused)));
        assert_eq!(profile.checksum(Crc64Nvme, &[]), Crc32c);
        assert_eq!(profile.checksum(Sha256, &[]), Sha256);
        assert!(profile.learn(Fact::Checksum(Crc32c, Checks::Silent)));
        assert_eq!(profile.checksum(Crc64Nvme, &[]), Md5);
        assert!(!profile.learn(Fact::Checksum(Sha256, Checks::Shown)));
        assert!(!profile.learn(Fact::Checksum(Sha256, Checks::Silent)));
        assert_eq!(
            profile.checksum(Sha256, &[]),
            Sha256,
            "one was lost on its way"
        );
    }

    #[test]
    fn a_checksum_goes_behind_its_bytes_once_the_store_has_shown_one_until_it_refuses() {
        let mut profile = Profile::default();
        assert_eq!(profile.trails(Crc64Nvme), None);
        assert_eq!(profile.trails(Md5), Some(false));
        let mut says = profile.clone();
        says.learn(Fact::ChecksParts(Crc64Nvme));
        assert_eq!(says.trails(Crc64Nvme), Some(true));
        assert_eq!(says.trails(Crc32c), None);
        says.learn(Fact::Checksum(Crc64Nvme, Checks::Silent));
        assert_eq!(says.trails(Crc64Nvme), Some(false), "it only says so");
        profile.learn(Fact::Checksum(Crc64Nvme, Checks::Shown));
        assert_eq!(profile.trails(Crc64Nvme), Some(true));
        assert_eq!(profile.trails(Crc32c), None);
        let refused = [
            answer(Operation::UploadPart, 501, "NotImplemented"),
            answer(Operation::UploadPart, 403, "SignatureDoesNotMatch"),
        ];
        for error in &refused {
            assert!(profile.may_refuse_a_trailer(error), "it never took one");
        }
        let damaged = answer(Operation::UploadPart, 400, "BadDigest");
        assert!(!profile.may_refuse_a_trailer(&damaged));
        let mut took_one = profile.clone();
        assert!(!took_one.learn(Fact::Trailers(true)));
        assert!(!refused.iter().any(|it| took_one.may_refuse_a_trailer(it)));
        took_one.learn(Fact::Trailers(false));
        assert_eq!(took_one.trails(Crc64Nvme), Some(true), "one was lost");
        assert!(
            !profile.learn(Fact::Trailers(false)),
            "nothing is lost by it"
        );
        assert_eq!(profile.trails(Crc64Nvme), Some(false));
        profile.learn(Fact::Checksum(Crc32c, Checks::Silent));
        assert_eq!(profile.trails(Crc32c), Some(false));
    }

    #[test]
    fn what_was_told_once_is_not_told_again() {
        let mut profile = Profile::default();
        let denied = Fact::Right(Operation::ListParts, false);
        assert!(profile.learn(denied));
        assert!(!profile.learn(denied));
        assert_eq!(profile.denied(), [Operation::ListParts]);
        assert!(!profile.learn(Fact::Right(Operation::ListParts, true)));
        assert_eq!(profile.denied(), []);
        assert!(profile.learn(denied), "it was taken back, and once more");
    }

    #[test]
    fn ranges_that_are_ignored_in_a_row_are_no_accident() {
        let mut profile = Profile::default();
        assert!(!profile.range_was_ignored());
        assert!(!profile.range_was_ignored());
        profile.learn(Fact::Ranges(true));
        let ignored = [(); 3].map(|()| profile.range_was_ignored());
        assert_eq!(ignored, [false, false, true]);
    }

    #[test]
    fn only_answers_that_stores_give_to_unknown_headers_are_taken_for_such() {
        let mut profile = Profile::default();
        let may = |profile: &Profile, status, code| {
            profile.may_refuse(Crc64Nvme, &answer(Operation::UploadPart, status, code))
        };
        for (status, code) in [(501, "NotImplemented"), (501, ""), (400, "InvalidArgument")] {
            assert!(may(&profile, status, code), "{status} {code}");
        }
        for (status, code) in [(400, "BadDigest"), (403, "AccessDenied"), (500, "")] {
            assert!(!may(&profile, status, code), "{status} {code}");
        }
        profile.learn(Fact::Checksum(Crc64Nvme, Checks::Shown));
        assert!(!may(&profile, 501, "NotImplemented"), "it has shown one");
    }

    #[test]
    fn a_denied_right_is_told_from_bad_credentials_and_a_missing_operation_counts_as_one() {
        use Operation::{HeadObject, ListParts, PutObject};
        assert!(is_denied(&answer(HeadObject, 403, "")));
        assert!(is_denied(&answer(ListParts, 403, "AccessDenied")));
        assert!(is_denied(&answer(ListParts, 501, "NotImplemented")));
        assert!(!is_denied(&answer(PutObject, 501, "NotImplemented")));
        assert!(!is_denied(&answer(PutObject, 403, "SignatureDoesNotMatch")));
    }

    #[test]
    fn transfers_to_one_bucket_share_what_was_learned_and_those_to_another_do_not() {
        let profiles = Profiles::default();
        let (one, other) = (
            Connection::default(),
            Connection {
                endpoint: Some("http://other".into()),
                ..Connection::default()
            },
        );
        let fact = Fact::Ranges(false);
        assert!(profiles.of(&one, "a").profile().learn(fact));
        assert!(!profiles.of(&one, "a").profile().learn(fact));
        assert!(profiles.of(&one, "b").profile().learn(fact));
        assert!(profiles.of(&other, "a").profile().learn(fact));
        // That it answers at all counts for the whole store.
        profiles.of(&one, "a").note_worked();
        assert!(profiles.of(&one, "b").has_worked());
        assert!(!profiles.of(&other, "a").has_worked());
    }
}
