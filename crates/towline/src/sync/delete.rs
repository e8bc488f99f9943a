//! Deleting what the destination has and the source does not.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use towline_core::{Access, Connection, Direction, FileIdentity};
use towline_engine::remove_beneath;

use crate::{Error, SubmitError, TransferUtility, path_json};

/// An object or a file that the destination has and the source does not. Plain
/// data, so that a plan can be kept before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncDeletion {
    /// The key that it has, or would have.
    pub key: String,
    /// The file that it is, or would be. In JSON `path`, or `path_b64` where it is
    /// not UTF-8.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The object's ETag as it was listed, where it is one.
    pub(super) etag: Option<String>,
    /// The file as it was seen, where it is one.
    pub(super) seen: Option<FileIdentity>,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncDeleted {
    /// It is deleted, or was already: S3 does not tell which.
    Gone,
    /// It is not what was seen any more, and stays; or it is not there.
    Changed,
    /// The source has it by now, so it stays.
    Needed,
}

/// Deletes what a plan tells; see [`SyncPlan::deleter`](crate::SyncPlan::deleter).
#[derive(Clone, Debug)]
pub struct SyncDeleter {
    pub(super) utility: TransferUtility,
    pub(super) direction: Direction,
    pub(super) bucket: String,
    pub(super) connection: Option<Connection>,
    pub(super) access: Access,
    pub(super) dir: PathBuf,
}

impl SyncDeleter {
    /// Deletes an object that is still the one that was listed; where the bucket keeps
    /// versions, it is hidden behind a delete marker. Or removes a file, and the directories below the chosen one
    /// that become empty by it; no link is followed, and a file that is not what
    /// was seen stays.
    pub async fn delete(&self, deletion: &SyncDeletion) -> Result<SyncDeleted, Error> {
        match self.direction {
            Direction::Upload | Direction::Copy => self.object(deletion).await,
            Direction::Download => self.file(deletion).await,
        }
    }

    async fn object(&self, deletion: &SyncDeletion) -> Result<SyncDeleted, Error> {
        // Time has passed since it was compared.
        match std::fs::symlink_metadata(&deletion.path) {
            Ok(_) => return Ok(SyncDeleted::Needed),
            Err(error) if is_absent(error.kind()) => {}
            Err(error) => return Err(Error::Read(error)),
        }
        if let Some(seen) = &deletion.etag {
            let (bucket, key) = (self.bucket.as_str(), deletion.key.as_str());
            let mut request = self.utility.head(bucket, key).access(self.access.clone());
            if let Some(connection) = &self.connection {
                request = request.connection(connection.clone());
            }
            match request.await {
                Ok(there) if there.etag.as_ref() != Some(seen) => return Ok(SyncDeleted::Changed),
                Err(Error::Request(error)) if error.http_status() == Some(404) => {
                    return Ok(SyncDeleted::Gone);
                }
                // Who may delete need not be one who may look.
                Err(Error::Request(error)) if error.http_status().is_some() => {}
                told => drop(told?),
            }
        }
        let mut request = self
            .utility
            .delete_object(self.bucket.as_str(), deletion.key.as_str())
            .access(Access {
                customer_key: None, // of the object's bytes, which nobody reads
                ..self.access.clone()
            });
        if let Some(connection) = &self.connection {
            request = request.connection(connection.clone());
        }
        request.await?;
        Ok(SyncDeleted::Gone)
    }

    async fn file(&self, deletion: &SyncDeletion) -> Result<SyncDeleted, Error> {
        let unwritable = |why: String| {
            Error::from(SubmitError::Target {
                path: deletion.path.clone(),
                why,
            })
        };
        let Some(seen) = deletion.seen else {
            return Err(unwritable("it is no file".into()));
        };
        let (dir, path) = (self.dir.clone(), deletion.path.clone());
        let remove = move || match path.strip_prefix(&dir).map(Path::to_owned) {
            Ok(below) => remove_beneath(&dir, &below, &seen).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match super::blocking(&self.utility, remove).await? {
            Ok(true) => Ok(SyncDeleted::Gone),
            Ok(false) => Ok(SyncDeleted::Changed),
            Err(why) => Err(unwritable(why)),
        }
    }
}

/// No file can have such a path, or none has it.
fn is_absent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}
