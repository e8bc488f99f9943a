//! A group to be begun, as plain data: checked, and with what was left open
//! settled.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use towline_core::{Connection, Direction, TransferOptions};
use towline_s3::Credentials;

use super::origin::Origin;
use super::{GroupObserver, ListingRequest};
use crate::prefix::{bad_prefix, depth_of, make_durable};
use crate::sync::{be_directory, check_properties};
use crate::{
    Error, SubmitError, SyncOptions, TransferRequest, TransferUtility, check, check_options,
    path_json,
};

/// The upload of a directory, the download or copy of a prefix, or a sync of a
/// directory and a prefix, to be begun as a group with
/// [`TransferUtility::begin_group`].
///
/// [`TransferUtility::upload_directory`], [`TransferUtility::download_prefix`] and
/// [`TransferUtility::copy_prefix`] build it step by step; this is the form in which
/// requests come from sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupRequest {
    /// Which way the bytes go.
    #[serde(rename = "type")]
    pub direction: Direction,
    /// The bucket, of copies the one that they are made in; empty is the default
    /// bucket.
    #[serde(default)]
    pub bucket: String,
    /// What the keys begin with, of copies theirs: empty, or ending in `/`.
    #[serde(default)]
    pub prefix: String,
    /// The directory; of copies the source, as `s3://BUCKET/PREFIX`. In JSON `path`,
    /// or `path_b64` where it is not UTF-8.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// How to reach the store. Default: the utility's own connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// How to carry each transfer.
    #[serde(default)]
    pub options: TransferOptions,
    /// The name of the group. Default: one by its source and its target.
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

    /// The copy of a prefix to another one.
    pub fn copy(
        source_bucket: impl Into<String>,
        source_prefix: impl Into<String>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        let source = format!("s3://{}/{}", source_bucket.into(), source_prefix.into());
        Self::new(
            Direction::Copy,
            bucket.into(),
            prefix.into(),
            Path::new(&source),
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
        let source = match self.direction {
            Direction::Copy => self.path.clone(),
            Direction::Upload | Direction::Download => absolute(&self.path)?,
        };
        Ok(self.name_at(&self.bucket, &source))
    }

    /// Checks prefix and directory on this machine, as beginning it does; the directory
    /// of a download is made if it is missing.
    pub fn check(&self) -> Result<(), SubmitError> {
        if !(self.prefix.is_empty() || self.prefix.ends_with('/')) {
            return Err(bad_prefix());
        }
        match self.direction {
            Direction::Upload => be_directory(&absolute(&self.path)?),
            Direction::Download => be_target(&absolute(&self.path)?),
            Direction::Copy if self.sync.is_some() => Err(check_options::bad(
                "sync",
                "a sync is of files and objects, and a copy has no files",
            )),
            Direction::Copy => Ok(()),
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
        let place = match &self.connection {
            Some(connection) if resolved => utility.place_as_it_stands(&self.bucket, connection)?,
            connection => utility.place(&self.bucket, connection.as_ref())?,
        };
        let mut options = self.options.clone();
        // What is settled by each file stays open.
        let mut settled = options.clone();
        let lacks_key = |key: &_| utility.lacks_key(key);
        check_options::settle(&mut settled, self.direction, lacks_key)?;
        if self.sync.as_ref().is_some_and(|sync| sync.properties) {
            check_properties(self.direction, &options.object)?;
        }
        let mut inode = None;
        self.check()?;
        let dir = match self.direction {
            Direction::Upload => {
                let dir = absolute(&self.path)?;
                inode = std::fs::metadata(&dir).ok().map(|meta| meta.ino());
                dir
            }
            Direction::Download => {
                let dir = absolute(&self.path)?;
                options.root_depth = Some(depth_of(&dir));
                dir
            }
            Direction::Copy => {
                let origin = Origin::read(&self.path, utility.default_bucket())?;
                towline_s3::check_bucket(&place.connection, origin.bucket.as_str())
                    .map_err(SubmitError::from)?;
                origin.check_target(&place.bucket, &self.prefix, &settled.object)?;
                origin.to_string().into()
            }
        };
        let group = Some(self.name_at(&place.bucket, &dir));
        let like = match self.direction {
            Direction::Upload => TransferRequest::upload(place.bucket, "", ""),
            Direction::Download => TransferRequest::download(place.bucket, "", ""),
            Direction::Copy => TransferRequest::copy("", "", place.bucket, ""),
        };
        let like = TransferRequest {
            path: PathBuf::new(),
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
