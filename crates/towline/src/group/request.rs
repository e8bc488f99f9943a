//! What a group is to list, as it is stored, and how it begins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use towline_core::{
    Direction, GroupQuery, GroupRecord, ListingPhase, NewGroup, Priority, Query, State, StoreError,
};
use towline_s3::Credentials;

use super::GroupObserver;
use crate::{Error, SubmitError, SyncOptions, TransferRequest, TransferUtility, path_json, submit};

/// What a group lists, and what its transfers are like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListingRequest {
    pub(crate) prefix: String,
    #[serde(flatten, with = "path_json")]
    pub(crate) dir: PathBuf,
    /// Its bucket and connection are settled, and it has a group.
    pub(crate) like: TransferRequest,
    /// What an earlier group of this name has done is not done again.
    #[serde(default)]
    pub(crate) spares: bool,
    /// Uploads: of the directory, as it was.
    #[serde(default)]
    pub(crate) inode: Option<u64>,
    /// Only what differs is transferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sync: Option<SyncOptions>,
}

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Behind this key; of a directory below it.
    pub(crate) after: String,
    /// Objects: the lengths of those beginnings of the key that are objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<usize>,
}

impl ListingRequest {
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(unreadable)
    }

    pub(super) fn write(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(unreadable)
    }

    pub(crate) fn name(&self) -> &str {
        self.like.group.as_deref().unwrap_or_default()
    }

    /// Whether another one asks for the same, however it was begun, and whatever goes
    /// first.
    fn is_same(&self, other: &Self) -> bool {
        let plain = |asked: &Self| {
            let mut asked = asked.clone();
            asked.like.restart = false;
            asked.like.options.priority = Priority::default();
            (asked.spares, asked.inode, asked.sync) = (false, None, None);
            serde_json::to_value(asked).ok()
        };
        let compares_so = match (&self.sync, &other.sync) {
            (Some(one), Some(other)) => one.is_same(other),
            (one, other) => one.is_some() == other.is_some(),
        };
        compares_so && plain(self) == plain(other)
    }
}

impl Place {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(unreadable)
    }

    pub(super) fn write(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::Store(StoreError::Failed(Box::new(error)))
}

impl TransferUtility {
    /// Records a group, or goes on with the one that is there.
    pub(super) async fn start_group(
        &self,
        mut asked: ListingRequest,
        credentials: Option<&Credentials>,
    ) -> Result<GroupObserver, Error> {
        let query = GroupQuery {
            name: Some(asked.name().to_owned()),
            newest_first: true,
            limit: 1,
            ..GroupQuery::default()
        };
        let (newest, _one_at_a_time) = loop {
            let one_at_a_time = self.groups_here().one_start_at_a_time().await;
            let newest = self.store().groups(query.clone()).await?.pop();
            let Some(there) = newest.as_ref().filter(|it| it.ended_at.is_none()) else {
                break (newest, one_at_a_time);
            };
            // Nobody else waits for as long as S3 takes.
            drop(one_at_a_time);
            if there.listing != ListingPhase::Canceled && !asked.like.restart {
                let begun = ListingRequest::read(&there.request)?;
                if asked.is_same(&begun) {
                    let priority = asked.like.options.priority;
                    self.prioritize_group(there.id, priority).await?;
                    self.hand_over_to_group(there.id, credentials).await?;
                    self.resume_group(there.id).await?;
                    self.carry_group(there.id, None).await?;
                    return self.observe_group(there.id).await;
                }
                // A sync that compares otherwise takes the place of the one before.
                if asked.sync.is_none() || begun.sync.is_none() {
                    return Err(taken(there).into());
                }
            }
            // It has its end before another of its name begins.
            self.carry_group(there.id, credentials).await?;
            self.cancel_group(there.id).await?;
            self.observe_group(there.id).await?.finished().await?;
        };
        asked.spares = asked.like.direction == Direction::Download
            && !asked.like.restart
            && asked.sync.is_none()
            && (newest.is_some_and(|there| there.listing == ListingPhase::Failed)
                || self.has_unfinished(asked.name()).await?);
        let new = NewGroup {
            name: asked.name().to_owned(),
            request: asked.write()?,
            created_at: submit::now(),
        };
        let made = self.store().create_group(new).await?;
        if let Some(credentials) = credentials {
            self.connector().hand_over_to_group(made.id, credentials);
        }
        self.tend_group(made.id)?;
        self.tell_of_groups()?;
        self.observe_group(made.id).await
    }

    /// Whether transfers of a group are unfinished or failed: then the next one goes
    /// on with them.
    async fn has_unfinished(&self, name: &str) -> Result<bool, Error> {
        let query = Query {
            group: Some(name.to_owned()),
            states: vec![
                State::Waiting,
                State::InProgress,
                State::Paused,
                State::WaitingForNetwork,
                State::Failed,
            ],
            limit: 1,
            ..Query::default()
        };
        Ok(!self.store().find(query).await?.transfers.is_empty())
    }
}

fn taken(there: &GroupRecord) -> SubmitError {
    SubmitError::GroupTaken {
        id: there.id,
        name: there.name.clone(),
    }
}
