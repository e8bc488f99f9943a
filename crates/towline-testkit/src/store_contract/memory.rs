//! A store in memory: the second implementation of the contract, and what
//! tests of the engine run on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::{
    Change, ChangeFilter, Changed, Changes, Created, Cursor, Ended, GroupChange, GroupId,
    GroupPage, GroupQuery, GroupRecord, GroupSums, Incident, NewGroup, NewTransfer, NotListed,
    Page, ParkReason, PartNumber, PartRow, Phase, Query, Record, Spec, State, Store, StoreError,
    Timestamp, TransferId,
};

use super::StoreFactory;
use super::memory_groups::Groups;

/// What "survives": stores that are opened from one factory share it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    last_id: u64,
    /// The last change of a state.
    pub(super) last_change: u64,
    removed: BTreeMap<u64, TransferId>,
    pub(super) transfers: BTreeMap<TransferId, Kin>,
    pub(super) groups: Groups,
}

/// A transfer and what is kept beside it.
#[derive(Clone, Debug)]
pub(super) struct Kin {
    pub(super) record: Record,
    pub(super) group: Option<GroupId>,
    /// When its phase last changed, in the order of all.
    changed: u64,
    parts: BTreeMap<PartNumber, PartRow>,
    incidents: VecDeque<Incident>,
}

/// A [`Store`] in memory. Its data outlive it in its [`MemoryFactory`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    slow: Arc<Mutex<Slow>>,
    closed: AtomicBool,
}

/// How long stores take for what they do; nothing at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slow {
    /// A commit, before anything of it is there.
    pub commit: Duration,
    /// A page of those that go on, after it was read.
    pub page: Duration,
}

impl MemoryStore {
    /// An empty store of its own.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn takes(&self, time: impl FnOnce(Slow) -> Duration) {
        let time = time(*self.slow.lock().unwrap_or_else(PoisonError::into_inner));
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

/// Opens [`MemoryStore`]s over the same data, as if reopened after a crash.
#[derive(Debug, Default)]
pub struct MemoryFactory {
    kept: Arc<Mutex<Kept>>,
    slow: Arc<Mutex<Slow>>,
}

impl MemoryFactory {
    /// So long each store takes from now on.
    pub fn be_slow(&self, slow: Slow) {
        *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = slow;
    }
}

impl StoreFactory for MemoryFactory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore {
            kept: Arc::clone(&self.kept),
            slow: Arc::clone(&self.slow),
            closed: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_many(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, StoreError> {
        self.kept()?.create_all(new, None)
    }

    async fn commit(&self, batch: Vec<(TransferId, Vec<Change>)>) -> Result<(), StoreError> {
        self.takes(|slow| slow.commit).await;
        // Copies only what the batch touches, so that engine tests stay quick.
        let mut kept = self.kept()?;
        let mut drafts: BTreeMap<TransferId, Kin> = BTreeMap::new();
        for (id, changes) in &batch {
            if !drafts.contains_key(id) {
                let kin = kept.transfers.get(id).ok_or(StoreError::Unknown(*id))?;
                drafts.insert(*id, kin.clone());
            }
            let kin = drafts.get_mut(id).ok_or(StoreError::Unknown(*id))?;
            let before = kin.record.phase;
            changes.iter().try_for_each(|change| kin.apply(change))?;
            if kin.record.phase != before {
                kept.last_change += 1;
                kin.changed = kept.last_change;
            }
        }
        kept.transfers.extend(drafts);
        Ok(())
    }

    async fn next(&self, after: TransferId, limit: usize) -> Result<Vec<Record>, StoreError> {
        let page = {
            let kept = self.kept()?;
            let records = kept.transfers.values().map(|kin| &kin.record);
            let going = records.filter(|r| !r.phase.is_final() && r.phase != Phase::Paused);
            let behind = going.filter(|r| r.id > after);
            behind.take(limit).cloned().collect()
        };
        self.takes(|slow| slow.page).await;
        Ok(page)
    }

    async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        Ok(self
            .kept()?
            .transfers
            .get(&id)
            .map(|kin| kin.record.clone()))
    }

    async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError> {
        let kept = self.kept()?;
        let parts = kept
            .transfers
            .get(&id)
            .map(|kin| kin.parts.values().cloned().collect());
        Ok(parts.unwrap_or_default())
    }

    async fn find(&self, query: Query) -> Result<Page, StoreError> {
        let kept = self.kept()?;
        let named = query.group.as_deref();
        let named = named.map(|name| kept.groups.newest(name));
        let matching = kept
            .transfers
            .values()
            .filter(|kin| named.is_none_or(|id| id.is_some() && kin.group == id))
            .filter(|kin| query.group_id.is_none_or(|id| kin.group == Some(id)))
            .map(|kin| &kin.record)
            .filter(|r| query.takes(r));
        let mut transfers: Vec<Record> = matching.cloned().collect();
        if query.newest_first {
            transfers.reverse();
        }
        let limit = if query.limit == 0 { 100 } else { query.limit };
        let more = transfers.len() > limit;
        transfers.truncate(limit);
        let next = transfers.last().map(|last| last.id).filter(|_| more);
        Ok(Page { transfers, next })
    }

    async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, StoreError> {
        let kept = self.kept()?;
        let now = Cursor {
            store: Arc::as_ptr(&self.kept).addr() as u128,
            epoch: 1,
            n: kept.last_change,
        };
        let Some(after) = after else {
            let changed = Vec::new();
            return Ok(Changes {
                changed,
                cursor: now,
            });
        };
        if (after.store, after.epoch) != (now.store, now.epoch) || after.n > now.n {
            return Err(StoreError::UnknownCursor(after));
        }
        let transfers = kept.transfers.values().filter(|kin| {
            let in_group = filter.group.is_none_or(|id| kin.group == Some(id));
            in_group && filter.only.takes(kin.record.phase)
        });
        let there =
            transfers.map(|kin| (kin.changed, Changed::Transfer(Box::new(kin.record.clone()))));
        let gone = kept
            .removed
            .iter()
            .map(|(n, id)| (*n, Changed::Removed(*id)));
        let groups = kept.groups.changed().filter(|(_, changed)| match changed {
            Changed::Group(group) => filter.group.is_none_or(|id| group.id == id),
            _ => true,
        });
        let there = there.chain(groups);
        let order: BTreeMap<u64, Changed> =
            there.chain(gone).filter(|(n, _)| *n > after.n).collect();
        let n = match order.keys().nth(limit.saturating_sub(1)) {
            Some(last) => *last,
            None => now.n,
        };
        Ok(Changes {
            changed: order.into_values().take(limit).collect(),
            cursor: Cursor { n, ..now },
        })
    }

    async fn ended(&self, after: u64, limit: usize) -> Result<Ended, StoreError> {
        let kept = self.kept()?;
        let mut order: Vec<&Kin> = kept.transfers.values().collect();
        order.retain(|kin| kin.changed > after);
        order.sort_by_key(|kin| kin.changed);
        order.truncate(limit);
        let next = order.last().map(|kin| kin.changed);
        let is_final = |kin: &&&Kin| {
            let open = kin.group.is_some_and(|id| kept.groups.is_unended(id));
            kin.record.phase.is_final() && !open
        };
        let ended = order.iter().filter(is_final);
        Ok(Ended {
            transfers: ended.map(|kin| (kin.changed, kin.record.clone())).collect(),
            next: next.filter(|_| order.len() == limit),
        })
    }

    async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, StoreError> {
        let mut kept = self.kept()?;
        let before = kept.transfers.len();
        for id in ids {
            if kept
                .transfers
                .get(&id)
                .is_some_and(|kin| kin.record.phase.is_final())
            {
                let group = kept.transfers.remove(&id).and_then(|kin| kin.group);
                kept.sweep(group);
                kept.last_change += 1;
                let n = kept.last_change;
                kept.removed.insert(n, id);
            }
        }
        Ok(before - kept.transfers.len())
    }

    async fn note(&self, id: TransferId, incident: Incident) -> Result<(), StoreError> {
        let mut kept = self.kept()?;
        let kin = kept.transfers.get_mut(&id).ok_or(StoreError::Unknown(id))?;
        kin.incidents.push_back(incident);
        if kin.incidents.len() > 64 {
            kin.incidents.pop_front();
        }
        Ok(())
    }

    async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, StoreError> {
        let kept = self.kept()?;
        let incidents = kept
            .transfers
            .get(&id)
            .map(|kin| kin.incidents.iter().cloned().collect());
        Ok(incidents.unwrap_or_default())
    }

    async fn create_group(&self, new: NewGroup) -> Result<GroupRecord, StoreError> {
        self.kept()?.create_group(new)
    }

    async fn record_page(
        &self,
        group: GroupId,
        page: GroupPage,
    ) -> Result<Option<Vec<Created>>, StoreError> {
        self.kept()?.record_page(group, page)
    }

    async fn change_group(
        &self,
        group: GroupId,
        change: GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, StoreError> {
        self.kept()?.change_group(group, &change, at)
    }

    async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupRecord>, StoreError> {
        Ok(self.kept()?.groups.find(&query))
    }

    async fn sum_group(&self, group: GroupId) -> Result<GroupSums, StoreError> {
        Ok(self.kept()?.sum_group(group))
    }

    async fn unfinished_of_group(&self, group: GroupId, most: usize) -> Result<usize, StoreError> {
        let sums = self.kept()?.sum_group(group);
        Ok(most.min(usize::try_from(sums.going + sums.paused).unwrap_or(most)))
    }

    async fn not_listed(
        &self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, StoreError> {
        let kept = self.kept()?;
        let all = kept.groups.not_listed(group, skipped);
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(all.iter().skip(after).take(limit).cloned().collect())
    }

    async fn remove_group(&self, group: GroupId) -> Result<bool, StoreError> {
        Ok(self.kept()?.remove_group(group))
    }

    async fn close(&self) -> Result<(), StoreError> {
        drop(self.kept()?);
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

impl Kept {
    /// All or none, in a group or else in those that they name.
    pub(super) fn create_all(
        &mut self,
        new: Vec<NewTransfer>,
        group: Option<GroupId>,
    ) -> Result<Vec<Created>, StoreError> {
        let (last_id, groups) = (self.last_id, self.groups.clone());
        let new = new.into_iter();
        let made: Result<Vec<_>, _> = new.map(|new| self.create(new, group)).collect();
        if made.is_err() {
            self.transfers.retain(|id, _| id.get() <= last_id);
            (self.last_id, self.groups) = (last_id, groups);
        }
        made
    }

    fn create(&mut self, new: NewTransfer, group: Option<GroupId>) -> Result<Created, StoreError> {
        if let Some(token) = &new.spec.token {
            let records = self.transfers.values().map(|kin| &kin.record);
            let known = records
                .into_iter()
                .find(|r| r.spec.token.as_ref() == Some(token));
            match known {
                Some(known) if known.spec.asks_the_same(&new.spec) => {
                    return Ok(Created::Known(known.clone()));
                }
                Some(known) => {
                    return Err(StoreError::TokenTaken {
                        token: token.clone(),
                        id: known.id,
                    });
                }
                None => {}
            }
        }
        let name = new.spec.group.as_deref();
        let group = group.or_else(|| name.map(|name| self.groups.named(name)));
        self.last_id += 1;
        let record = Record::new(TransferId::new(self.last_id), new);
        self.last_change += 1;
        let kin = Kin {
            record: record.clone(),
            group,
            changed: self.last_change,
            parts: BTreeMap::new(),
            incidents: VecDeque::new(),
        };
        self.transfers.insert(record.id, kin);
        Ok(Created::New(record))
    }
}

impl Kin {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Parts(rows) => {
                for row in rows {
                    if self.parts.insert(row.number, row.clone()).is_some() {
                        return Err(contradiction("a part is recorded already"));
                    }
                }
            }
            Change::PartsLost(rows) => {
                for row in rows {
                    let lost = self.parts.remove(&row.number);
                    let left = self.record.bytes_done.checked_sub(row.len);
                    if lost.is_none_or(|lost| lost.len != row.len) || left.is_none() {
                        return Err(contradiction("a part is not recorded so"));
                    }
                }
            }
            change if change.drops_parts() => self.parts.clear(),
            _ => {}
        }
        self.record.apply(change);
        Ok(())
    }
}

/// What a query matches, without its order and limit.
trait Takes {
    fn takes(&self, record: &Record) -> bool;
}

impl Takes for Query {
    fn takes(&self, record: &Record) -> bool {
        let spec = &record.spec;
        let beyond = |after| match self.newest_first {
            true => record.id < after,
            false => record.id > after,
        };
        self.direction
            .is_none_or(|direction| spec.direction == direction)
            && (self.states.is_empty() || self.states.iter().any(|s| is_in(record.phase, *s)))
            && self
                .bucket
                .as_ref()
                .is_none_or(|name| spec.object.bucket.as_str() == name)
            && self
                .key
                .as_ref()
                .is_none_or(|key| spec.object.key.as_str() == key)
            && self
                .path
                .as_ref()
                .is_none_or(|path| spec.path.as_os_str() == path.as_os_str())
            && self
                .search
                .as_ref()
                .is_none_or(|text| contains(spec, &text.to_ascii_lowercase()))
            && self.after.is_none_or(beyond)
    }
}

fn contains(spec: &Spec, text: &str) -> bool {
    let holds = |name: &str| name.to_ascii_lowercase().contains(text);
    holds(spec.object.key.as_str()) || holds(&spec.path.to_string_lossy())
}

fn is_in(phase: Phase, state: State) -> bool {
    match state {
        State::Paused => phase == Phase::Paused,
        State::WaitingForNetwork => waits_for_network(phase),
        State::Completed => phase == Phase::Completed,
        State::Canceled => phase == Phase::Canceled,
        State::Failed => phase == Phase::Failed,
        State::Waiting | State::InProgress => {
            !phase.is_final() && phase != Phase::Paused && !waits_for_network(phase)
        }
    }
}

fn waits_for_network(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Parked(ParkReason::Network | ParkReason::NetworkClass)
    )
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Contradiction(&'static str);

fn contradiction(what: &'static str) -> StoreError {
    StoreError::Failed(Box::new(Contradiction(what)))
}
