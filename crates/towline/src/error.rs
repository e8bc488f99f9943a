//! What can go wrong at a call. What goes wrong on the way is in
//! [`Transfer::error`](crate::Transfer::error).

use std::path::PathBuf;

use towline_core::{
    AddressError, ConnectError, LocalFailure, Outcome, State, StoreError, TransferId,
};
use towline_engine::EngineError;
use towline_s3::PresignError;

use crate::{RequestError, SettingsError};

use crate::Transfer;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request was no good; nothing was recorded.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The state could not be opened, read or written.
    #[error(transparent)]
    Store(StoreError),
    /// The transfer ended, and not in the way that was asked for: failed,
    /// canceled, or with nothing to move. Its [`error`](Transfer::error) says why.
    #[error("the transfer is {}{}", .0.state, why(.0))]
    Ended(Box<Transfer>),
    /// The writer that a download went to failed; the transfer was canceled.
    #[error("after {written} bytes the writer failed: {source}")]
    Writer {
        /// How many bytes it had got.
        written: u64,
        /// In its words.
        source: std::io::Error,
    },
    /// A file that is compared with an object cannot be read.
    #[error("cannot read the file: {0}")]
    Read(#[source] std::io::Error),
    /// The utility is closed, or its store failed.
    #[error("the transfer utility is closed")]
    Closed,
    /// The system gave no threads.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// S3 did not do what a request beside the transfers asked for.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What a file set up cannot be opened.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// All open uploads of a bucket were to be aborted, without a key, a prefix
    /// or an age; nothing was.
    #[error("name a key, a prefix or an age (zero means all) of the uploads to abort")]
    Unbounded,
    /// Another utility of this process is registered under the name.
    #[error("a transfer utility is registered as {name:?} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A URL cannot be presigned like this; nothing was signed.
    #[error(transparent)]
    Presign(PresignError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Closed,
            error => Self::Store(error),
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Start(error) => Self::Start(error),
            _ => Self::Closed,
        }
    }
}

fn why(transfer: &Transfer) -> String {
    match (&transfer.error, transfer.outcome) {
        (Some(error), _) => format!(": {}", error.message),
        (None, Some(Outcome::NotModified)) => ": the object was not modified".into(),
        _ => String::new(),
    }
}

impl Error {
    /// There is no such transfer, or no more.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unknown(_)))
    }

    /// The stable name of this error; of a request, S3's own.
    pub fn code(&self) -> &str {
        match self {
            Self::Submit(error) => error.code(),
            Self::Store(StoreError::Owned { .. }) => "StoreOwned",
            Self::Store(StoreError::Corrupt { .. }) => "StoreCorrupt",
            Self::Store(StoreError::Newer { .. }) => "StoreNewer",
            Self::Store(StoreError::Foreign { .. }) => "StoreForeign",
            Self::Store(StoreError::Unknown(_)) => "UnknownTransfer",
            Self::Store(StoreError::UnknownGroup(_)) => "UnknownGroup",
            Self::Store(StoreError::NoSpace { .. }) => "StoreFull",
            Self::Store(StoreError::UnknownCursor(_)) => "UnknownCursor",
            Self::Store(StoreError::TokenTaken { .. }) => "TokenTaken",
            Self::Store(_) => "StoreFailed",
            Self::Ended(transfer) => match (transfer.state, transfer.outcome) {
                (State::Canceled, _) => "TransferCanceled",
                (_, Some(Outcome::NotModified)) => "NotModified",
                _ => "TransferFailed",
            },
            Self::Writer { .. } => "WriterFailed",
            Self::Closed => "Closed",
            Self::Read(_) => "SourceUnreadable",
            Self::Start(_) => "CannotStart",
            Self::Settings(error) => error.code(),
            Self::Unbounded => "Unbounded",
            Self::NameTaken { .. } => "NameTaken",
            Self::Request(error) => error.code(),
            Self::Presign(error) => error.code(),
        }
    }
}

/// Why a transfer was not accepted. Nothing was recorded and nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The bucket or key cannot be one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The connection can never work as it stands.
    #[error(transparent)]
    Connection(#[from] ConnectError),
    /// The file to upload cannot be read.
    #[error(transparent)]
    Source(LocalFailure),
    /// A directory was given where a file is needed.
    #[error("{path} is a directory; name a file, or a prefix ending in '/' as its destination")]
    Directory {
        /// The path given.
        path: PathBuf,
    },
    /// The file to download to cannot be written.
    #[error("cannot write {path}: {why}")]
    Target {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An option that S3 would refuse, or that would break the transfer.
    #[error("{option}: {why}")]
    BadOption {
        /// The option.
        option: String,
        /// What is wrong with it.
        why: String,
    },
    /// The same download is unfinished, and another stream takes its bytes.
    #[error("transfer {id} does the same for another stream; wait for it or cancel it")]
    StreamTaken {
        /// The unfinished transfer.
        id: TransferId,
    },
    /// The file is larger than an object can be.
    #[error(transparent)]
    TooLarge(#[from] towline_core::PlanError),
    /// The same transfer is unfinished, with other options.
    #[error("transfer {id} does the same with other {}; finish or cancel it, or restart it", options.join(", "))]
    OptionsDiffer {
        /// The unfinished transfer.
        id: TransferId,
        /// The options that differ.
        options: Vec<&'static str>,
    },
    /// Another unfinished transfer writes the same object or file.
    #[error("transfer {id} is writing {target} from {source_of_it}; wait for it or cancel it")]
    TargetTaken {
        /// The unfinished transfer.
        id: TransferId,
        /// The object or file.
        target: String,
        /// What it is written from.
        source_of_it: String,
    },
    /// A group of this name is unfinished, and asks for something else.
    #[error(
        "group {id} ({name}) is unfinished and asks for something else; finish or cancel it, or restart it"
    )]
    GroupTaken {
        /// The unfinished group.
        id: towline_core::GroupId,
        /// Its name.
        name: String,
    },
    /// Two requests of one call write the same object or file.
    #[error("{first} and {second} would both be written to {target}")]
    Clash {
        /// The object or file.
        target: String,
        /// The first source.
        first: String,
        /// The second source, or the same one with other options.
        second: String,
    },
}

impl SubmitError {
    pub(crate) fn no_path() -> Self {
        Self::BadOption {
            option: "path".into(),
            why: "it is empty".into(),
        }
    }

    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(AddressError::NoBucket) => "NoBucket",
            Self::Address(AddressError::EmptyKey) => "EmptyKey",
            Self::Address(AddressError::KeyTooLong { .. }) => "KeyTooLong",
            Self::Address(_) => "BadBucket",
            Self::Connection(ConnectError::UnknownProfile { .. }) => "UnknownProfile",
            Self::Connection(ConnectError::BadEndpoint { .. }) => "BadEndpoint",
            Self::Connection(_) => "BadConnection",
            Self::Source(failure) => failure.code(),
            Self::Directory { .. } => "IsDirectory",
            Self::Target { .. } => "TargetUnwritable",
            Self::BadOption { .. } => "BadOption",
            Self::StreamTaken { .. } => "StreamTaken",
            Self::TooLarge(_) => "TooLarge",
            Self::OptionsDiffer { .. } => "OptionsDiffer",
            Self::GroupTaken { .. } => "GroupTaken",
            Self::Clash { .. } => "TargetClash",
            Self::TargetTaken { .. } => "TargetTaken",
        }
    }
}
