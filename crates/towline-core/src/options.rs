//! How a transfer is carried.

use serde::{Deserialize, Serialize};

use crate::{
    Access, ChecksumAlgorithm, Extra, NetworkPolicy, ObjectOptions, PartSize, Priority, Timestamp,
};

/// Whether a field says nothing: it is left out of what is stored and sent, so
/// that ten thousand requests without options are short.
pub(crate) fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// What a download does when its target is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenTargetExists {
    /// Replaces it, in one step, at the end.
    #[default]
    Overwrite,
    /// Fails and leaves it.
    Fail,
    /// Leaves it where it has the object's bytes, by length and the strongest
    /// checksum that can be compared without fetching them, and ends as
    /// [`Skipped`](crate::Outcome::Skipped); otherwise replaces it.
    SkipIfIdentical,
    /// Leaves it and takes the next free name: `name (1).ext`.
    Rename,
}

/// What an upload does when its file changes before it is done. An object never
/// mixes two versions of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenSourceChanges {
    /// Starts from zero with the file as it is then, three times at most; after
    /// that it fails with `SourceChanged`.
    #[default]
    Restart,
    /// Fails with `SourceChanged`, and leaves nothing at S3.
    Fail,
    /// For a file that is appended to, such as a log: uploads the length that it
    /// had at first. Its bytes up to there must stay as they are, which is shown
    /// by reading them once more at the end; otherwise it starts from zero.
    AllowGrowth,
}

/// Whether an upload is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadMode {
    /// One PUT up to 5 MiB, in parts above.
    #[default]
    Auto,
    /// One PUT, up to 5 GiB, which is S3's limit.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
    Single,
    /// A multipart upload, also of few bytes.
    Multipart,
}

/// Which bytes of an object a download is about. The file has those alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByteRange {
    /// From an offset to the end.
    From(u64),
    /// From the first of these offsets up to the second, which is not included.
    /// What the object does not have is left out.
    Within(u64, u64),
    /// The last so many bytes.
    Last(u64),
}

impl ByteRange {
    /// The bytes of an object of this length; `None` where it has none of them.
    pub fn of(self, size: u64) -> Option<std::ops::Range<u64>> {
        let range = match self {
            Self::From(start) => start..size,
            Self::Within(start, end) => start..end.min(size),
            Self::Last(bytes) => size.saturating_sub(bytes)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// When a download is to take place at all. Decided by S3, once, at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadCondition {
    /// Only if the object has this ETag; otherwise it fails.
    #[serde(skip_serializing_if = "is_default")]
    pub if_match: Option<String>,
    /// Only if it has another ETag; otherwise it ends as
    /// [`NotModified`](crate::Outcome::NotModified).
    #[serde(skip_serializing_if = "is_default")]
    pub if_none_match: Option<String>,
    /// Only if it was stored after this; otherwise it ends as
    /// [`NotModified`](crate::Outcome::NotModified). Whole seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub if_modified_since: Option<Timestamp>,
    /// Only if it was not stored after this; otherwise it fails. Whole seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub if_unmodified_since: Option<Timestamp>,
}

/// How a transfer is carried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TransferOptions {
    /// Size of every part but the last. Default: by the object's size.
    #[serde(skip_serializing_if = "is_default")]
    pub part_size: Option<PartSize>,
    /// Uploads: in one PUT or in parts.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_mode: UploadMode,
    /// What S3 checks the bytes with. Default: CRC-64/NVME.
    #[serde(skip_serializing_if = "is_default")]
    pub checksum: ChecksumAlgorithm,
    /// Uploads of files: what to do when the file changes.
    #[serde(skip_serializing_if = "is_default")]
    pub when_source_changes: WhenSourceChanges,
    /// Uploads: only where no object has the key yet (`If-None-Match: *`).
    #[serde(skip_serializing_if = "is_default")]
    pub if_absent: bool,
    /// Downloads: what to do when the target exists.
    #[serde(skip_serializing_if = "is_default")]
    pub when_target_exists: WhenTargetExists,
    /// Downloads below a directory: so many components of the path (`/` not
    /// counted) name the directory that was chosen. What follows comes from a
    /// key: directories are made there, and no symbolic link is followed.
    #[serde(skip_serializing_if = "is_default")]
    pub root_depth: Option<u32>,
    /// Downloads: which bytes. Default: all.
    #[serde(skip_serializing_if = "is_default")]
    pub range: Option<ByteRange>,
    /// Downloads: whether at all.
    #[serde(skip_serializing_if = "is_default")]
    pub condition: ReadCondition,
    /// On which networks. May change later.
    #[serde(skip_serializing_if = "is_default")]
    pub network: NetworkPolicy,
    /// Whether it goes ahead of others. May change later.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// What every request carries.
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// Further headers and parameters.
    #[serde(skip_serializing_if = "is_default")]
    pub extra: Extra,
    /// Uploads: what the object carries besides its bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub object: ObjectOptions,
}
