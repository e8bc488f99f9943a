//! Why an act did not succeed, and what is kept of it.

use serde::{Deserialize, Serialize};

use crate::{S3Error, S3ErrorKind};

/// What an act of the engine reports when it did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A request to S3.
    #[error(transparent)]
    S3(Box<S3Error>),
    /// Something on this machine.
    #[error("{0}")]
    Local(LocalFailure),
}

impl Failure {
    /// Whether S3 said no, so that it is known to have done nothing.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::S3(error) = self else { return false };
        let no = |status| (400..500).contains(&status) && status != 408;
        error.kind == S3ErrorKind::Answer && error.status.is_some_and(no)
    }
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        if error.no_descriptor {
            return Self::Local(LocalFailure::OutOfDescriptors {
                path: "a connection".into(),
                why: error.message,
            });
        }
        Self::S3(Box::new(error))
    }
}

impl From<LocalFailure> for Failure {
    fn from(failure: LocalFailure) -> Self {
        Self::Local(failure)
    }
}

impl Failure {
    /// A request for what is copied, and not for the copy.
    pub fn is_of_origin(&self) -> bool {
        matches!(self, Self::S3(error) if error.of_origin)
    }

    /// This machine had no file or socket left to give.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self, Self::Local(LocalFailure::OutOfDescriptors { .. }))
    }
}

/// What went wrong on this machine, or between it and what S3 sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalFailure {
    /// The source is not what it was when its parts were planned.
    #[error("{path} changed while it was read: {why}")]
    SourceChanged {
        /// The source.
        path: String,
        /// In what it differs.
        why: String,
    },
    /// The source cannot be read any more.
    #[error("cannot read {path}: {why}")]
    SourceUnreadable {
        /// The source.
        path: String,
        /// The system's words.
        why: String,
        /// It is not there (as opposed to not readable).
        missing: bool,
    },
    /// The disk did not give bytes of the source.
    #[error("cannot read {path} at byte {offset}: {why}")]
    SourceReadFailed {
        /// The source.
        path: String,
        /// The first byte that could not be read.
        offset: u64,
        /// The system's words.
        why: String,
    },
    /// No file or socket can be opened for now.
    #[error("cannot open {path}: {why}")]
    OutOfDescriptors {
        /// What was to be opened.
        path: String,
        /// The system's words.
        why: String,
    },
    /// The object is not the one that the download began with.
    #[error("{object} changed during its download")]
    ObjectChanged {
        /// The object.
        object: String,
    },
    /// The disk of the target is full, or its quota.
    #[error("no space left for {path}: {why}")]
    DiskFull {
        /// The target.
        path: String,
        /// How much there is, and how much is needed.
        why: String,
    },
    /// The target cannot be written.
    #[error("cannot write {path}: {why}")]
    TargetUnwritable {
        /// The target.
        path: String,
        /// The system's words.
        why: String,
        /// The file system is read-only.
        read_only: bool,
    },
    /// The directory of the target is gone, or may not be written any more.
    #[error("cannot write {path}: {why}")]
    TargetAway {
        /// The target.
        path: String,
        /// The system's words.
        why: String,
    },
    /// The disk did not take bytes that were written before, so none of them
    /// can be trusted.
    #[error("cannot sync {path} to disk: {why}")]
    SyncFailed {
        /// The target.
        path: String,
        /// The system's words.
        why: String,
    },
    /// The target exists and must not be replaced.
    #[error("{path} exists")]
    TargetExists {
        /// The target.
        path: String,
    },
    /// The temporary file is gone or is not ours any more.
    #[error("the temporary file of {path} is gone")]
    TempGone {
        /// The target.
        path: String,
    },
    /// S3 sent other bytes than it announced: length, range or checksum.
    #[error("S3 sent wrong bytes of {object}: {why}")]
    WrongBytes {
        /// The object.
        object: String,
        /// What did not agree.
        why: String,
    },
    /// S3 gives whole objects, whichever range it is asked for.
    #[error("{object} is not given in ranges")]
    NoRanges {
        /// The object.
        object: String,
    },
    /// All bytes arrived as announced, and yet the whole is not the object.
    #[error("the file does not agree with {object}: {why}")]
    WrongWhole {
        /// The object.
        object: String,
        /// What did not agree.
        why: String,
    },
    /// S3 stored other bytes than were sent.
    #[error("S3 stored other bytes of {object} than were sent: {why}")]
    StoredWrong {
        /// The object.
        object: String,
        /// What did not agree.
        why: String,
    },
    /// The bytes came from a process that is gone, or were given away already.
    #[error("the bytes cannot be read again: they were in no file")]
    SourceNotReopenable,
    /// The bytes were to go to a process that is gone, or that has some already.
    #[error("the bytes cannot be delivered again: they go to no file")]
    TargetNotReopenable,
    /// A stream did not have the length that was announced, or has too much.
    #[error("{why}")]
    StreamLength {
        /// What did not agree.
        why: String,
    },
    /// The object has none of the bytes asked for.
    #[error("{object} has {size} bytes, none of those asked for")]
    NoSuchRange {
        /// The object.
        object: String,
        /// Its length in bytes.
        size: u64,
    },
    /// The connection of the transfer cannot be used.
    #[error("{why}")]
    Connection {
        /// What is wrong with it.
        why: String,
    },
    /// The length cannot be cut into parts that S3 takes.
    #[error("{why}")]
    Unplannable {
        /// What is wrong with it.
        why: String,
    },
}

impl LocalFailure {
    /// The stable name of this failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SourceChanged { .. } => "SourceChanged",
            Self::SourceUnreadable { missing: true, .. } => "SourceMissing",
            Self::SourceUnreadable { .. } => "SourceUnreadable",
            Self::SourceReadFailed { .. } => "SourceReadFailed",
            Self::OutOfDescriptors { .. } => "OutOfDescriptors",
            Self::ObjectChanged { .. } => "ObjectChanged",
            Self::DiskFull { .. } => "DiskFull",
            Self::TargetUnwritable { .. } | Self::TargetAway { .. } => "TargetUnwritable",
            Self::SyncFailed { .. } => "SyncFailed",
            Self::TargetExists { .. } => "TargetExists",
            Self::TempGone { .. } => "TempGone",
            Self::WrongBytes { .. } => "WrongBytes",
            Self::NoRanges { .. } => "NoRanges",
            Self::WrongWhole { .. } => "WrongWhole",
            Self::StoredWrong { .. } => "StoredWrong",
            Self::SourceNotReopenable => "SourceNotReopenable",
            Self::TargetNotReopenable => "TargetNotReopenable",
            Self::StreamLength { .. } => "StreamLength",
            Self::NoSuchRange { .. } => "InvalidRange",
            Self::Connection { .. } => "BadConnection",
            Self::Unplannable { .. } => "TooLarge",
        }
    }
}

/// What is kept of a failure: stored with the transfer and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorRecord {
    /// A stable name: S3's code, or one of [`LocalFailure::code`].
    pub code: String,
    /// What happened, in words, without a final stop.
    pub message: String,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// `x-amz-request-id`, for S3's support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `x-amz-id-2`, for S3's support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// How many attempts had failed in a row.
    pub attempts: u32,
}

impl ErrorRecord {
    /// What to keep of a failure.
    pub fn of(failure: &Failure, attempts: u32) -> Self {
        match failure {
            Failure::Local(local) => Self {
                code: local.code().into(),
                message: local.to_string(),
                attempts,
                ..Self::default()
            },
            Failure::S3(error) => Self {
                code: error.code.clone().unwrap_or_else(|| match error.status {
                    Some(status) if error.kind == S3ErrorKind::Answer => format!("Http{status}"),
                    _ => format!("{:?}", error.kind),
                }),
                message: error.to_string(),
                http_status: error.status,
                request_id: error.request_id.clone(),
                host_id: error.host_id.clone(),
                attempts,
            },
        }
    }
}
