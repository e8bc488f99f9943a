//! The port to durable state: what survives a crash.

use std::error::Error;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::{
    Change, ChangeFilter, Changes, Cursor, Direction, ErrorRecord, GroupChange, GroupId, GroupPage,
    GroupQuery, GroupRecord, GroupSums, NewGroup, NewTransfer, NotListed, PartRow, Phase, Priority,
    Record, State, Timestamp, TransferId,
};

/// What survives a crash. Every implementation passes the testkit's
/// `store_contract`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Records all of these or none. Once `Ok` is returned they survive power
    /// loss. A token that is known with an equal request gives the transfer
    /// that has it; with another request it fails with
    /// [`StoreError::TokenTaken`].
    async fn create_many(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, StoreError>;

    /// Applies the whole batch or nothing, in order. Once `Ok` is returned, it
    /// survives power loss. Calls made at the same time may share one sync.
    async fn commit(&self, batch: Vec<(TransferId, Vec<Change>)>) -> Result<(), StoreError>;

    /// Up to `limit` transfers after `after` that are neither final nor paused,
    /// oldest first, without their parts.
    async fn next(&self, after: TransferId, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// The same of those of one priority.
    async fn next_of(
        &self,
        priority: Priority,
        mut after: TransferId,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let mut found = Vec::new();
        while found.len() < limit {
            let page = self.next(after, limit).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.id;
            let wanted = |record: &Record| record.spec.options.priority == priority;
            found.extend(page.into_iter().filter(wanted));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One transfer, without its parts.
    async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError>;

    /// The recorded parts of one transfer, in order of their numbers.
    async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError>;

    /// One page of the transfers that match, oldest first unless asked.
    async fn find(&self, query: Query) -> Result<Page, StoreError>;

    /// The first page of each of many queries, in their order. A store answers all of
    /// them at one go where that costs less.
    async fn find_each(&self, queries: Vec<Query>) -> Result<Vec<Page>, StoreError> {
        let mut pages = Vec::with_capacity(queries.len());
        for query in queries {
            pages.push(self.find(query).await?);
        }
        Ok(pages)
    }

    /// How many transfers there are.
    async fn count(&self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        let mut query = Query {
            limit: 1000,
            ..Query::default()
        };
        loop {
            let page = self.find(query.clone()).await?;
            page.transfers
                .iter()
                .for_each(|record| counts.add(record.phase, 1));
            query.after = page.next;
            if query.after.is_none() {
                return Ok(counts);
            }
        }
    }

    /// Up to `limit` transfers that were created, changed their phase or were
    /// removed after a place, in the order in which they last did. `None` means
    /// from now on: nothing yet, and the place to ask from next. A cursor of
    /// another store, or one so old that removals after it are not known any
    /// more, fails with [`StoreError::UnknownCursor`]. At least the last 100,000
    /// removals are known.
    async fn changes(&self, after: Option<Cursor>, limit: usize) -> Result<Changes, StoreError> {
        self.changes_of(after, limit, ChangeFilter::default()).await
    }

    /// The same, of what a filter takes. A cursor may be read on from with another
    /// filter.
    async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, StoreError>;

    /// Looks at up to `limit` transfers after a place, in the order in which they
    /// last changed their phase, and gives those that are final and of no group
    /// that has not had its end. 0 is the beginning.
    async fn ended(&self, after: u64, limit: usize) -> Result<Ended, StoreError>;

    /// Forgets final transfers, their incidents too; others are left alone.
    /// Returns how many were removed.
    async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, StoreError>;

    /// Notes something that happened on the way; the last 64 of each transfer
    /// are kept. May be lost in a crash.
    async fn note(&self, id: TransferId, incident: Incident) -> Result<(), StoreError>;

    /// The incidents of one transfer, oldest first.
    async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, StoreError>;

    /// Records a group that is to list its transfers. Fails while another group of
    /// its name is without its end.
    async fn create_group(&self, new: NewGroup) -> Result<GroupRecord, StoreError>;

    /// Records all of a page of a group's listing, and where the listing goes on, or
    /// nothing of it. `None`, and nothing of it, where the group is not
    /// [open](GroupRecord::is_open) any more. The new transfers are of this group,
    /// whatever group they name; they are given in their order.
    async fn record_page(
        &self,
        group: GroupId,
        page: GroupPage,
    ) -> Result<Option<Vec<Created>>, StoreError>;

    /// Changes a group, and gives it as it is then.
    async fn change_group(
        &self,
        group: GroupId,
        change: GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, StoreError>;

    /// The groups that match. Those that are only a name of transfers are not among
    /// them.
    async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupRecord>, StoreError>;

    /// The transfers of a group, added up: each is looked at.
    async fn sum_group(&self, group: GroupId) -> Result<GroupSums, StoreError>;

    /// How many transfers of a group are not final, counted up to `most`.
    async fn unfinished_of_group(&self, group: GroupId, most: usize) -> Result<usize, StoreError>;

    /// Up to `limit` of what a group has no transfers for, skipped or refused, in
    /// order, behind the first `after`.
    async fn not_listed(
        &self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, StoreError>;

    /// Forgets a group that has had its end and has no transfers. False for others,
    /// which are left alone.
    async fn remove_group(&self, group: GroupId) -> Result<bool, StoreError>;

    /// Waits for what was accepted and closes; further calls fail with
    /// [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}

/// What became of one [`NewTransfer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was recorded.
    New(Record),
    /// Its token was known, with an equal request.
    Known(Record),
}

impl Created {
    /// The record, new or known.
    pub fn record(&self) -> &Record {
        match self {
            Self::New(record) | Self::Known(record) => record,
        }
    }
}

/// Which transfers are meant; an empty list or `None` means any.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// One direction only.
    pub direction: Option<Direction>,
    /// These states only. A transfer that runs counts by its phase:
    /// `InProgress` and `Waiting` both find every unfinished one that is
    /// neither paused nor waiting for the network; the engine tells them apart.
    pub states: Vec<State>,
    /// One bucket only.
    pub bucket: Option<String>,
    /// One key only.
    pub key: Option<String>,
    /// One local path only; absolute.
    pub path: Option<PathBuf>,
    /// One group only, by its name; of several the newest.
    pub group: Option<String>,
    /// One group only.
    pub group_id: Option<GroupId>,
    /// Only those whose key or path contains this; ASCII letters match in both
    /// cases.
    pub search: Option<String>,
    /// Looks at about so many transfers and no more, whatever it finds: a page
    /// may then hold few or none, and its `next` says where to look on. 0 means
    /// all that it takes.
    pub look_at: usize,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// After this one, in that order: where the last page ended.
    pub after: Option<TransferId>,
    /// At most this many; 0 means 100.
    pub limit: usize,
}

/// How many transfers there are, as far as a store tells: what those that go on
/// by themselves are doing, the engine knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Neither final nor paused.
    pub going: u64,
    /// Stopped by the user.
    pub paused: u64,
    /// Done.
    pub completed: u64,
    /// Given up by the user.
    pub canceled: u64,
    /// Failed.
    pub failed: u64,
}

impl Counts {
    /// Counts some more in a phase.
    pub fn add(&mut self, phase: Phase, more: u64) {
        let count = match phase {
            Phase::Paused => &mut self.paused,
            Phase::Completed => &mut self.completed,
            Phase::Canceled => &mut self.canceled,
            Phase::Failed => &mut self.failed,
            _ => &mut self.going,
        };
        *count += more;
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.going + self.paused + self.completed + self.canceled + self.failed
    }
}

/// Some transfers that are final, in the order in which they came to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Each with its place, without its parts.
    pub transfers: Vec<(u64, Record)>,
    /// Up to where was looked; `None` where nothing came after.
    pub next: Option<u64>,
}

/// One page of transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The transfers, without their parts.
    pub transfers: Vec<Record>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<TransferId>,
}

/// Something worth knowing that happened on the way: a failed attempt, a park,
/// a new generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: Timestamp,
    /// In which generation.
    pub generation: u32,
    /// Which part, if one.
    pub part: Option<u32>,
    /// What.
    pub error: ErrorRecord,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The token is known with another request.
    #[error("token {token:?} was used for another request, transfer {id}")]
    TokenTaken {
        /// The token.
        token: String,
        /// The transfer that has it.
        id: TransferId,
    },
    /// There is no such transfer.
    #[error("there is no transfer {0}")]
    Unknown(TransferId),
    /// There is no such group.
    #[error("there is no group {0}")]
    UnknownGroup(GroupId),
    /// Another group of this name has not had its end.
    #[error("group {id} of this name is unfinished")]
    GroupTaken {
        /// That group.
        id: GroupId,
    },
    /// The cursor is of another store, of another order of this one, or so old
    /// that what was removed since is not known.
    #[error("cursor {0} is not of this store, or too old; read everything anew")]
    UnknownCursor(Cursor),
    /// Another process owns the store.
    #[error("{path} is in use by another process{}", holder.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Owned {
        /// The store's file.
        path: PathBuf,
        /// What the lock file says of it; information, not proof.
        holder: Option<String>,
    },
    /// Not one of our stores.
    #[error(
        "{path} is not a Towline store; it was left as it is. Use another --state-dir, or move it aside"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of Towline.
    #[error(
        "{path} was written by a newer Towline (schema {found}, this one knows {known}); it was left as it is. Use that version, or another --state-dir"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Damaged.
    #[error(
        "{path} is damaged ({why}); it was left as it is. Move it aside to start anew, or restore a backup"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The place of the store is no good: permissions, a network file system.
    #[error("cannot keep state in {path}: {why}")]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// The disk below it is full, so nothing more is written; once there is
    /// room it has to be opened anew.
    #[error("no space left for {path}, in which transfers are recorded")]
    NoSpace {
        /// The store's file.
        path: PathBuf,
    },
    /// The database or the disk below it failed.
    #[error("the store failed: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
