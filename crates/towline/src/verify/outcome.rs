//! What a comparison came to.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;
use towline_core::Checksum;

use crate::path_json;

/// Whether a file and an object are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyResult {
    /// They are.
    Equal,
    /// They are not.
    Different,
    /// It cannot be told.
    Unknown,
}

/// What shows that they are equal, or are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyProof {
    /// A checksum over all bytes.
    FullObject,
    /// The checksum of the parts' checksums.
    Composite,
    /// The ETag, which is an MD5 of all bytes, or of the parts' MD5s.
    Md5,
    /// The bytes themselves.
    Bytes,
    /// Their lengths alone.
    SizeOnly,
}

impl VerifyProof {
    /// The spelling in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FullObject => "full-object",
            Self::Composite => "composite",
            Self::Md5 => "md5",
            Self::Bytes => "bytes",
            Self::SizeOnly => "size-only",
        }
    }
}

/// In what they differ, or why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyDoubt {
    /// One is longer.
    Size {
        /// Bytes of the file.
        file: u64,
        /// Bytes of the object.
        object: u64,
    },
    /// A checksum differs.
    Checksum {
        /// That of the file.
        file: Checksum,
        /// That of the object.
        object: Checksum,
    },
    /// A part's checksum differs, the first one that does.
    Part {
        /// Which part of the object.
        number: u32,
        /// Its bytes.
        range: Range<u64>,
    },
    /// A byte differs, the first one that does.
    Byte {
        /// Its offset.
        at: u64,
    },
    /// There is no such object, or version of it.
    NoObject,
    /// The file was written to while it was read.
    FileChanged,
    /// The object was replaced while it was compared.
    ObjectChanged,
    /// The store keeps nothing that could be compared without fetching the object.
    NothingToCompare,
    /// The transfer was of a range of the object, and no checksum is of that.
    PartOfObject,
}

impl VerifyDoubt {
    /// A stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "SizeDiffers",
            Self::Checksum { .. } => "ChecksumDiffers",
            Self::Part { .. } => "PartDiffers",
            Self::Byte { .. } => "ByteDiffers",
            Self::NoObject => "NoObject",
            Self::FileChanged => "FileChanged",
            Self::ObjectChanged => "ObjectChanged",
            Self::NothingToCompare => "NothingToCompare",
            Self::PartOfObject => "PartOfObject",
        }
    }

    pub(super) const fn result(&self) -> VerifyResult {
        match self {
            Self::Size { .. }
            | Self::Checksum { .. }
            | Self::Part { .. }
            | Self::Byte { .. }
            | Self::NoObject => VerifyResult::Different,
            Self::FileChanged
            | Self::ObjectChanged
            | Self::NothingToCompare
            | Self::PartOfObject => VerifyResult::Unknown,
        }
    }
}

impl fmt::Display for VerifyDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { file, object } => {
                write!(f, "the file has {file} bytes, the object {object}")
            }
            Self::Checksum { file, object } => {
                write!(f, "the file has {file:?}, the object {object:?}")
            }
            Self::Part { number, range } => write!(
                f,
                "part {number} of the object, bytes {} to {}, has another checksum in the file",
                range.start,
                range.end.saturating_sub(1)
            ),
            Self::Byte { at } => write!(f, "byte {at} is another one"),
            Self::NoObject => f.write_str("there is no such object"),
            Self::FileChanged => f.write_str("the file changed while it was read"),
            Self::ObjectChanged => f.write_str("the object was replaced while it was compared"),
            Self::NothingToCompare => f.write_str(
                "only the lengths agree: the store keeps no checksum that can be compared; \
                 to compare the bytes themselves, download them (--download)",
            ),
            Self::PartOfObject => f.write_str(
                "the transfer was of a range of the object, and no checksum is of that alone",
            ),
        }
    }
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Whether they are equal.
    pub result: VerifyResult,
    /// By what that is told; `None` where nothing was compared.
    pub proof: Option<VerifyProof>,
    /// In what they differ, or why it cannot be told. In JSON its code, as `code`.
    #[serde(rename = "code", serialize_with = "code")]
    pub doubt: Option<VerifyDoubt>,
    /// All of it, in words.
    pub message: String,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version, where the store tells one.
    pub version_id: Option<String>,
    /// The file. In JSON `path`, or `path_b64` where it is not UTF-8.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// The length of the file in bytes.
    pub bytes_file: u64,
    /// The length of the object in bytes; `None` where there is none.
    pub bytes_object: Option<u64>,
    /// The object's ETag.
    pub etag: Option<String>,
}

fn code<S: serde::Serializer>(doubt: &Option<VerifyDoubt>, to: S) -> Result<S::Ok, S::Error> {
    doubt.as_ref().map(VerifyDoubt::code).serialize(to)
}
