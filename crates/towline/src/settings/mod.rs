//! Settings from files: our own, and the one that mobile apps ship.

mod aws;
mod file;

use std::path::PathBuf;

/// Why a utility cannot be set up from a file. Nothing was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not written as such a file is, has a key that is not known, or a
    /// value that is none.
    #[error("{place}, line {line}: {why}")]
    Malformed {
        /// The file, or what it is.
        place: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// A section of `awsconfiguration.json` is not there.
    #[error("awsconfiguration.json has no section {section}")]
    NoSection {
        /// Its name, with those around it, such as `S3TransferUtility.Default`.
        section: String,
    },
    /// A key of `awsconfiguration.json` is not there, or has no value of its
    /// kind.
    #[error("awsconfiguration.json has no {key} in {section}")]
    NoKey {
        /// The section.
        section: String,
        /// The key.
        key: &'static str,
    },
    /// It asks for something that this build does not have.
    #[error("{what} needs the feature `{feature}`, which this build lacks")]
    NeedsFeature {
        /// What asks for it.
        what: &'static str,
        /// The feature of the crate.
        feature: &'static str,
    },
    /// The name of an identity pool cannot be one.
    #[error(transparent)]
    Credentials(#[from] towline_s3::CredentialsError),
}

impl SettingsError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "SettingsUnreadable",
            Self::Malformed { .. } => "SettingsMalformed",
            Self::NoSection { .. } => "SettingsNoSection",
            Self::NoKey { .. } => "SettingsNoKey",
            Self::NeedsFeature { .. } => "NeedsFeature",
            Self::Credentials(_) => "SettingsCredentials",
        }
    }
}

fn read(path: &std::path::Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
