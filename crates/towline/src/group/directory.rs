//! Uploads of all files of a directory, to objects below a prefix.

use std::future::IntoFuture;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use towline_core::{Connection, TransferOptions};

use super::{GroupObserver, ListingRequest};
use crate::prefix::bad_prefix;
use crate::sync::be_directory;
use crate::{Error, TransferRequest, TransferUtility, check, check_options};

/// The upload of a directory. Await it to begin it as a group.
#[must_use = "await it to begin the uploads"]
#[derive(Debug)]
pub struct DirectoryRequest {
    utility: TransferUtility,
    prefix: String,
    dir: PathBuf,
    /// What every request is like.
    like: TransferRequest,
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
            prefix: prefix.into(),
            dir: dir.as_ref().to_owned(),
            like: TransferRequest::upload(bucket, "", ""),
        }
    }
}

impl DirectoryRequest {
    /// Options of every upload. Default: the usual ones.
    pub fn options(mut self, options: TransferOptions) -> Self {
        self.like.options = options;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.like.connection = Some(connection);
        self
    }

    /// The name of the group. Default: one by directory and prefix.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.like.group = Some(name.into());
        self
    }

    /// Cancels an unfinished group of the same name, and unfinished uploads of the
    /// same, and starts them anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.like.restart = restart;
        self
    }

    fn settle(self) -> Result<(TransferUtility, ListingRequest), Error> {
        if !(self.prefix.is_empty() || self.prefix.ends_with('/')) {
            return Err(bad_prefix().into());
        }
        let mut like = self.like;
        let place = self.utility.place(&like.bucket, like.connection.as_ref())?;
        let dir: PathBuf = check::absolute(&self.dir)?.components().collect();
        be_directory(&dir)?;
        // What is settled by each file stays open.
        let lacks_key = |key: &_| self.utility.lacks_key(key);
        check_options::settle(&mut like.options.clone(), like.direction, lacks_key)?;
        let group = || format!("{} to s3://{}/{}", dir.display(), place.bucket, self.prefix);
        like.group.get_or_insert_with(group);
        like.bucket = place.bucket;
        like.connection = Some(place.connection);
        let asked = ListingRequest {
            prefix: self.prefix,
            inode: std::fs::metadata(&dir).ok().map(|meta| meta.ino()),
            dir,
            like,
            spares: false,
        };
        Ok((self.utility, asked))
    }

    async fn submit(self) -> Result<GroupObserver, Error> {
        let (utility, asked) = self.settle()?;
        utility.start_group(asked).await
    }
}

impl IntoFuture for DirectoryRequest {
    type Output = Result<GroupObserver, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.submit())
    }
}
