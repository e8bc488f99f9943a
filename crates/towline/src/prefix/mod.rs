//! Downloads of all objects below a prefix, to files below a directory.

mod order;
mod pages;

use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use towline_core::{Access, Connection, PartSize, Priority, WhenTargetExists};

pub use pages::{LeftOut, PrefixPage, PrefixPages};
pub(crate) use pages::{depth_of, make_durable, usable};

use crate::{Error, SubmitError, TransferRequest, TransferUtility};

/// So many of what was left out are kept to be told.
const MOST_TOLD: usize = 1000;

/// The download of a prefix. Await it to submit all of it, or take its
/// [`pages`](Self::pages) one by one.
#[must_use = "await it to submit the downloads"]
#[derive(Debug)]
pub struct PrefixRequest {
    utility: TransferUtility,
    prefix: String,
    dir: PathBuf,
    /// What every request is like.
    like: TransferRequest,
}

/// What became of a prefix that was submitted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PrefixDownload {
    /// The group that the downloads belong to: to find and steer them by, with
    /// [`Query::group`](towline_core::Query::group).
    pub group: String,
    /// How many downloads were submitted, or were there and go on.
    pub submitted: u64,
    /// How many files an earlier, unfinished call had downloaded already.
    pub spared: u64,
    /// How many objects have no file, and why.
    pub left_out: u64,
    /// The first thousand of them.
    pub first_left_out: Vec<LeftOut>,
}

impl TransferUtility {
    /// Downloads all objects whose keys start with `prefix`, which is empty or
    /// ends in `/`, to files below a directory, which is made if it is missing.
    /// Await the request to submit the downloads: a page of the listing at a
    /// time, so that memory does not grow with their number. They are one
    /// [`group`](PrefixRequest::group).
    ///
    /// What follows the prefix in a key is the path; components that are no good
    /// file names are written otherwise ([`path_of`](crate::path_of)). No symbolic
    /// link is followed below the directory, and nothing is written outside it.
    /// An object that has no file of its own is left out, and told.
    ///
    /// The same call again goes on with what is unfinished; while something is,
    /// it does not fetch again what is there already.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// let photos = utility.download_prefix("my-bucket", "photos/", "/data/photos").await?;
    /// for left_out in &photos.first_left_out {
    ///     println!("{}: {}", left_out.key, left_out.why);
    /// }
    /// let query = towline::Query { group: Some(photos.group), ..Default::default() };
    /// let (transfers, next_page) = utility.find(query).await?;
    /// # Ok(()) }
    /// ```
    pub fn download_prefix(
        &self,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        dir: impl AsRef<Path>,
    ) -> PrefixRequest {
        let (bucket, prefix) = (bucket.into(), prefix.into());
        PrefixRequest {
            utility: self.clone(),
            like: TransferRequest::download(bucket, "", ""),
            prefix,
            dir: dir.as_ref().to_owned(),
        }
    }
}

impl PrefixRequest {
    /// What to do where a file exists. Default: replace it, at the end.
    pub fn when_target_exists(mut self, policy: WhenTargetExists) -> Self {
        self.like.options.when_target_exists = policy;
        self
    }

    /// Size of every part but the last. Default: by the length of each object.
    pub fn part_size(mut self, size: PartSize) -> Self {
        self.like.options.part_size = Some(size);
        self
    }

    /// Whether its transfers go ahead of others. Default: as most do.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.like.options.priority = priority;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.like.connection = Some(connection);
        self
    }

    /// What S3 wants to see on every request. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.like.options.access = access;
        self
    }

    /// The name of the group. Default: one by prefix and directory.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.like.group = Some(name.into());
        self
    }

    /// Cancels unfinished downloads of the same and starts them anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.like.restart = restart;
        self
    }

    async fn submit(self) -> Result<PrefixDownload, Error> {
        let utility = self.utility.clone();
        let mut pages = self.pages().await?;
        let mut told = PrefixDownload {
            group: pages.group().to_owned(),
            ..PrefixDownload::default()
        };
        let store = utility.engine().store().clone();
        let find = |query| {
            let store = store.clone();
            async move { store.find(query).await }
        };
        let goes_on = pages.is_unfinished(find).await?;
        while let Some(mut page) = pages.next().await? {
            if goes_on {
                told.spared += page.spare_what_is_there(find).await?;
            }
            let mut left_out = std::mem::take(&mut page.left_out);
            told.submitted += utility.submit_page(page, &mut left_out).await?;
            told.left_out += left_out.len() as u64;
            let room = MOST_TOLD - told.first_left_out.len();
            told.first_left_out.extend(left_out.into_iter().take(room));
        }
        Ok(told)
    }
}

impl TransferUtility {
    /// Submits a page; what is refused is left out. Halves it until it is known
    /// which request that is.
    async fn submit_page(
        &self,
        page: PrefixPage,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<u64, Error> {
        let mut submitted = 0;
        let mut batches = vec![page.requests];
        while let Some(mut batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            match TransferUtility::submit(self, batch.clone()).await {
                Ok(ids) => submitted += ids.len() as u64,
                Err(Error::Submit(error)) => {
                    if batch.len() == 1 {
                        let key = batch.remove(0).key;
                        left_out.push(LeftOut::refused(key, error.code(), error.to_string()));
                    } else {
                        let rest = batch.split_off(batch.len() / 2);
                        batches.extend([rest, batch]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(submitted)
    }
}

pub(crate) fn bad_prefix() -> SubmitError {
    crate::check_options::bad("prefix", "it is neither empty nor ends in '/'")
}

impl IntoFuture for PrefixRequest {
    type Output = Result<PrefixDownload, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.submit())
    }
}
