//! Downloads of all objects below a prefix, to files below a directory.

mod objects;
mod order;
mod pages;

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;

use towline_core::{Access, Connection, PartSize, Priority, WhenTargetExists};

pub(crate) use objects::ObjectPages;
pub(crate) use pages::{Listed, PrefixListing, depth_of, has_done, make_durable, usable};

use crate::{Error, GroupObserver, GroupRequest, SubmitError, TransferUtility};

/// The download of a prefix. Await it to begin it as a group.
#[must_use = "await it to begin the downloads"]
#[derive(Debug)]
pub struct PrefixRequest {
    utility: TransferUtility,
    request: GroupRequest,
}

impl TransferUtility {
    /// Downloads all objects whose keys start with `prefix`, which is empty or
    /// ends in `/`, to files below a directory, which is made if it is missing.
    /// Await the request to record it: they are one [group](crate::Group), which
    /// lists its objects by itself, page by page, and goes on with that in a later
    /// process.
    ///
    /// What follows the prefix in a key is the path; components that are no good
    /// file names are written otherwise ([`path_of`](crate::path_of)). No symbolic
    /// link is followed below the directory, and nothing is written outside it.
    /// An object that has no file of its own is refused, and told.
    ///
    /// The same call again is the same group while that is unfinished. Where the
    /// last one ended with failures, it goes on with these and does not fetch again
    /// what is there already.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// let photos = utility.download_prefix("my-bucket", "photos/", "/data/photos").await?;
    /// let ended = photos.finished().await?;
    /// println!("{}: {} done", ended.state, ended.transfers.completed);
    /// for refused in photos.refused(0, 100).await? {
    ///     println!("{:?}: {}", refused.key, refused.why);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn download_prefix(
        &self,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        dir: impl AsRef<Path>,
    ) -> PrefixRequest {
        PrefixRequest {
            utility: self.clone(),
            request: GroupRequest::download(bucket, prefix, dir),
        }
    }
}

impl PrefixRequest {
    /// What to do where a file exists. Default: replace it, at the end.
    pub fn when_target_exists(mut self, policy: WhenTargetExists) -> Self {
        self.request.options.when_target_exists = policy;
        self
    }

    /// Size of every part but the last. Default: by the length of each object.
    pub fn part_size(mut self, size: PartSize) -> Self {
        self.request.options.part_size = Some(size);
        self
    }

    /// Whether its transfers go ahead of others. Default: as most do.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.request.options.priority = priority;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.request.connection = Some(connection);
        self
    }

    /// What S3 wants to see on every request. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.request.options.access = access;
        self
    }

    /// The name of the group. Default: one by prefix and directory.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.request.group = Some(name.into());
        self
    }

    /// Cancels unfinished downloads of the same and starts them anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.request.restart = restart;
        self
    }
}

pub(crate) fn bad_prefix() -> SubmitError {
    crate::check_options::bad("prefix", "it is neither empty nor ends in '/'")
}

impl IntoFuture for PrefixRequest {
    type Output = Result<GroupObserver, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.utility.begin_group(self.request).await })
    }
}
