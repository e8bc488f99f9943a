//! Copies that the store makes by itself.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::{Access, ChecksumAlgorithm, Extra, ObjectOptions, Upload, WriteCondition};

/// What is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// A version; `None` is the current one.
    pub version_id: Option<String>,
    /// Only while it has this ETag (`x-amz-copy-source-if-match`).
    pub if_match: Option<String>,
}

/// CopyObject.
#[derive(Clone, Debug, Default)]
pub struct CopyObject {
    /// What is copied.
    pub source: CopySource,
    /// The bucket of the copy.
    pub bucket: String,
    /// The key of the copy.
    pub key: String,
    /// What the copy is to carry. Of metadata and headers the store keeps those
    /// of the source, unless they are replaced.
    pub options: ObjectOptions,
    /// Metadata and headers are those of `options`, and not the source's.
    pub replace_metadata: bool,
    /// Tags are those of `options`, and not the source's.
    pub replace_tags: bool,
    /// The algorithm of the copy's checksum. Default: as the source has it.
    pub checksum: Option<ChecksumAlgorithm>,
    /// A condition on what stands there, if any.
    pub condition: Option<WriteCondition>,
    /// What every request for the copy carries.
    pub access: Access,
    /// Further headers and parameters.
    pub extra: Extra,
}

/// UploadPartCopy.
#[derive(Clone, Debug, Default)]
pub struct UploadPartCopy {
    /// What is copied.
    pub source: CopySource,
    /// Half-open byte offsets; `None` is all of it.
    pub range: Option<Range<u64>>,
    /// The upload it belongs to.
    pub upload: Upload,
    /// 1 to 10,000.
    pub number: u32,
}

/// GetObjectTagging.
#[derive(Clone, Debug, Default)]
pub struct GetTags {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// A version; `None` is the current one.
    pub version_id: Option<String>,
    /// What every request for the object carries.
    pub access: Access,
}

/// The tags of an object.
pub type Tags = BTreeMap<String, String>;
