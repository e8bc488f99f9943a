//! Why the command could not do its work, and the exit code that says so.

use towline::{AddressError, SubmitError};

use crate::exit::Exit;

#[derive(Debug)]
pub(crate) enum Error {
    /// From the library.
    Towline(towline::Error),
    /// The arguments do not go together.
    Usage(String),
    /// Anything else.
    Failed(String),
}

impl Error {
    pub(crate) fn exit(&self) -> Exit {
        use towline::StoreError;
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Failed(_) => Exit::Failed,
            Self::Towline(error) => match error {
                towline::Error::Submit(
                    SubmitError::Address(_)
                    | SubmitError::Connection(_)
                    | SubmitError::Directory { .. },
                ) => Exit::Usage,
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
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl<E: Into<towline::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Towline(error.into())
    }
}

impl Error {
    pub(crate) fn address(error: AddressError) -> Self {
        Self::Towline(SubmitError::from(error).into())
    }
}
