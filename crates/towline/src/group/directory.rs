//! Uploads of all files of a directory, to objects below a prefix.

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;

use towline_core::{Connection, TransferOptions};

use super::building::building;
use super::{GroupObserver, GroupRequest};
use crate::{Error, TransferUtility};

/// The upload of a directory. Await it to begin it as a group.
#[must_use = "await it to begin the uploads"]
#[derive(Debug)]
pub struct DirectoryRequest {
    utility: TransferUtility,
    request: GroupRequest,
}

impl TransferUtility {
    /// Uploads all regular files below a directory to objects whose keys start with
    /// `prefix`, which is empty or ends in `/`. Await the request to record it: they
    /// are one [group](crate::Group), which lists its files by itself and goes on
    /// with that in a later process. Files are listed in the order of their keys;
    /// one that is made behind that is not found.
    ///
    /// A path below the directory follows the prefix in the key, as it is. Symbolic
    /// links are not followed: they and special files are skipped. What cannot be
    /// read, or has a name that is no key, is refused; both are told.
    ///
    /// The same call again is the same group while that is unfinished.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// let photos = utility.upload_directory("/data/photos", "my-bucket", "photos/").await?;
    /// utility.pause_group(photos.id()).await?;
    /// utility.resume_group(photos.id()).await?;
    /// println!("{}", photos.finished().await?.state);
    /// # Ok(()) }
    /// ```
    pub fn upload_directory(
        &self,
        dir: impl AsRef<Path>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> DirectoryRequest {
        DirectoryRequest {
            utility: self.clone(),
            request: GroupRequest::upload(dir, bucket, prefix),
        }
    }
}

building!(DirectoryRequest);
