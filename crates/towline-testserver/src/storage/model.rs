//! What the storage knows: buckets, object versions, open uploads and their parts.
//!
//! Plain data. Directory mode writes each of these as one JSON file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::{BucketLifecycleConfiguration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blobs::Blob;
use super::options::Headers;
use crate::checksum::{Algorithm, Checksum, Kind, ObjectChecksum};

/// Version id of what was stored while its bucket was not versioned.
pub(crate) const NULL_VERSION: &str = "null";

/// A bucket without its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) created: Seconds,
    pub(crate) versioning: Versioning,
    /// Who asks pays, and is to say that they know.
    #[serde(default)]
    pub(crate) requester_pays: bool,
    #[serde(default)]
    pub(crate) lifecycle: Option<BucketLifecycleConfiguration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// Never switched on.
    Off,
    Enabled,
    Suspended,
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Order of creation over all buckets.
    pub(crate) sequence: u64,
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) modified: Seconds,
    /// The multipart upload that made it.
    pub(crate) upload_id: Option<String>,
    /// `None` makes this a delete marker.
    pub(crate) content: Option<Content>,
}

/// The bytes of an object and what S3 tells about them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) checksum: ObjectChecksum,
    pub(crate) headers: Headers,
    /// In order. One PUT stores exactly one.
    pub(crate) parts: Vec<Part>,
}

/// Bytes that arrived by one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) size: u64,
    /// The MD5 in hexadecimal digits, or others where S3's would not be the MD5.
    pub(crate) etag: String,
    pub(crate) checksum: Checksum,
    pub(crate) modified: Seconds,
    pub(crate) blob_id: String,
    #[serde(skip)]
    pub(crate) blob: Arc<Blob>,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Grows in order of creation, as S3 lists them.
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiated: Seconds,
    /// The access key that opened it.
    pub(crate) initiator: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// Whether the client named the algorithm, or it is S3's default.
    pub(crate) declared: bool,
    pub(crate) headers: Headers,
    /// Each in a file of its own.
    #[serde(skip)]
    pub(crate) parts: BTreeMap<u32, Part>,
}

/// A time in whole seconds since 1970, the resolution of `Last-Modified`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Seconds(pub(crate) u64);

impl Version {
    /// Whether it was made by a multipart upload.
    pub(crate) fn is_multipart(&self) -> bool {
        self.upload_id.is_some()
    }
}

impl Seconds {
    pub(crate) fn now() -> Self {
        Self::from(SystemTime::now())
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from(SystemTime::from(self))
    }
}

impl From<Seconds> for SystemTime {
    fn from(seconds: Seconds) -> Self {
        UNIX_EPOCH + Duration::from_secs(seconds.0)
    }
}

impl From<SystemTime> for Seconds {
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        )
    }
}
