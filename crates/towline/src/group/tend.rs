//! Each group without its end has a task that lists for it, a step at a time and
//! not far ahead of its transfers, and that tells its end.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use towline_core::{
    ErrorRecord, GroupChange, GroupId, GroupQuery, GroupRecord, ListingPhase, StoreError,
};

use super::entries::{Entries, Step};
use super::page::Recording;
use super::{ListingRequest, Place};
use crate::utility::WeakUtility;
use crate::{Error, SubmitError, TransferUtility, submit};

/// How often a group that waits for its transfers is looked at, at most.
const PACE: Duration = Duration::from_millis(50);
/// How long a listing that cannot go on waits, at first and at most.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// The groups of a utility that have a task.
#[derive(Debug)]
pub(crate) struct Groups {
    tended: Mutex<HashSet<GroupId>>,
    /// Changes whenever a group did.
    told: watch::Sender<u64>,
    starting: tokio::sync::Mutex<()>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            tended: Mutex::default(),
            told: watch::Sender::new(0),
            starting: tokio::sync::Mutex::default(),
        }
    }
}

impl Groups {
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    pub(crate) async fn one_start_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.starting.lock().await
    }

    /// Who waits finds out.
    pub(crate) fn closed(&self) {
        self.told.send_modify(|count| *count += 1);
    }

    fn begin(&self, id: GroupId) -> bool {
        let mut tended = self.tended.lock().unwrap_or_else(PoisonError::into_inner);
        tended.insert(id)
    }

    fn end(&self, id: GroupId) {
        let mut tended = self.tended.lock().unwrap_or_else(PoisonError::into_inner);
        tended.remove(&id);
    }
}

impl TransferUtility {
    /// Goes on with every group without its end.
    pub(crate) async fn go_on_with_groups(&self) -> Result<(), Error> {
        let mut query = GroupQuery {
            unended: true,
            ..GroupQuery::default()
        };
        loop {
            let groups = self.store().groups(query.clone()).await?;
            let Some(last) = groups.last() else {
                return Ok(());
            };
            query.after = Some(last.id);
            for group in groups {
                self.tend_group(group.id)?;
            }
        }
    }

    /// Has a task for a group, which ends with the group or the utility.
    pub(crate) fn tend_group(&self, id: GroupId) -> Result<(), Error> {
        if self.groups_here().begin(id) {
            let (weak, told) = (self.downgrade(), self.groups_here().told());
            self.engine().spawn(async move {
                let mut tending = Tending {
                    id,
                    told,
                    reading: None,
                    failures: 0,
                };
                tending.tend(&weak).await;
                if let Some(utility) = weak.upgrade() {
                    utility.groups_here().end(id);
                    utility.connector().group_ended(id);
                }
            })?;
        }
        Ok(())
    }

    /// A group changed.
    pub(super) fn tell_of_groups(&self) -> Result<(), Error> {
        self.groups_here().told.send_modify(|count| *count += 1);
        Ok(self.engine().store_changed()?)
    }

    /// Waits until some group may have changed.
    pub(super) async fn groups_told(&self, told: &mut watch::Receiver<u64>) -> Result<(), Error> {
        let mut durable = self.engine().durable();
        tokio::select! {
            told = told.changed() => told.map_err(|_| Error::Closed),
            // Closed by a store that has failed too.
            _ = durable.wait_for(|_| false) => Err(Error::Closed),
        }
    }

    pub(super) async fn change_and_tell(
        &self,
        id: GroupId,
        change: GroupChange,
    ) -> Result<(), Error> {
        let store = self.store();
        store.change_group(id, change, submit::now()).await?;
        self.tell_of_groups()
    }
}

/// The task of one group.
struct Tending {
    id: GroupId,
    told: watch::Receiver<u64>,
    reading: Option<Reading>,
    /// Of the listing, in a row.
    failures: u32,
}

/// A listing that is being read.
struct Reading {
    entries: Entries,
    asked: ListingRequest,
    /// It began behind a place.
    resumed: bool,
    /// Nothing of it was recorded yet.
    is_new: bool,
    /// What it comes by may be recorded already.
    again: bool,
}

/// What comes next.
enum Next {
    Look,
    /// When something changed.
    Wait,
    /// Or after this.
    Retry(Duration),
    End,
}

impl Tending {
    async fn tend(&mut self, weak: &WeakUtility) {
        loop {
            // Held no longer than needed: it keeps the utility open.
            let Some(utility) = weak.upgrade() else {
                return;
            };
            let mut durable = utility.engine().durable();
            self.told.mark_unchanged();
            let next = match utility.group_record(self.id).await {
                Ok(group) => self.look(&utility, group).await,
                Err(error) => Err(error),
            };
            drop(utility);
            let next = match next {
                Ok(next) => next,
                Err(Error::Closed) => return,
                Err(Error::Store(StoreError::UnknownGroup(_))) => Next::End,
                Err(error) => {
                    tracing::warn!(group = %self.id, %error, "a group cannot go on for now");
                    self.reading = None;
                    Next::Retry(WAITS[1])
                }
            };
            match next {
                Next::Look => {}
                Next::End => return,
                Next::Wait => tokio::select! {
                    told = self.told.changed() => if told.is_err() { return },
                    changed = durable.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        // Many at once are looked at once.
                        tokio::time::sleep(PACE).await;
                    }
                },
                Next::Retry(wait) => tokio::select! {
                    told = self.told.changed() => if told.is_err() { return },
                    () = tokio::time::sleep(wait) => {}
                },
            }
        }
    }

    async fn look(&mut self, utility: &TransferUtility, group: GroupRecord) -> Result<Next, Error> {
        if group.ended_at.is_some() {
            return Ok(Next::End);
        }
        if group.steering {
            self.reading = None;
            utility.tell_transfers(&group).await?;
            return Ok(Next::Look);
        }
        let store = utility.store();
        if group.is_open() {
            let most = utility.config().listed_ahead.max(1);
            if store.unfinished_of_group(self.id, most).await? >= most {
                return Ok(Next::Wait);
            }
            return self.list(utility, group).await;
        }
        self.reading = None;
        let has_all = group.listing != ListingPhase::Listing;
        if has_all && store.unfinished_of_group(self.id, 1).await? == 0 {
            let sums = store.sum_group(self.id).await?;
            let all_done = sums.failed == 0 && sums.canceled == 0;
            let ended = GroupChange::Ended { all_done };
            utility.change_and_tell(self.id, ended).await?;
            return Ok(Next::End);
        }
        Ok(Next::Wait)
    }

    /// One step, unless the group is not to be listed any more.
    async fn list(&mut self, utility: &TransferUtility, group: GroupRecord) -> Result<Next, Error> {
        let step = match self.step(utility, &group).await {
            Ok(Some(step)) => step,
            Ok(None) => return Ok(Next::Look),
            Err(error) => return self.failed(utility, &group, error).await,
        };
        let Some(reading) = &mut self.reading else {
            return Ok(Next::Look);
        };
        let (last, from_start) = (step.last, reading.is_new && !reading.resumed);
        let recording = Recording {
            utility,
            group: &group,
            asked: &reading.asked,
            from_start,
            again: reading.again,
        };
        let recorded = match recording.record(step).await {
            Ok(recorded) => recorded,
            Err(error) => return self.failed(utility, &group, error).await,
        };
        reading.is_new = false;
        self.failures = 0;
        if last || !recorded {
            self.reading = None;
            utility.tell_of_groups()?;
        }
        Ok(Next::Look)
    }

    /// The next step of the listing; `None` where it was paused or canceled first.
    async fn step(
        &mut self,
        utility: &TransferUtility,
        group: &GroupRecord,
    ) -> Result<Option<Step>, Error> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            none => none.insert(Reading::open(group, group.position.as_deref())?),
        };
        {
            let mut next = std::pin::pin!(reading.entries.next(utility));
            loop {
                tokio::select! {
                    step = &mut next => return step.map(Some),
                    _ = self.told.changed() => {
                        if !utility.group_record(self.id).await?.is_open() {
                            break;
                        }
                    }
                }
            }
        }
        self.reading = None;
        Ok(None)
    }

    async fn failed(
        &mut self,
        utility: &TransferUtility,
        group: &GroupRecord,
        error: Error,
    ) -> Result<Next, Error> {
        let resumed = self.reading.take().is_some_and(|it| it.resumed);
        let (record, passes) = match &error {
            Error::Request(error) => (error.record().clone(), error.passes()),
            Error::Submit(error) => (local(error), true),
            _ => return Err(error),
        };
        if !passes && resumed {
            // Not every store lists on behind a key.
            self.reading = Some(Reading::open(group, None)?);
            return Ok(Next::Look);
        }
        tracing::debug!(group = %group.id, %error, passes, "a listing failed");
        if !passes {
            let failed = GroupChange::Failed(record);
            utility.change_and_tell(self.id, failed).await?;
            return Ok(Next::Look);
        }
        if group.error.as_ref().map(|error| &error.code) != Some(&record.code) {
            let waits = GroupChange::Error(Some(record));
            utility.change_and_tell(self.id, waits).await?;
        }
        let wait = WAITS[0].saturating_mul(1 << self.failures.min(10));
        self.failures += 1;
        Ok(Next::Retry(wait.min(WAITS[1])))
    }
}

impl Reading {
    fn open(group: &GroupRecord, position: Option<&str>) -> Result<Self, Error> {
        let asked = ListingRequest::read(&group.request)?;
        let place = position.map(Place::read).transpose()?;
        let resumed = place.is_some();
        Ok(Self {
            entries: Entries::open(group.id, &asked, place)?,
            asked,
            resumed,
            is_new: true,
            again: !resumed && group.found.entries > 0,
        })
    }
}

/// As it is kept: something on this machine.
fn local(error: &SubmitError) -> ErrorRecord {
    ErrorRecord {
        code: error.code().into(),
        message: error.to_string(),
        http_status: None,
        request_id: None,
        host_id: None,
        attempts: 1,
    }
}
