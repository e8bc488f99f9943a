//! The plan: each decision of a comparison, told one by one.

use super::comparison::{Comparison, Looked, Parts};
use super::{SyncDecision, SyncDeleter};
use crate::{Error, TransferUtility};

/// A directory and a prefix, compared step by step; see
/// [`SyncRequest::plan`](crate::SyncRequest::plan). A page of the listing and a
/// thousand files are in memory at a time, and what is left of the directories on
/// the way to them.
#[derive(Debug)]
pub struct SyncPlan {
    utility: TransferUtility,
    comparison: Comparison,
}

impl SyncPlan {
    pub(super) fn of(utility: TransferUtility, parts: Parts) -> Self {
        Self {
            utility,
            comparison: Comparison::of(parts),
        }
    }

    /// The name of the group that the requests belong to.
    pub fn group(&self) -> &str {
        let like = &self.comparison.parts().like;
        like.group.as_deref().unwrap_or_default()
    }

    /// Whether all that was to be read so far was read: where a directory or file
    /// could not be, what is missing there may not be missing, so nothing should
    /// be deleted.
    pub fn is_complete(&self) -> bool {
        self.comparison.is_complete()
    }

    /// Whether the source had anything so far that its name does not leave out;
    /// what stands for a directory is nothing. An
    /// empty source may be the wrong one, so nothing should be deleted by it.
    pub fn saw_source(&self) -> bool {
        self.comparison.saw_source()
    }

    /// Who deletes what this plan tells.
    pub fn deleter(&self) -> SyncDeleter {
        let parts = self.comparison.parts();
        SyncDeleter {
            utility: self.utility.clone(),
            direction: parts.like.direction,
            bucket: parts.like.bucket.clone(),
            connection: parts.like.connection.clone(),
            access: parts.like.options.access.clone(),
            dir: parts.dir.clone(),
        }
    }

    /// The next decision, in the order of keys; `None` behind the last.
    ///
    /// Fails where the listing does, and where it is not in the order of the bytes
    /// of its keys: then the two cannot be compared step by step. Whoever drops
    /// this before it is done cannot go on with the plan.
    pub async fn next(&mut self) -> Result<Option<SyncDecision>, Error> {
        loop {
            match self.comparison.look(&self.utility).await? {
                Looked::Decided(decision) => return Ok(Some(decision)),
                Looked::Nothing => {}
                Looked::End => return Ok(None),
            }
        }
    }
}
