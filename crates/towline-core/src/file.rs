//! What tells one version of a local file from another.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A source file as it was when it was looked at. Two equal fingerprints are
/// taken to mean equal bytes; writers through `mmap` within one timestamp of
/// the file system are the documented exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The device it is on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Last change of its bytes, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Last change of its inode, in nanoseconds since 1970.
    pub changed_ns: i64,
}

impl Fingerprint {
    /// What stands for bytes that are in no file and cannot change.
    pub fn of_bytes(size: u64) -> Self {
        Self {
            device: 0,
            inode: 0,
            size,
            modified_ns: 0,
            changed_ns: 0,
        }
    }

    /// What a listing tells of an object: a hint, for a download.
    pub fn of_listed(size: u64, last_modified: Option<Timestamp>) -> Self {
        let at = last_modified.map_or(0, Timestamp::as_millis);
        Self {
            modified_ns: at.saturating_mul(1_000_000),
            ..Self::of_bytes(size)
        }
    }
}

/// A finished temporary file, recorded before it is renamed, so that after a
/// crash the renamed file can be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The device it is on.
    pub device: u64,
    /// Its inode, which a rename keeps.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Last change of its bytes, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl From<Fingerprint> for FileIdentity {
    fn from(f: Fingerprint) -> Self {
        Self {
            device: f.device,
            inode: f.inode,
            size: f.size,
            modified_ns: f.modified_ns,
        }
    }
}
