//! The one thread that writes. It takes all requests that wait, carries out
//! each inside a savepoint of one transaction, commits once and answers all:
//! callers at the same time share a sync, and an idle store syncs at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, oneshot};
use towline_core::{
    Change, Created, GroupChange, GroupId, GroupPage, GroupRecord, Incident, NewGroup, NewTransfer,
    Spec, StoreError, Timestamp, TransferId,
};

use crate::intern::Interner;
use crate::lock::OwnerLock;
use crate::readers::Readers;
use crate::recent::Recent;
use crate::rows::Parsed;
use crate::tombstones::Tombstones;
use crate::trouble::{Stopped, Trouble};

/// About how many rows one transaction writes at most, so that no caller waits
/// long for others.
const ROWS_PER_COMMIT: usize = 4096;

/// What is removed with a group may be so much.
const NOT_LISTED_KEPT: usize = 2 * towline_core::NOT_LISTED_KEPT as usize;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked for.
pub(crate) enum Request {
    Create(Vec<NewTransfer>, Reply<Vec<Created>>),
    Commit(Vec<(TransferId, Vec<Change>)>, Reply<()>),
    Remove(Vec<TransferId>, Reply<usize>),
    Note(TransferId, Box<Incident>, Reply<()>),
    CreateGroup(NewGroup, Reply<GroupRecord>),
    Page(GroupId, Box<GroupPage>, Reply<Option<Vec<Created>>>),
    ChangeGroup(GroupId, Box<GroupChange>, Timestamp, Reply<GroupRecord>),
    RemoveGroup(GroupId, Reply<bool>),
    Close(Readers, Reply<()>),
}

impl Request {
    /// About how many rows it writes.
    fn rows(&self) -> usize {
        match self {
            Self::Create(new, _) => new.len(),
            Self::Commit(batch, _) => batch.iter().map(|(_, changes)| rows_of(changes)).sum(),
            Self::Remove(ids, _) => ids.len(),
            Self::Note(..) | Self::CreateGroup(..) | Self::ChangeGroup(..) => 1,
            Self::Page(_, page, _) => 1 + page.new.len() + page.not_listed.len(),
            Self::RemoveGroup(..) => NOT_LISTED_KEPT,
            Self::Close(..) => ROWS_PER_COMMIT,
        }
    }
}

fn rows_of(changes: &[Change]) -> usize {
    let parts = |change: &Change| match change {
        Change::Parts(rows) | Change::PartsLost(rows) => rows.len(),
        _ => 0,
    };
    1 + changes.iter().map(parts).sum::<usize>()
}

/// Counts of a store since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) transactions: AtomicU64,
}

/// Answers a request once it is known whether its transaction was committed.
type Finish = Box<dyn FnOnce(Result<(), &Stopped>)>;

/// The state of the writing thread. What each request does is in `work.rs`.
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) parsed: Parsed,
    pub(crate) interner: Interner,
    pub(crate) recent: Recent,
    /// The last number given to a change.
    pub(crate) sequence: i64,
    pub(crate) tombstones: Tombstones,
    /// What changes are applied to does not include the spec.
    pub(crate) no_spec: Arc<Spec>,
    pub(crate) counts: Arc<Counts>,
    /// Why nothing more is written.
    pub(crate) stopped: Option<Stopped>,
    /// Let go after the connection, as the last thing.
    pub(crate) lock: OwnerLock,
}

impl Writer {
    /// Serves until closed, or until nobody can ask any more.
    pub(crate) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut rows = first.rows();
            let mut batch = vec![first];
            while rows < ROWS_PER_COMMIT {
                let Ok(request) = requests.try_recv() else {
                    break;
                };
                rows += request.rows();
                batch.push(request);
            }
            let closing = match batch.pop() {
                Some(Request::Close(readers, reply)) => Some((readers, reply)),
                Some(request) => {
                    batch.push(request);
                    None
                }
                None => None,
            };
            self.serve(batch);
            if let Some((readers, reply)) = closing {
                // Whoever came too late finds the channel gone.
                drop(requests);
                drop(readers);
                let _ = reply.send(self.close());
                return;
            }
        }
    }

    /// Carries out a batch in one transaction, and answers.
    fn serve(&mut self, batch: Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        self.counts
            .requests
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let durable = batch
            .iter()
            .any(|request| !matches!(request, Request::Note(..)));
        let mut finish: Vec<Finish> = Vec::with_capacity(batch.len());
        if let Err(trouble) = self.begin(durable) {
            self.stop(&trouble);
        }
        for request in batch {
            finish.push(match request {
                Request::Create(new, reply) => self.perform(reply, |w| w.create(new)),
                Request::Commit(batch, reply) => self.perform(reply, |w| w.commit(&batch)),
                Request::Remove(ids, reply) => self.perform(reply, |w| w.remove(&ids)),
                Request::Note(id, incident, reply) => {
                    self.perform(reply, |w| w.note(id, &incident))
                }
                Request::CreateGroup(new, reply) => self.perform(reply, |w| w.create_group(new)),
                Request::Page(group, page, reply) => {
                    self.perform(reply, |w| w.record_page(group, *page))
                }
                Request::ChangeGroup(group, change, at, reply) => {
                    self.perform(reply, |w| w.change_group(group, &change, at))
                }
                Request::RemoveGroup(group, reply) => {
                    self.perform(reply, |w| w.remove_group(group))
                }
                Request::Close(..) => continue,
            });
        }
        if self.stopped.is_none()
            && let Err(trouble) = self.end()
        {
            self.stop(&trouble);
        }
        if self.stopped.is_some() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
        let fate = self.stopped.as_ref().map_or(Ok(()), Err);
        finish.into_iter().for_each(|finish| finish(fate));
    }

    fn begin(&mut self, durable: bool) -> Result<(), Trouble> {
        if self.stopped.is_some() {
            return Ok(());
        }
        // What may be lost in a crash does not wait for the disk; the next
        // transaction that must survive one syncs the whole log.
        let synchronous = if durable { "FULL" } else { "NORMAL" };
        self.db.pragma_update(None, "synchronous", synchronous)?;
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Trouble> {
        let mut keep = self.db.prepare_cached("UPDATE meta SET sequence = ?1")?;
        keep.execute([self.sequence])?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Carries out one request wholly or not at all.
    fn perform<T: 'static>(
        &mut self,
        reply: Reply<T>,
        work: impl FnOnce(&mut Self) -> Result<T, Trouble>,
    ) -> Finish {
        let result = self.within_savepoint(work);
        let path = Arc::clone(&self.path);
        Box::new(move |fate| {
            let _ = reply.send(match (result, fate) {
                (Some(Ok(value)), Ok(())) => Ok(value),
                (Some(Err(trouble)), _) => Err(trouble.into_store_error(&path)),
                (_, Err(stopped)) => Err(stopped.clone().into_store_error(&path)),
                (None, Ok(())) => Err(Stopped::new("it was stopped").into_store_error(&path)),
            });
        })
    }

    /// `None` once the store has stopped.
    fn within_savepoint<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Trouble>,
    ) -> Option<Result<T, Trouble>> {
        if self.stopped.is_some() {
            return None;
        }
        let result = self.statement("SAVEPOINT request").and_then(|()| {
            let done = work(self)?;
            self.interner.count_uses(&self.db)?;
            self.statement("RELEASE request")?;
            Ok(done)
        });
        if let Err(trouble) = &result {
            self.interner.forget();
            self.recent.forget();
            self.tombstones.count_again();
            if trouble.stops_the_store() {
                self.stop(trouble);
            } else if let Err(trouble) = self
                .statement("ROLLBACK TO request")
                .and_then(|()| self.statement("RELEASE request"))
            {
                self.stop(&trouble);
            }
        }
        Some(result)
    }

    fn statement(&self, sql: &str) -> Result<(), Trouble> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// After a failed write it is not known what the disk holds, and trying
    /// again could seem to succeed: nothing more is written by this process.
    fn stop(&mut self, trouble: &Trouble) {
        if self.stopped.is_none() {
            self.stopped = Some(Stopped::by(trouble));
        }
    }

    /// Moves the log into the database and ends.
    fn close(self) -> Result<(), StoreError> {
        if let Some(stopped) = self.stopped {
            return Err(stopped.into_store_error(&self.path));
        }
        let path = Arc::clone(&self.path);
        let closed = || -> Result<(), Trouble> {
            towline_core::failpoint!("checkpoint.begins");
            self.db
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            towline_core::failpoint!("checkpoint.ended");
            self.db
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            self.db.close().map_err(|(_, error)| error)?;
            drop(self.lock);
            Ok(())
        };
        closed().map_err(|trouble| trouble.into_store_error(&path))
    }
}
