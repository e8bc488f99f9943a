//! A group to be begun, as plain data: checked, and with what was left open
//! settled.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use towline_core::{Connection, Direction, TransferOptions};
use towline_s3::Credentials;

use super::{GroupObserver, ListingRequest};
use crate::check_options::bad;
use crate::prefix::{bad_prefix, depth_of, make_durable};
use crate::sync::be_directory;
use crate::{
    Error, SubmitError, SyncOptions, TransferRequest, TransferUtility, check, check_options,
    path_json,
};

/// The upload of a directory, the download of a prefix, or a sync of the two, to be
/// begun as a group with [`TransferUtility::begin_group`].
///
/// [`TransferUtility::upload_directory`] and [`TransferUtility::download_prefix`]
/// build it step by step; this is the form in which requests come from sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupRequest {
    /// Which way the bytes go; no copies.
    #[serde(rename = "type")]
    pub direction: Direction,
    /// The bucket; empty is the default bucket.
    #[serde(default)]
    pub bucket: String,
    /// What the keys begin with: empty, or ending in `/`.
    #[serde(default)]
    pub prefix: String,
    /// The directory. In JSON `path`, or `path_b64` where it is not UTF-8.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// How to reach the store. Default: the utility's own connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// How to carry each transfer.
    #[serde(default)]
    pub options: TransferOptions,
    /// The name of the group. Default: one by directory and prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Cancels an unfinished group of the same name, and unfinished transfers of the
    /// same, and starts them anew.
    #[serde(default)]
    pub restart: bool,
    /// Only what differs is transferred. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOptions>,
}

impl GroupRequest {
    /// The upload of a directory.
    pub fn upload(
        dir: impl AsRef<Path>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        Self::new(
            Direction::Upload,
            bucket.into(),
            prefix.into(),
            dir.as_ref(),
        )
    }

    /// The download of a prefix.
    pub fn download(
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        dir: impl AsRef<Path>,
    ) -> Self {
        Self::new(
            Direction::Download,
            bucket.into(),
            prefix.into(),
            dir.as_ref(),
        )
    }

    fn new(direction: Direction, bucket: String, prefix: String, dir: &Path) -> Self {
        Self {
            direction,
            bucket,
            prefix,
            path: dir.to_owned(),
            connection: None,
            options: TransferOptions::default(),
            group: None,
            restart: false,
            sync: None,
        }
    }

    /// The name that the group will have, where its bucket is named.
    pub fn name(&self) -> Result<String, SubmitError> {
        Ok(self.name_at(&self.bucket, &absolute(&self.path)?))
    }

    /// Checks prefix and directory on this machine, as beginning it does first; the
    /// directory of a download is made if it is missing.
    pub fn check(&self) -> Result<(), SubmitError> {
        if !(self.prefix.is_empty() || self.prefix.ends_with('/')) {
            return Err(bad_prefix());
        }
        let dir = absolute(&self.path)?;
        match self.direction {
            Direction::Upload => be_directory(&dir),
            Direction::Download => be_target(&dir),
            Direction::Copy => Err(bad(
                "type",
                "a group uploads a directory or downloads a prefix",
            )),
        }
    }

    fn name_at(&self, bucket: &str, dir: &Path) -> String {
        let (dir, prefix) = (dir.display(), &self.prefix);
        let sync = if self.sync.is_some() { "sync " } else { "" };
        match (&self.group, self.direction) {
            (Some(name), _) => name.clone(),
            (None, Direction::Download) => format!("{sync}s3://{bucket}/{prefix} to {dir}"),
            (None, _) => format!("{sync}{dir} to s3://{bucket}/{prefix}"),
        }
    }

    /// One that another process has `resolved` is taken as it stands.
    pub(crate) fn settle(
        self,
        utility: &TransferUtility,
        resolved: bool,
    ) -> Result<ListingRequest, Error> {
        self.check()?;
        let place = match &self.connection {
            Some(connection) if resolved => utility.place_as_it_stands(&self.bucket, connection)?,
            connection => utility.place(&self.bucket, connection.as_ref())?,
        };
        let dir = absolute(&self.path)?;
        let group = Some(self.name_at(&place.bucket, &dir));
        let mut options = self.options;
        let mut inode = None;
        match self.direction {
            Direction::Download => options.root_depth = Some(depth_of(&dir)),
            _ => inode = std::fs::metadata(&dir).ok().map(|meta| meta.ino()),
        }
        // What is settled by each file stays open.
        let lacks_key = |key: &_| utility.lacks_key(key);
        check_options::settle(&mut options.clone(), self.direction, lacks_key)?;
        let like = match self.direction {
            Direction::Download => TransferRequest::download(place.bucket, "", ""),
            _ => TransferRequest::upload(place.bucket, "", ""),
        };
        let like = TransferRequest {
            connection: Some(place.connection),
            options,
            group,
            restart: self.restart,
            ..like
        };
        Ok(ListingRequest {
            prefix: self.prefix,
            dir,
            like,
            spares: false,
            inode,
            sync: self.sync.map(|sync| SyncOptions {
                filter: sync.filter.fixed(),
                ..sync
            }),
        })
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, SubmitError> {
    Ok(check::absolute(dir)?.components().collect())
}

/// Files can be put there.
fn be_target(dir: &Path) -> Result<(), SubmitError> {
    make_durable(dir).map_err(|error| unusable(dir, &error))?;
    access(dir, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| unusable(dir, &errno.into()))
}

pub(crate) fn unusable(dir: &Path, error: &std::io::Error) -> SubmitError {
    SubmitError::Target {
        path: dir.to_owned(),
        why: error.to_string(),
    }
}

impl TransferUtility {
    /// Records a group, which then lists by itself; or goes on with the one that is
    /// there, as [`upload_directory`](Self::upload_directory) and
    /// [`download_prefix`](Self::download_prefix) do.
    pub async fn begin_group(&self, request: GroupRequest) -> Result<GroupObserver, Error> {
        let asked = request.settle(self, false)?;
        self.start_group(asked, None).await
    }

    /// The same for another process of the same user. The request's connection was
    /// [`resolve`](towline_s3::S3Connector::resolve)d there and is taken as it
    /// stands, and where it is of the environment, listing and transfers are signed
    /// with the credentials that it hands over, which stay in memory only.
    pub async fn begin_group_for(
        &self,
        request: GroupRequest,
        credentials: Option<&Credentials>,
    ) -> Result<GroupObserver, Error> {
        let asked = request.settle(self, true)?;
        self.start_group(asked, credentials).await
    }
}
