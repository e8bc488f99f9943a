//! Keeping a directory and a prefix in step: compares the two in the order of
//! their keys, page by page, and tells what has to be done.

mod compare;
mod decision;
mod delete;
mod filter;
mod listing;
mod plan;
mod walk;

use std::path::{Path, PathBuf};

use towline_core::{Connection, Direction, LocalFailure, TransferOptions};
use towline_engine::folds_names;

pub use compare::{SyncCompare, SyncReason};
pub use decision::{SyncDecision, SyncLeftOut};
pub use delete::{SyncDeleted, SyncDeleter, SyncDeletion};
pub use filter::SyncFilter;
pub use plan::SyncPlan;

use crate::prefix::{bad_prefix, depth_of, make_durable};
pub(crate) use plan::blocking;
pub(crate) use walk::{Found, Names, Walk};

use crate::{Error, SubmitError, TransferRequest, TransferUtility, check, check_options};

/// The name in an object's own metadata of the time at which its file was last
/// changed, in seconds since 1970 with nine decimals; see
/// [`SyncRequest::record_mtime`].
pub const MTIME_METADATA: &str = "towline-mtime";

/// A directory and a prefix that are to be compared. Ask for its
/// [`plan`](Self::plan).
#[must_use = "ask for its plan"]
#[derive(Debug)]
pub struct SyncRequest {
    utility: TransferUtility,
    prefix: String,
    dir: PathBuf,
    /// What every request is like.
    like: TransferRequest,
    filter: SyncFilter,
    compare: SyncCompare,
    delete: bool,
    record_mtime: bool,
    dry_run: bool,
}

impl TransferUtility {
    /// Compares the files below a directory with the objects whose keys start with
    /// `prefix`, which is empty or ends in `/`, and tells what has to be uploaded for
    /// the prefix to have what the directory has.
    ///
    /// What a path is below the directory follows the prefix in the key, as
    /// [`key_of`](crate::key_of) reads it; a name that no key is written as is its
    /// own key. No symbolic link is followed.
    ///
    /// The plan does nothing itself: submit its requests, with
    /// [`submit`](TransferUtility::submit) or elsewhere.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// use towline::SyncDecision;
    ///
    /// let mut plan = utility.sync_up("/data/photos", "my-bucket", "photos/").plan().await?;
    /// while let Some(decision) = plan.next().await? {
    ///     match decision {
    ///         SyncDecision::Upload { request, .. } => drop(utility.submit(vec![*request]).await?),
    ///         SyncDecision::LeftOut(left_out) => println!("{:?}: {}", left_out.path, left_out.why),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn sync_up(
        &self,
        dir: impl AsRef<Path>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> SyncRequest {
        let like = TransferRequest::upload(bucket, "", "");
        SyncRequest::of(self, dir.as_ref(), prefix.into(), like)
    }

    /// The same the other way round: what has to be downloaded for the directory
    /// to have what the prefix has. A key becomes a path as
    /// [`download_prefix`](Self::download_prefix) does it; a file that no key is
    /// written as is passed over. Objects of no bytes whose keys end in `/` stand
    /// for directories, and are passed over too.
    pub fn sync_down(
        &self,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        dir: impl AsRef<Path>,
    ) -> SyncRequest {
        let like = TransferRequest::download(bucket, "", "");
        SyncRequest::of(self, dir.as_ref(), prefix.into(), like)
    }
}

impl SyncRequest {
    fn of(utility: &TransferUtility, dir: &Path, prefix: String, like: TransferRequest) -> Self {
        Self {
            utility: utility.clone(),
            prefix,
            dir: dir.to_owned(),
            like,
            filter: SyncFilter::default(),
            compare: SyncCompare::default(),
            delete: false,
            record_mtime: false,
            dry_run: false,
        }
    }

    /// What is left out on both sides: it is neither transferred nor deleted.
    /// Default: nothing.
    pub fn filter(mut self, filter: SyncFilter) -> Self {
        self.filter = filter;
        self
    }

    /// How a file and an object are compared. Default: by length and time.
    pub fn compare(mut self, how: SyncCompare) -> Self {
        self.compare = how;
        self
    }

    /// Tells also what the destination has and the source does not, to be deleted
    /// with [`SyncPlan::deleter`]. Default: no.
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Uploads get the time of their file's last change, as it is when it is
    /// compared, as metadata: [`MTIME_METADATA`]. A listing does not tell metadata,
    /// so nothing is compared by it. Default: no.
    pub fn record_mtime(mut self, record: bool) -> Self {
        self.record_mtime = record;
        self
    }

    /// Options of every transfer. Default: the usual ones.
    pub fn options(mut self, options: TransferOptions) -> Self {
        self.like.options = options;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.like.connection = Some(connection);
        self
    }

    /// The name of the group of all transfers. Default: one by prefix and directory.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.like.group = Some(name.into());
        self
    }

    /// Cancels unfinished transfers of the same and starts them anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.like.restart = restart;
        self
    }

    /// Nothing at all is made on this machine: of a download not even its
    /// directory, so that names that its file system takes for one another are not
    /// told. Default: no.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Checks prefix and directory; the directory of a download is made if it is
    /// missing. Nothing is compared yet.
    pub async fn plan(self) -> Result<SyncPlan, Error> {
        if !(self.prefix.is_empty() || self.prefix.ends_with('/')) {
            return Err(bad_prefix().into());
        }
        let place = self
            .utility
            .place(&self.like.bucket, self.like.connection.as_ref())?;
        let dir: PathBuf = check::absolute(&self.dir)?.components().collect();
        let mut like = self.like;
        let mut folds = false;
        match like.direction {
            Direction::Copy => {
                let why = "a sync is of files and objects, and a copy has no files";
                return Err(check_options::bad("type", why).into());
            }
            Direction::Upload => be_directory(&dir)?,
            Direction::Download => {
                let unusable = |error: std::io::Error| SubmitError::Target {
                    path: dir.clone(),
                    why: error.to_string(),
                };
                if !self.dry_run {
                    make_durable(&dir).map_err(unusable)?;
                    folds = folds_names(&dir).map_err(unusable)?;
                } else if dir.exists() {
                    be_directory(&dir)?;
                }
                like.options.root_depth = Some(depth_of(&dir));
            }
        }
        let group = || {
            let (dir, url) = (
                dir.display(),
                format!("s3://{}/{}", place.bucket, self.prefix),
            );
            match like.direction {
                Direction::Upload | Direction::Copy => format!("sync {dir} to {url}"),
                Direction::Download => format!("sync {url} to {dir}"),
            }
        };
        let group = like.group.take().unwrap_or_else(group);
        like.group = Some(group);
        like.bucket = place.bucket;
        let parts = plan::Parts {
            utility: self.utility,
            prefix: self.prefix,
            dir,
            like,
            filter: self.filter,
            compare: self.compare,
            delete: self.delete,
            record_mtime: self.record_mtime,
            folds,
        };
        Ok(SyncPlan::of(parts))
    }
}

pub(crate) fn be_directory(dir: &Path) -> Result<(), SubmitError> {
    let (missing, why) = match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => (false, "it is not a directory".into()),
        Err(error) => (
            error.kind() == std::io::ErrorKind::NotFound,
            error.to_string(),
        ),
    };
    Err(SubmitError::Source(LocalFailure::SourceUnreadable {
        path: dir.display().to_string(),
        why,
        missing,
    }))
}
