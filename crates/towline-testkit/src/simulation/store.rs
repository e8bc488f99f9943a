//! A store of transfers that takes its time, and what of it a crash leaves: all
//! that was committed, whether anybody still heard so or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::{
    Change, ChangeFilter, Changed, Changes, Created, Cursor, Ended, GroupChange, GroupId,
    GroupPage, GroupQuery, GroupRecord, GroupSums, Incident, NewGroup, NewTransfer, NotListed,
    Page, PartRow, Priority, Query, Record, Store, StoreError, Timestamp, TransferId,
};

use super::trace::Trace;
use crate::store_contract::{MemoryFactory, StoreFactory};

/// What stays of the stores of one world, from one process to the next.
pub struct SimulatedState {
    trace: Trace,
    witness: Option<Witness>,
    kept: MemoryFactory,
    shared: Arc<Mutex<Shared>>,
}

/// Is there whenever something is committed.
type Witness = Arc<dyn Fn(&Committed) + Send + Sync>;

/// What goes wrong with a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreRules {
    /// How often in a thousand a commit fails, done or not.
    pub failing_commits: u64,
    /// What is committed is so only later.
    pub lies: bool,
    /// The first part of each transfer is not found again.
    pub forgets_parts: bool,
    /// Nobody hears of ends.
    pub hides_ends: bool,
    /// Nobody finds what is unfinished.
    pub hides_unfinished: bool,
    /// What is submitted is confirmed and not recorded.
    pub drops_submits: bool,
}

/// What was committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The place in the trace.
    pub at: u64,
    /// Of which transfer.
    pub id: TransferId,
    /// What; empty when it was created.
    pub changes: Vec<Change>,
    /// The transfer after it.
    pub record: Record,
    /// Its parts after it.
    pub parts: Vec<PartRow>,
}

struct Shared {
    dice: fastrand::Rng,
    rules: StoreRules,
    log: Vec<Committed>,
    failures: u64,
    /// Said to be committed, until when it is not.
    unflushed: VecDeque<(Duration, Batch)>,
}

type Batch = Vec<(TransferId, Vec<Change>)>;

impl SimulatedState {
    /// An empty one.
    pub fn new(trace: &Trace, seed: u64) -> Self {
        Self {
            trace: trace.clone(),
            witness: None,
            kept: MemoryFactory::default(),
            shared: Arc::new(Mutex::new(Shared {
                dice: fastrand::Rng::with_seed(seed),
                rules: StoreRules::default(),
                log: Vec::new(),
                failures: 0,
                unflushed: VecDeque::new(),
            })),
        }
    }

    /// Shows whatever is committed at that moment.
    #[must_use]
    pub fn witnessed(mut self, by: impl Fn(&Committed) + Send + Sync + 'static) -> Self {
        self.witness = Some(Arc::new(by));
        self
    }

    /// How often a commit failed.
    pub fn failures(&self) -> u64 {
        lock(&self.shared).failures
    }

    /// Opens it, for one process.
    pub fn open(&self) -> Arc<dyn Store> {
        Arc::new(SimulatedStore {
            trace: self.trace.clone(),
            witness: self.witness.clone(),
            inner: self.kept.open(),
            shared: Arc::clone(&self.shared),
        })
    }

    /// What is in it, for those who look from outside.
    pub fn look(&self) -> Arc<dyn Store> {
        self.kept.open()
    }

    /// Changes what goes wrong from now on.
    pub fn rule(&self, change: impl FnOnce(&mut StoreRules)) {
        change(&mut lock(&self.shared).rules);
    }

    /// The process that had it open is dead.
    pub fn crash(&self) {
        lock(&self.shared).unflushed.clear();
    }

    /// All that was ever committed, in order.
    pub fn log(&self) -> Vec<Committed> {
        lock(&self.shared).log.clone()
    }
}

struct SimulatedStore {
    trace: Trace,
    witness: Option<Witness>,
    inner: Arc<dyn Store>,
    shared: Arc<Mutex<Shared>>,
}

impl SimulatedStore {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    fn rules(&self) -> StoreRules {
        self.shared().rules
    }

    /// A read, or one half of a commit: the disk, and the way to it.
    async fn takes_time(&self) {
        let micros = self.shared().dice.u64(0..4000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    async fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.inner.commit(batch.clone()).await?;
        for (id, changes) in batch {
            let at = self.trace.note(format_args!("store: {id} {changes:?}"));
            let parts = self.inner.parts(id).await?;
            let Some(record) = self.inner.get(id).await? else {
                continue;
            };
            let committed = Committed {
                at,
                id,
                changes,
                record,
                parts,
            };
            if let Some(witness) = &self.witness {
                witness(&committed);
            }
            self.shared().log.push(committed);
        }
        Ok(())
    }

    async fn flush(&self, upto: Duration) -> Result<(), StoreError> {
        loop {
            let due = {
                let mut shared = self.shared();
                let due = shared.unflushed.front().is_some_and(|(at, _)| *at <= upto);
                if due {
                    shared.unflushed.pop_front()
                } else {
                    None
                }
            };
            match due {
                Some((_, batch)) => self.apply(batch).await?,
                None => return Ok(()),
            }
        }
    }

    fn broken(&self) -> StoreError {
        self.shared().failures += 1;
        self.trace.note(format_args!("store: fails"));
        StoreError::Failed("the disk below it failed".into())
    }
}

#[async_trait]
impl Store for SimulatedStore {
    async fn create_many(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, StoreError> {
        self.takes_time().await;
        if self.rules().drops_submits {
            let made = new
                .into_iter()
                .enumerate()
                .map(|(n, new)| Created::Known(Record::new(TransferId::new(1000 + n as u64), new)));
            return Ok(made.collect());
        }
        let created = self.inner.create_many(new).await?;
        for created in &created {
            if let Created::New(record) = created {
                let at = self.trace.note(format_args!("store: {} is new", record.id));
                self.shared().log.push(Committed {
                    at,
                    id: record.id,
                    changes: Vec::new(),
                    record: record.clone(),
                    parts: Vec::new(),
                });
            }
        }
        self.takes_time().await;
        Ok(created)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let now = self.trace.elapsed();
        if self.rules().lies {
            let unknown = async |id: &TransferId| matches!(self.inner.get(*id).await, Ok(None));
            for (id, _) in &batch {
                if unknown(id).await {
                    return Err(StoreError::Unknown(*id));
                }
            }
            self.flush(now).await?;
            let later = now + Duration::from_secs(3);
            self.shared().unflushed.push_back((later, batch));
            return Ok(());
        }
        self.takes_time().await;
        let (fails, done) = {
            let mut shared = self.shared();
            let often = shared.rules.failing_commits;
            let fails = often > 0 && shared.dice.u64(0..1000) < often;
            (fails, shared.dice.bool())
        };
        if fails && !done {
            return Err(self.broken());
        }
        self.apply(batch).await?;
        if fails {
            return Err(self.broken());
        }
        self.takes_time().await;
        Ok(())
    }

    async fn next(&self, after: TransferId, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.takes_time().await;
        if self.rules().hides_unfinished {
            return Ok(Vec::new());
        }
        self.inner.next(after, limit).await
    }

    async fn next_of(
        &self,
        priority: Priority,
        after: TransferId,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        // Nearly always nothing, which an index tells at once.
        if priority == Priority::Normal {
            self.takes_time().await;
        }
        if self.rules().hides_unfinished {
            return Ok(Vec::new());
        }
        self.inner.next_of(priority, after, limit).await
    }

    async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.takes_time().await;
        self.inner.get(id).await
    }

    async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError> {
        self.takes_time().await;
        let mut parts = self.inner.parts(id).await?;
        if self.rules().forgets_parts && !parts.is_empty() {
            parts.remove(0);
        }
        Ok(parts)
    }

    async fn find(&self, query: Query) -> Result<Page, StoreError> {
        self.takes_time().await;
        self.inner.find(query).await
    }

    async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, StoreError> {
        self.takes_time().await;
        let mut changes = self.inner.changes_of(after, limit, filter).await?;
        if self.rules().hides_ends {
            changes.changed.retain(|changed| match changed {
                Changed::Transfer(record) => !record.phase.is_final(),
                _ => true,
            });
        }
        Ok(changes)
    }

    async fn ended(&self, after: u64, limit: usize) -> Result<Ended, StoreError> {
        self.takes_time().await;
        self.inner.ended(after, limit).await
    }

    async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, StoreError> {
        self.takes_time().await;
        self.trace.note(format_args!("store: remove {ids:?}"));
        self.inner.remove(ids).await
    }

    async fn note(&self, id: TransferId, incident: Incident) -> Result<(), StoreError> {
        let error = &incident.error;
        self.trace
            .note(format_args!("note: {id} {}: {}", error.code, error.message));
        self.inner.note(id, incident).await
    }

    async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, StoreError> {
        self.inner.incidents(id).await
    }

    async fn create_group(&self, new: NewGroup) -> Result<GroupRecord, StoreError> {
        self.inner.create_group(new).await
    }

    async fn record_page(
        &self,
        group: GroupId,
        page: GroupPage,
    ) -> Result<Option<Vec<Created>>, StoreError> {
        self.inner.record_page(group, page).await
    }

    async fn change_group(
        &self,
        group: GroupId,
        change: GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, StoreError> {
        self.inner.change_group(group, change, at).await
    }

    async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupRecord>, StoreError> {
        self.inner.groups(query).await
    }

    async fn sum_group(&self, group: GroupId) -> Result<GroupSums, StoreError> {
        self.inner.sum_group(group).await
    }

    async fn unfinished_of_group(&self, group: GroupId, most: usize) -> Result<usize, StoreError> {
        self.inner.unfinished_of_group(group, most).await
    }

    async fn not_listed(
        &self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, StoreError> {
        self.inner.not_listed(group, skipped, after, limit).await
    }

    async fn remove_group(&self, group: GroupId) -> Result<bool, StoreError> {
        self.inner.remove_group(group).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.flush(Duration::MAX).await?;
        self.inner.close().await
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
