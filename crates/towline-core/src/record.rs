//! What is stored of a transfer, and the changes that are committed to it.
//!
//! A [`Record`] is the fold of its [`Change`]s: the state machine applies each
//! change to its own copy with [`Record::apply`], and a store that applies the
//! same changes gives back an equal record. Part rows are kept beside it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Checksum, ChecksumKind, Connection, ErrorRecord, FileIdentity, Fingerprint, NetworkPolicy,
    ObjectAddress, Outcome, PartNumber, PartPlan, Phase, Priority, Timestamp, TransferId,
    TransferOptions, UploadMode,
};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a file to an object.
    Upload,
    /// From an object to a file.
    Download,
    /// From an object to another one, by the store itself.
    Copy,
}

impl Direction {
    /// The spelling in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Copy => "copy",
        }
    }

    /// Whether what it writes is an object.
    pub const fn makes_object(self) -> bool {
        matches!(self, Self::Upload | Self::Copy)
    }
}

/// What was asked for; never changes, but for [`TransferOptions::network`] and
/// [`TransferOptions::priority`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Which way.
    pub direction: Direction,
    /// How to reach the store.
    pub connection: Connection,
    /// The object; of a copy the one that is made, with the version of the one
    /// that is read.
    pub object: ObjectAddress,
    /// The file; absolute. Empty for bytes and streams of a process. Of a copy
    /// the object that is read, as `s3://BUCKET/KEY`.
    pub path: PathBuf,
    /// How to carry it.
    pub options: TransferOptions,
    /// The caller's own name for this request: the same one twice is the same
    /// transfer. Unique in a store.
    pub token: Option<String>,
    /// The name that it shares with those it belongs to.
    pub group: Option<String>,
}

impl Spec {
    /// Whether its bytes come from, or go to, the process that asked for it,
    /// and no file. Its path is empty then.
    pub fn is_stream(&self) -> bool {
        self.path.as_os_str().is_empty()
    }

    /// Copies: the object that is read.
    pub fn origin(&self) -> Option<ObjectAddress> {
        let url = self
            .path
            .to_str()
            .filter(|_| self.direction == Direction::Copy)?;
        let mut origin = ObjectAddress::from_url(url)?;
        origin.version_id.clone_from(&self.object.version_id);
        Some(origin)
    }

    /// Whether both name the same file or, letter by letter, the same origin: to a
    /// path `a//b` is `a/b`, and to S3 it is not.
    pub fn same_path(&self, other: &Self) -> bool {
        match self.direction {
            Direction::Copy => self.path.as_os_str() == other.path.as_os_str(),
            Direction::Upload | Direction::Download => self.path == other.path,
        }
    }

    /// Whether both are the same request: on which networks it may go, and ahead
    /// of whom, can have been changed since.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let mut other = std::borrow::Cow::Borrowed(other);
        if self.options.network != other.options.network {
            other.to_mut().options.network = self.options.network;
        }
        if self.options.priority != other.options.priority {
            other.to_mut().options.priority = self.options.priority;
        }
        *self == *other && self.same_path(&other)
    }
}

/// A transfer to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// What is asked for.
    pub spec: Spec,
    /// Uploads: the source as it was at the call. Downloads: bytes of the length
    /// that a listing told ([`Fingerprint::of_bytes`]), if one did: a hint.
    pub source: Option<Fingerprint>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// All that is stored of a transfer but its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the store.
    pub id: TransferId,
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// When.
    pub created_at: Timestamp,
    /// When its phase last changed.
    pub updated_at: Timestamp,
    /// Where it is.
    pub phase: Phase,
    /// Counts starts from zero, from 1.
    pub generation: u32,
    /// Length and part size, once known.
    pub plan: Option<PartPlan>,
    /// Uploads: the source this generation is sent from. Downloads: the length
    /// that a listing told, until the object was asked for.
    pub source: Option<Fingerprint>,
    /// Copies: the version of the object that this generation is copied from.
    pub origin: Option<ObjectIdentity>,
    /// What it holds at S3, or which object it reads.
    pub remote: Option<Remote>,
    /// A request that was about to be sent and whose answer is not recorded, or
    /// a Create whose answer no part has proven yet.
    pub asked: Option<Asked>,
    /// Downloads: the finished temporary file, about to be renamed.
    pub sealed: Option<FileIdentity>,
    /// Bytes of the parts that are recorded.
    pub bytes_done: u64,
    /// The last error, once it failed or parked.
    pub error: Option<ErrorRecord>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What its end was proven by.
    pub proof: Option<Proof>,
}

impl Record {
    /// The record of a new transfer.
    pub fn new(id: TransferId, new: NewTransfer) -> Self {
        Self {
            id,
            spec: Arc::new(new.spec),
            created_at: new.created_at,
            updated_at: new.created_at,
            phase: Phase::Queued,
            generation: 1,
            plan: None,
            source: new.source,
            origin: None,
            remote: None,
            asked: None,
            sealed: None,
            bytes_done: 0,
            error: None,
            outcome: None,
            proof: None,
        }
    }

    /// Applies one change. Part rows live beside the record, so of
    /// [`Change::Parts`] and [`Change::PartsLost`] only the sum is kept here.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Phase { phase, at } => {
                self.phase = *phase;
                self.updated_at = *at;
            }
            Change::Planned { plan, source } => {
                self.plan = Some(*plan);
                self.source = *source;
            }
            Change::Origin(identity) => {
                self.origin = Some(identity.clone());
                self.remote = self
                    .remote
                    .take()
                    .filter(|it| matches!(it, Remote::Upload(_)));
            }
            Change::Remote(remote) => {
                // Its name may have been garbled on the way: only a part that S3
                // takes proves it, and until then the Create stays in doubt.
                if !(matches!(remote, Remote::Upload(_)) && self.asked_to_create()) {
                    self.asked = None;
                }
                // Who reads an object into a file copies none.
                if matches!(remote, Remote::Object(..)) {
                    self.origin = None;
                }
                self.remote = Some(remote.clone());
            }
            Change::Asked(asked) => self.asked = *asked,
            Change::Parts(rows) => {
                self.bytes_done += rows.iter().map(|row| row.len).sum::<u64>();
                if self.asked_to_create() {
                    self.asked = None;
                }
            }
            Change::PartsLost(rows) => {
                self.bytes_done -= rows.iter().map(|row| row.len).sum::<u64>();
            }
            Change::Sealed(file) => self.sealed = Some(*file),
            Change::Error(error) => self.error = error.clone(),
            Change::Network(policy) => Arc::make_mut(&mut self.spec).options.network = *policy,
            Change::Priority(priority) => {
                Arc::make_mut(&mut self.spec).options.priority = *priority;
            }
            Change::Generation(generation) => {
                self.generation = *generation;
                self.plan = None;
                self.source = None;
                self.origin = None;
                self.forget_remote();
            }
            Change::Discarded => self.forget_remote(),
            Change::Ended { outcome, proof } => {
                self.outcome = Some(*outcome);
                self.proof = proof.clone();
            }
        }
    }

    fn asked_to_create(&self) -> bool {
        self.asked
            .is_some_and(|asked| asked.request == Request::Create)
    }

    fn forget_remote(&mut self) {
        self.remote = None;
        self.asked = None;
        self.sealed = None;
        self.bytes_done = 0;
    }

    /// Its length in bytes, once known.
    pub fn bytes_total(&self) -> Option<u64> {
        match self.plan {
            Some(plan) if plan.is_open() => None,
            Some(plan) => Some(plan.size()),
            None => self.source.map(|source| source.size),
        }
    }

    /// Uploads and copies: whether one request stores the object.
    pub(crate) fn is_one_put(&self) -> bool {
        let Some(plan) = self.plan.filter(|plan| !plan.is_open()) else {
            return false;
        };
        // A part cannot be copied from an object without bytes.
        let is_empty_copy = plan.size() == 0 && self.spec.direction == Direction::Copy;
        let wants_parts = self.spec.options.upload_mode == UploadMode::Multipart;
        plan.parts() == 1 && (!wants_parts || is_empty_copy)
    }
}

/// One thing that is committed about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is in another phase since then.
    Phase {
        /// The phase.
        phase: Phase,
        /// Since when.
        at: Timestamp,
    },
    /// How this generation is cut; fixed until the next one.
    Planned {
        /// Length and part size.
        plan: PartPlan,
        /// Uploads: the source it is of.
        source: Option<Fingerprint>,
    },
    /// Copies: the version of the object that this generation is copied from.
    Origin(ObjectIdentity),
    /// What it holds at S3, or which object it reads. Answers [`Request::Create`].
    Remote(Remote),
    /// A request is about to be sent whose answer must not be lost; `None`:
    /// the question is settled.
    Asked(Option<Asked>),
    /// Parts that are where they belong, none of them recorded before.
    Parts(Vec<PartRow>),
    /// Parts that were recorded as given here and are not there after all.
    PartsLost(Vec<PartRow>),
    /// The temporary file is finished and is about to be renamed.
    Sealed(FileIdentity),
    /// Why it failed, parked or waits; `None`: that is over.
    Error(Option<ErrorRecord>),
    /// On which networks it may go.
    Network(NetworkPolicy),
    /// Whether it goes ahead of others.
    Priority(Priority),
    /// It starts from nothing, as this generation; its part rows go.
    Generation(u32),
    /// Nothing of it is left at S3 or on disk; its part rows go.
    Discarded,
    /// It ended; its part rows go, its proof stays.
    Ended {
        /// How.
        outcome: Outcome,
        /// Proven by what.
        proof: Option<Proof>,
    },
}

impl Change {
    /// Whether all part rows of the transfer go with it.
    pub const fn drops_parts(&self) -> bool {
        matches!(
            self,
            Self::Generation(_) | Self::Discarded | Self::Ended { .. }
        )
    }
}

/// What a transfer holds at S3, or which object it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Uploads: the open multipart upload, by S3's name for it.
    Upload(String),
    /// Downloads: the object, and the temporary file that its bytes go to.
    Object(ObjectIdentity, Temp),
}

/// Which version of an object a download reads; requests are bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectIdentity {
    /// Its ETag; `None` where the store sends none.
    pub etag: Option<String>,
    /// Its version, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// When it was stored; becomes the file's modification time.
    pub last_modified: Option<Timestamp>,
    /// Its checksum, and what that covers.
    #[serde(with = "checksum_text")]
    pub checksum: Option<(Checksum, ChecksumKind)>,
    /// How many parts it was made of, where the store tells.
    pub parts: Option<u32>,
    /// The length of its first part, where it was asked for: by it a checksum of
    /// its parts' checksums is computed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
    /// `aws:kms` and the like make the ETag opaque.
    pub encryption: Option<String>,
    /// Only a range of it is downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeOf>,
}

/// Which bytes of an object are downloaded, where not all are: as many as the
/// plan has, from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeOf {
    /// The offset of the first, in bytes.
    pub start: u64,
    /// The length of the whole object, in bytes.
    pub size: u64,
}

/// The temporary file of a download, beside its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Temp {
    /// Its name, without a directory: `.towline-<16 hex>.part`.
    pub name: String,
    /// The boot of this machine in which its parts were written: in the same
    /// one they are trusted after a crash, in another one they are read again.
    pub boot: String,
}

/// A request whose answer must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub request: Request,
    /// Since when it may have been sent, by S3's clock as far as it is known.
    pub at: Timestamp,
}

/// The requests that are no good to send twice without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// CreateMultipartUpload: each one opens another upload.
    Create,
    /// PutObject or CopyObject: may have made a version.
    Put,
    /// CompleteMultipartUpload: may have made the object.
    Complete,
}

/// A part that is where it belongs: at S3, or in the temporary file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Which.
    pub number: PartNumber,
    /// Its length in bytes.
    pub len: u64,
    /// Uploads: the ETag S3 gave.
    pub etag: Option<String>,
    /// Of its bytes.
    pub checksum: Option<Checksum>,
}

/// The strongest proof that source and result are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// Only the length is known to agree.
    SizeOnly,
    /// The store's MD5 agrees.
    Md5,
    /// Each part was checked by the store as it was sent.
    PerPart,
    /// The checksum of the parts' checksums agrees.
    Composite,
    /// A checksum over all bytes agrees.
    FullObject,
}

impl Verified {
    /// The spelling in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SizeOnly => "size-only",
            Self::Md5 => "md5",
            Self::PerPart => "per-part",
            Self::Composite => "composite",
            Self::FullObject => "full-object",
        }
    }
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is kept of a completed transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How strongly its bytes are proven.
    pub verified: Verified,
    /// The object's ETag.
    pub etag: Option<String>,
    /// The object's version.
    pub version_id: Option<String>,
    /// The checksum that agreed, and what it covers.
    #[serde(with = "checksum_text")]
    pub checksum: Option<(Checksum, ChecksumKind)>,
    /// Downloads: the target's name was taken, and it has this number in its
    /// own: `name (1).ext`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<u32>,
}

/// Checksums as `["crc64nvme", "full_object", "hex"]`.
mod checksum_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::{Checksum, ChecksumAlgorithm, ChecksumKind};

    type Text = (ChecksumAlgorithm, ChecksumKind, String);

    pub(super) fn serialize<S: Serializer>(
        value: &Option<(Checksum, ChecksumKind)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: Option<Text> = value.map(|(sum, kind)| {
            let bytes = sum.as_bytes();
            let mut hex = String::with_capacity(2 * bytes.len());
            for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
                hex.extend(char::from_digit(digit.into(), 16));
            }
            (sum.algorithm(), kind, hex)
        });
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(Checksum, ChecksumKind)>, D::Error> {
        let Some((algorithm, kind, hex)) = Option::<Text>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let digits = hex.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("a checksum is not hexadecimal"))?;
        let sum = Checksum::new(algorithm, &bytes).map_err(D::Error::custom)?;
        Ok(Some((sum, kind)))
    }
}
