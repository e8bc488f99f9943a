//! Why the command could not do its work, and the exit code that says so.

use towline::{AddressError, PresignError, SubmitError};
use towline_daemon::ClientError;

use crate::exit::Exit;

#[derive(Debug)]
pub(crate) enum Error {
    /// From the library.
    Towline(towline::Error),
    /// The arguments do not go together.
    Usage(String),
    /// The owner of the state refused.
    Owner(ClientError),
    /// Anything else.
    Failed(String),
}

/// The codes of requests that could never be done as they stand.
const USAGE: [&str; 8] = [
    "NoBucket",
    "BadBucket",
    "EmptyKey",
    "KeyTooLong",
    "UnknownProfile",
    "BadEndpoint",
    "BadConnection",
    "IsDirectory",
];

impl Error {
    pub(crate) fn exit(&self) -> Exit {
        use towline::StoreError;
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Failed(_) => Exit::Failed,
            Self::Owner(ClientError::Gone(_)) => Exit::StoreOwned,
            Self::Owner(ClientError::Problem(problem))
                if USAGE.contains(&problem.code.as_str()) =>
            {
                Exit::Usage
            }
            Self::Owner(_) => Exit::Failed,
            Self::Towline(error) => match error {
                towline::Error::Submit(_) if USAGE.contains(&error.code()) => Exit::Usage,
                towline::Error::Presign(PresignError::NoTime | PresignError::TooLong { .. }) => {
                    Exit::Usage
                }
                towline::Error::Store(StoreError::Owned { .. }) => Exit::StoreOwned,
                towline::Error::Store(
                    StoreError::Corrupt { .. }
                    | StoreError::Newer { .. }
                    | StoreError::Foreign { .. },
                ) => Exit::StoreRefused,
                _ => Exit::Failed,
            },
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Towline(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl From<towline::Error> for Error {
    fn from(error: towline::Error) -> Self {
        Self::Towline(error)
    }
}

impl From<towline::StoreError> for Error {
    fn from(error: towline::StoreError) -> Self {
        Self::Towline(error.into())
    }
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        Self::Towline(error.into())
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::Owner(error)
    }
}

impl Error {
    pub(crate) fn address(error: AddressError) -> Self {
        Self::Towline(SubmitError::from(error).into())
    }
}
