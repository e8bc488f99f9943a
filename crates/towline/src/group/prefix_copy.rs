//! Copies of all objects below a prefix, to keys below another.

use std::future::IntoFuture;
use std::pin::Pin;

use towline_core::{Connection, TransferOptions};

use super::building::building;
use super::{GroupObserver, GroupRequest};
use crate::{Error, TransferUtility};

/// The copy of a prefix. Await it to begin it as a group.
#[must_use = "await it to begin the copies"]
#[derive(Debug)]
pub struct PrefixCopyRequest {
    utility: TransferUtility,
    request: GroupRequest,
}

impl TransferUtility {
    /// Copies all objects whose keys start with `source_prefix` to keys that start
    /// with `prefix` and end as theirs do, by the store itself, as
    /// [`copy`](Self::copy) does one. Each prefix is empty or ends in `/`; both
    /// buckets are reached by one connection. Await the request to record it: they
    /// are one [group](crate::Group), which lists the objects by itself, page by
    /// page, and goes on with that in a later process.
    ///
    /// Objects that stand for directories are copied too. A prefix below the source
    /// is refused, and the same one where nothing would change. An object whose copy
    /// would be one of the sources, or has a key that is too long, is refused, and
    /// told.
    ///
    /// The same call again is the same group while that is unfinished. Afterwards all
    /// is copied anew.
    ///
    /// ```no_run
    /// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
    /// let photos = utility.copy_prefix("my-bucket", "photos/", "other", "2024/").await?;
    /// let ended = photos.finished().await?;
    /// println!("{}: {} copied", ended.state, ended.transfers.completed);
    /// # Ok(()) }
    /// ```
    pub fn copy_prefix(
        &self,
        source_bucket: impl Into<String>,
        source_prefix: impl Into<String>,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> PrefixCopyRequest {
        PrefixCopyRequest {
            utility: self.clone(),
            request: GroupRequest::copy(source_bucket, source_prefix, bucket, prefix),
        }
    }
}

building!(PrefixCopyRequest);
