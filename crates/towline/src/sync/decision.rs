//! What a plan tells.

use std::path::PathBuf;

use towline_core::NotListed;

use super::{SyncDeletion, SyncReason};
use crate::TransferRequest;

/// What is to be done about a file, an object, or both.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncDecision {
    /// The file is to be uploaded.
    Upload {
        /// To be submitted.
        request: Box<TransferRequest>,
        /// The length of the file.
        bytes: u64,
        /// Why.
        reason: SyncReason,
    },
    /// The object is to be downloaded.
    Download {
        /// To be submitted.
        request: Box<TransferRequest>,
        /// The length of the object.
        bytes: u64,
        /// Why.
        reason: SyncReason,
    },
    /// The destination has it and the source does not.
    Delete(SyncDeletion),
    /// Both are the same.
    Same {
        /// The object's key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Their length.
        bytes: u64,
    },
    /// Nothing can be done about it.
    LeftOut(SyncLeftOut),
}

/// What no transfer is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncLeftOut {
    /// The key, where there is one.
    pub key: Option<String>,
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// A stable name of the reason.
    pub code: String,
    /// The reason in words.
    pub why: String,
    /// Something went wrong; else it is so by rule, as with symbolic links.
    pub is_error: bool,
}

impl SyncLeftOut {
    /// One of a group: what it refused, else what it skipped.
    pub fn of_group(left_out: NotListed) -> Self {
        Self {
            key: left_out.key,
            path: left_out.path,
            code: left_out.code,
            why: left_out.why,
            is_error: !left_out.skipped,
        }
    }

    /// One that something is wrong with.
    pub(super) fn by_error(key: String, path: PathBuf, code: &str, why: String) -> SyncDecision {
        SyncDecision::LeftOut(Self {
            key: Some(key),
            path: Some(path),
            code: code.into(),
            why,
            is_error: true,
        })
    }
}
