//! Keeping a directory and a prefix in step: compares the two in the order of
//! their keys, page by page, and tells what has to be done.

mod compare;
mod comparison;
mod decision;
mod delete;
mod filter;
mod listing;
mod options;
mod plan;
mod properties;
#[cfg(test)]
mod resumed;
mod walk;

use std::path::{Path, PathBuf};

use towline_core::{Connection, Direction, LocalFailure, TransferOptions};
use towline_engine::folds_names;

pub use compare::{SyncCompare, SyncReason};
pub use decision::{SyncDecision, SyncLeftOut};
pub use delete::{SyncDeleted, SyncDeleter, SyncDeletion};
pub use filter::SyncFilter;
pub use options::SyncOptions;
pub use plan::SyncPlan;

pub(crate) use comparison::{Comparison, Looked, Parts, blocking};
pub(crate) use properties::check as check_properties;
pub(crate) use walk::{Found, Names, Walk};

use crate::prefix::{bad_prefix, depth_of, make_durable};
use crate::{
    Error, GroupObserver, GroupRequest, SubmitError, TransferRequest, TransferUtility, check,
    check_options,
};

/// The name in an object's own metadata of the time at which its file was last
/// changed, in seconds since 1970 with nine decimals; see
/// [`SyncRequest::record_mtime`].
pub const MTIME_METADATA: &str = "towline-mtime";

/// A directory and a prefix that are to be compared. [`start`](Self::start) it as a
/// group, or ask for its [`plan`](Self::plan).
#[must_use = "start it, or ask for its plan"]
#[derive(Debug)]
pub struct SyncRequest {
    utility: TransferUtility,
    prefix: String,
    dir: PathBuf,
    /// What every request is like.
    like: TransferRequest,
    how: SyncOptions,
    delete: bool,
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
    /// [`start`](SyncRequest::start) makes one [group](crate::Group) of it, which
    /// compares by itself and goes on with that in a later process. A
    /// [`plan`](SyncRequest::plan) tells each decision and does nothing itself.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// use towline::SyncDecision;
    ///
    /// let group = utility.sync_up("/data/photos", "my-bucket", "photos/").start().await?;
    /// let ended = group.finished().await?;
    /// println!("{} sent, {} the same", ended.transfers.completed, ended.found.same);
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
            how: SyncOptions::default(),
            delete: false,
            dry_run: false,
        }
    }

    /// What is left out on both sides: it is neither transferred nor deleted.
    /// Default: nothing.
    pub fn filter(mut self, filter: SyncFilter) -> Self {
        self.how.filter = filter;
        self
    }

    /// All of how they are compared, as plain data.
    pub fn how(mut self, how: SyncOptions) -> Self {
        self.how = how;
        self
    }

    /// How a file and an object are compared. Default: by length and time.
    pub fn compare(mut self, how: SyncCompare) -> Self {
        self.how.compare = how;
        self
    }

    /// A plan tells also what the destination has and the source does not, to be
    /// deleted with [`SyncPlan::deleter`]. Default: no.
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Uploads get the time of their file's last change, as it is when it is
    /// compared, as metadata: [`MTIME_METADATA`]. A listing does not tell metadata,
    /// so nothing is compared by it. Default: no.
    pub fn record_mtime(mut self, record: bool) -> Self {
        self.how.record_mtime = record;
        self
    }

    /// Uploads: an object that is the same otherwise is uploaded again where its
    /// metadata, tags, storage class, website redirect or headers (`Content-Type` and
    /// its like) are not what the [`options`](Self::options) ask for. What they do not ask for is not compared;
    /// metadata and tags are compared as wholes, without [`MTIME_METADATA`]. Each of those objects is
    /// asked about, and for its tags where some are asked for. Fails at the call where
    /// nothing is asked for. Default: no.
    pub fn properties(mut self, compare: bool) -> Self {
        self.how.properties = compare;
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

    /// Cancels an unfinished group of the same, and unfinished transfers, and starts
    /// them anew.
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

    /// Records it as a group, which compares the two by itself, in the order of their
    /// keys, and transfers what differs; or goes on with the one that is there. The
    /// directory of a download is made if it is missing.
    ///
    /// A later process goes on behind what was compared. What is the same on both
    /// sides is counted in [`FoundCounts::same`](crate::FoundCounts) and leaves nothing else behind.
    ///
    /// The same call again is the same group while that is unfinished; a call that
    /// compares otherwise cancels that one first, and compares anew. Whatever failed
    /// before goes on where it still differs.
    ///
    /// A group deletes nothing: with [`delete`](Self::delete) or
    /// [`dry_run`](Self::dry_run) this fails with [`SubmitError::BadOption`].
    pub async fn start(self) -> Result<GroupObserver, Error> {
        for (asked, option) in [(self.delete, "delete"), (self.dry_run, "dry_run")] {
            if asked {
                let why = "a group transfers and does nothing else: ask for the plan";
                return Err(check_options::bad(option, why).into());
            }
        }
        let like = self.like;
        let request = match like.direction {
            Direction::Download => GroupRequest::download(like.bucket, self.prefix, self.dir),
            _ => GroupRequest::upload(self.dir, like.bucket, self.prefix),
        };
        let request = GroupRequest {
            connection: like.connection,
            options: like.options,
            group: like.group,
            restart: like.restart,
            sync: Some(self.how),
            ..request
        };
        self.utility.begin_group(request).await
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
        if self.how.properties {
            properties::check(self.like.direction, &self.like.options.object)?;
        }
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
        let parts = Parts {
            prefix: self.prefix,
            dir,
            like,
            how: self.how,
            delete: self.delete,
            folds,
            group: None,
        };
        Ok(SyncPlan::of(self.utility, parts))
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
