//! What goes wrong inside the store, and the [`StoreError`] it becomes.

use std::path::Path;

use rusqlite::{Error, ErrorCode};
use towline_core::StoreError;

/// Why a piece of work inside the store did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// SQLite, or a value of a type that its column should not hold.
    Sql(Error),
    /// A stored value that nothing here would have written.
    Damaged(String),
    /// The request cannot be carried out; the store is well.
    Refused(StoreError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl Trouble {
    /// The request is at odds with what is recorded.
    pub(crate) fn contradiction(what: String) -> Self {
        Self::Refused(StoreError::Failed(Box::new(Contradiction(what))))
    }

    /// Whether the disk or the database failed, so that what it holds is not
    /// known any more and nothing else may be written.
    pub(crate) fn stops_the_store(&self) -> bool {
        match self {
            Self::Sql(error) => {
                !is_value_error(error)
                    && error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation)
            }
            Self::Damaged(_) | Self::Refused(_) => false,
        }
    }

    /// The error to give to a caller; `path` is the database.
    pub(crate) fn into_store_error(self, path: &Path) -> StoreError {
        let corrupt = |why: String| StoreError::Corrupt {
            path: path.to_path_buf(),
            why,
        };
        match self {
            Self::Refused(error) => error,
            Self::Damaged(why) => corrupt(why),
            Self::Sql(error) if is_value_error(&error) => corrupt(error.to_string()),
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    corrupt(error.to_string())
                }
                Some(ErrorCode::DiskFull) => StoreError::NoSpace {
                    path: path.to_path_buf(),
                },
                _ => StoreError::Failed(Box::new(error)),
            },
        }
    }
}

fn is_value_error(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
    )
}

/// A change that does not fit what is recorded: a mistake of the caller.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Contradiction(String);

/// The store stopped, or its thread ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it stopped taking writes: {why}")]
pub(crate) struct Stopped {
    why: String,
    /// The disk is full, so the database would fail again.
    full: bool,
}

impl Stopped {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        let (why, full) = (why.into(), false);
        Self { why, full }
    }

    pub(crate) fn by(trouble: &Trouble) -> Self {
        let why = match trouble {
            Trouble::Sql(error) => error.to_string(),
            Trouble::Damaged(why) => why.clone(),
            Trouble::Refused(error) => error.to_string(),
        };
        let full = match trouble {
            Trouble::Sql(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        };
        Self { why, full }
    }

    /// The error to give to a caller; `path` is the database.
    pub(crate) fn into_store_error(self, path: &Path) -> StoreError {
        match self.full {
            true => StoreError::NoSpace {
                path: path.to_path_buf(),
            },
            false => StoreError::Failed(Box::new(self)),
        }
    }
}
