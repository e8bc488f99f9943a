//! Groups that list their own transfers: the files of a directory, the objects
//! below a prefix, which are downloaded or copied, or what differs of a directory and
//! a prefix. Each is recorded before anything is listed, goes on with its listing in a
//! later process, and has one end.

mod building;
mod carry;
mod compared;
mod directory;
mod entries;
mod origin;
mod page;
mod plain;
mod prefix_copy;
mod prioritize;
mod request;
mod steer;
mod tend;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use towline_core::{
    Direction, ErrorRecord, FoundCounts, GroupId, GroupQuery, GroupRecord, GroupSums, ListingPhase,
    NotListed, Priority, State, StoreError, Timestamp,
};

pub use directory::DirectoryRequest;
pub use plain::GroupRequest;
pub(crate) use plain::unusable;
pub use prefix_copy::PrefixCopyRequest;
pub(crate) use request::{ListingRequest, Place};
pub(crate) use tend::Groups;

use crate::transfer::is_normal;
use crate::{Error, TransferUtility, path_json};

/// A group of transfers that lists them by itself, at one moment: the files of a
/// directory that are uploaded, the objects below a prefix that are downloaded or
/// copied, or of a directory and a prefix those that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Its number in the store.
    pub id: GroupId,
    /// Its name, which its transfers have as their [`group`](crate::Transfer::group).
    pub name: String,
    /// Which way the bytes go.
    #[serde(rename = "type")]
    pub direction: Direction,
    /// [`Completed`](State::Completed) once all that was found was transferred or
    /// needed no transfer; [`Failed`](State::Failed) where anything was refused,
    /// failed or was canceled, or not all could be listed. Final states are told
    /// when nothing more is listed and every transfer is final, and stay whatever
    /// becomes of one of them later.
    pub state: State,
    /// How far its listing is.
    pub listing: ListingPhase,
    /// The bucket; of copies the one that they are made in.
    pub bucket: String,
    /// What the keys begin with; of copies theirs.
    pub prefix: String,
    /// The directory; of copies the source, as `s3://BUCKET/PREFIX`.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// Whether it goes ahead of others. In JSON only where it is not normal.
    #[serde(default, skip_serializing_if = "is_normal")]
    pub priority: Priority,
    /// What its listing came by so far.
    pub found: FoundCounts,
    /// Its transfers, added up.
    pub transfers: GroupSums,
    /// Why it does not list on, for now or for good.
    pub error: Option<ErrorRecord>,
    /// When it was asked for, in milliseconds since 1970.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it had its end.
    pub ended_at: Option<Timestamp>,
}

impl Group {
    /// A group as its store has it.
    pub fn of(record: GroupRecord, transfers: GroupSums) -> Result<Self, Error> {
        let asked = ListingRequest::read(&record.request)?;
        Ok(Self {
            id: record.id,
            state: state(&record, &transfers),
            name: record.name,
            direction: asked.like.direction,
            listing: record.listing,
            bucket: asked.like.bucket,
            prefix: asked.prefix,
            path: asked.dir,
            priority: asked.like.options.priority,
            found: record.found,
            transfers,
            error: record.error,
            created_at: record.created_at,
            updated_at: record.updated_at,
            ended_at: record.ended_at,
        })
    }
}

fn state(group: &GroupRecord, transfers: &GroupSums) -> State {
    if group.ended_at.is_none() {
        let waits = group.error.is_some() && transfers.going == 0;
        return match group.listing {
            _ if group.paused => State::Paused,
            ListingPhase::Listing if waits => State::Waiting,
            _ => State::InProgress,
        };
    }
    match group.listing {
        ListingPhase::Canceled => State::Canceled,
        _ if group.all_well => State::Completed,
        _ => State::Failed,
    }
}

/// Follows one group. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct GroupObserver {
    id: GroupId,
    utility: TransferUtility,
}

impl GroupObserver {
    /// Its number in the store, by which it is found again after a restart.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The group as it is now. Each of its transfers is looked at.
    pub async fn group(&self) -> Result<Group, Error> {
        self.utility.group(self.id).await
    }

    /// Waits until it has had its end. A paused one is waited for. Fails with
    /// [`Error::Closed`] when the utility closes first.
    pub async fn finished(&self) -> Result<Group, Error> {
        let mut told = self.utility.groups_here().told();
        loop {
            told.mark_unchanged();
            let group = self.utility.group_record(self.id).await?;
            if group.ended_at.is_some() {
                return self.utility.summed_up(group).await;
            }
            self.utility.groups_told(&mut told).await?;
        }
    }

    /// Up to `limit` of what it refused, in order, behind the first `after`: what can
    /// have no transfer, and why. Ten thousand are kept.
    pub async fn refused(&self, after: u64, limit: usize) -> Result<Vec<NotListed>, Error> {
        let store = self.utility.store();
        Ok(store.not_listed(self.id, false, after, limit).await?)
    }

    /// The same of what it skipped: what needs no transfer, and why.
    pub async fn skipped(&self, after: u64, limit: usize) -> Result<Vec<NotListed>, Error> {
        let store = self.utility.store();
        Ok(store.not_listed(self.id, true, after, limit).await?)
    }
}

impl TransferUtility {
    /// A group as it is now. Fails with [`StoreError::UnknownGroup`] when there is
    /// none.
    pub async fn group(&self, id: GroupId) -> Result<Group, Error> {
        let record = self.group_record(id).await?;
        self.summed_up(record).await
    }

    /// The groups that match, in order of their numbers; of the last one's number
    /// the next page goes on.
    pub async fn groups(&self, query: GroupQuery) -> Result<Vec<Group>, Error> {
        let mut groups = Vec::new();
        for record in self.store().groups(query).await? {
            groups.push(self.summed_up(record).await?);
        }
        Ok(groups)
    }

    /// A handle on a group, also on one of an earlier process. Fails with
    /// [`StoreError::UnknownGroup`] when there is none.
    pub async fn observe_group(&self, id: GroupId) -> Result<GroupObserver, Error> {
        self.group_record(id).await?;
        Ok(GroupObserver {
            id,
            utility: self.clone(),
        })
    }

    pub(crate) async fn group_record(&self, id: GroupId) -> Result<GroupRecord, Error> {
        let query = GroupQuery {
            id: Some(id),
            ..GroupQuery::default()
        };
        let found = self.store().groups(query).await?.pop();
        Ok(found.ok_or(StoreError::UnknownGroup(id))?)
    }

    pub(crate) async fn summed_up(&self, record: GroupRecord) -> Result<Group, Error> {
        let sums = self.store().sum_group(record.id).await?;
        Group::of(record, sums)
    }
}
