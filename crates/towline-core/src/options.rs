//! How a transfer is carried, and what its object is to be like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ChecksumAlgorithm, PartSize};

/// What an uploaded object carries besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectOptions {
    /// `Content-Type`. Default: by the file name's extension,
    /// `application/octet-stream` where that tells nothing.
    pub content_type: Option<String>,
    /// `Content-Encoding`, stored as given; bytes are never encoded by us.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Own metadata, `x-amz-meta-…`; at most 2 KB in all.
    pub metadata: BTreeMap<String, String>,
    /// Tags, at most 10.
    pub tags: BTreeMap<String, String>,
    /// A canned ACL such as `public-read`.
    pub acl: Option<String>,
    /// A storage class such as `STANDARD_IA`.
    pub storage_class: Option<String>,
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
}

/// How a transfer is carried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TransferOptions {
    /// Size of every part but the last. Default: by the object's size.
    pub part_size: Option<PartSize>,
    /// What S3 checks the bytes with. Default: CRC-64/NVME.
    pub checksum: ChecksumAlgorithm,
    /// Uploads: only where no object has the key yet (`If-None-Match: *`).
    pub if_absent: bool,
    /// Downloads: what to do when the target exists.
    pub when_target_exists: WhenTargetExists,
    /// Uploads: what the object carries besides its bytes.
    pub object: ObjectOptions,
}
