//! The two ways to hold a store: as its owner, and as a reader.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use towline_core::{
    BucketName, Change, ChangeFilter, Changes, Connection, Created, Cursor, Direction, Ended,
    GroupChange, GroupId, GroupPage, GroupQuery, GroupRecord, GroupSums, Incident, NewGroup,
    NewTransfer, NotListed, ObjectAddress, ObjectKey, Page, PartRow, Priority, Query, Record, Spec,
    Store, StoreError, Timestamp, TransferId, TransferOptions,
};

use crate::intern::Interner;
use crate::lock::OwnerLock;
use crate::open::{self, DATABASE, LOCK};
use crate::place;
use crate::reader::Session;
use crate::readers::{Answer, Readers};
use crate::recent::Recent;
use crate::rows::Parsed;
use crate::tombstones::{self, Tombstones};
use crate::trouble::{Stopped, Trouble};
use crate::writer::{Counts, Request, Writer};

/// How many reads run at once.
const READERS: usize = 2;

/// How many requests wait for the writer before callers wait.
const REQUESTS: usize = 1024;

/// A store in a directory, and its one owner.
///
/// It works under any async runtime. Dropping it without [`Store::close`]
/// waits for the writes that were accepted, as a blocking call, and leaves the
/// log to the next owner.
#[derive(Debug)]
pub struct SqliteStore {
    path: Arc<PathBuf>,
    requests: Option<mpsc::Sender<Request>>,
    readers: Mutex<Option<Readers>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
    counts: Arc<Counts>,
}

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls that write.
    pub requests: u64,
    /// Transactions that they shared.
    pub transactions: u64,
}

impl SqliteStore {
    /// Opens the store in `dir` as its owner, or creates one where there is
    /// none. Blocks: it reads and syncs files, and after an unclean end checks
    /// the whole database (about 1 s for a million transfers).
    ///
    /// Fails with [`StoreError::Owned`] while another process or another
    /// `SqliteStore` has it; with [`StoreError::Unusable`] when `dir` belongs
    /// to somebody else, may be written by everybody or is on a network; with
    /// [`StoreError::Corrupt`], [`StoreError::Foreign`] or
    /// [`StoreError::Newer`] for a file that is then left as it is.
    ///
    /// A [`SqliteReader`] of the same directory must not be open in this
    /// process meanwhile: checking the file would let go of its locks.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, Tombstones::keeping(tombstones::KEPT), |_| Ok(()))
    }

    /// Opens with a connection that a test may have made worse.
    fn open_with(
        dir: &Path,
        tombstones: Tombstones,
        tune: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        place::prepare(dir)?;
        let path = Arc::new(dir.join(DATABASE));
        let lock = OwnerLock::take(&dir.join(LOCK), &path)?;
        let db = open::owner(&path)?;
        tune(&db).map_err(|error| Trouble::Sql(error).into_store_error(&path))?;
        let sequence = db
            .query_row("SELECT sequence FROM meta", [], |row| row.get(0))
            .map_err(|error| Trouble::Sql(error).into_store_error(&path))?;
        let readers = Readers::start(&path, READERS)?;
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            db,
            path: Arc::clone(&path),
            parsed: Parsed::default(),
            interner: Interner::default(),
            recent: Recent::default(),
            sequence,
            tombstones,
            no_spec: Arc::new(no_spec()),
            counts: Arc::clone(&counts),
            stopped: None,
            lock,
        };
        let (requests, waiting) = mpsc::channel(REQUESTS);
        let thread = std::thread::Builder::new().name("towline-write".into());
        let thread = thread
            .spawn(move || writer.run(waiting))
            .map_err(|error| StoreError::Failed(Box::new(error)))?;
        Ok(Self {
            path,
            requests: Some(requests),
            readers: Mutex::new(Some(readers)),
            thread: Mutex::new(Some(thread)),
            closed: AtomicBool::new(false),
            counts,
        })
    }

    /// The database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has done since it was opened.
    pub fn stats(&self) -> Stats {
        Stats {
            requests: self.counts.requests.load(Ordering::Relaxed),
            transactions: self.counts.transactions.load(Ordering::Relaxed),
        }
    }

    async fn write<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.ask(request).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let sent = requests.send(request(reply)).await;
        let answer = match sent {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        answer.unwrap_or_else(|| {
            Err(if self.closed.load(Ordering::Acquire) {
                StoreError::Closed
            } else {
                Stopped::new("its writing thread ended").into_store_error(&self.path)
            })
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Session) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = match &*guard(&self.readers) {
            Some(readers) => readers.submit(read),
            None => return Err(StoreError::Closed),
        };
        answer.get().await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_many(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, StoreError> {
        self.write(|reply| Request::Create(new, reply)).await
    }

    async fn commit(&self, batch: Vec<(TransferId, Vec<Change>)>) -> Result<(), StoreError> {
        self.write(|reply| Request::Commit(batch, reply)).await
    }

    async fn next(&self, after: TransferId, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(move |session| session.next(after, limit)).await
    }

    async fn next_of(
        &self,
        priority: Priority,
        after: TransferId,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.read(move |session| session.next_of(priority, after, limit))
            .await
    }

    async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.read(move |session| session.get(id)).await
    }

    async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError> {
        self.read(move |session| session.parts(id)).await
    }

    async fn find(&self, query: Query) -> Result<Page, StoreError> {
        self.read(move |session| session.find(&query)).await
    }

    async fn find_each(&self, queries: Vec<Query>) -> Result<Vec<Page>, StoreError> {
        self.read(move |session| session.find_each(&queries)).await
    }

    async fn count(&self) -> Result<towline_core::Counts, StoreError> {
        self.read(Session::count).await
    }

    async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, StoreError> {
        self.read(move |session| session.changes(after, limit, filter))
            .await
    }

    async fn ended(&self, after: u64, limit: usize) -> Result<Ended, StoreError> {
        self.read(move |session| session.ended(after, limit)).await
    }

    async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, StoreError> {
        self.write(|reply| Request::Remove(ids, reply)).await
    }

    async fn note(&self, id: TransferId, incident: Incident) -> Result<(), StoreError> {
        self.write(|reply| Request::Note(id, Box::new(incident), reply))
            .await
    }

    async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, StoreError> {
        self.read(move |session| session.incidents(id)).await
    }

    async fn create_group(&self, new: NewGroup) -> Result<GroupRecord, StoreError> {
        self.write(|reply| Request::CreateGroup(new, reply)).await
    }

    async fn record_page(
        &self,
        group: GroupId,
        page: GroupPage,
    ) -> Result<Option<Vec<Created>>, StoreError> {
        self.write(|reply| Request::Page(group, Box::new(page), reply))
            .await
    }

    async fn change_group(
        &self,
        group: GroupId,
        change: GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, StoreError> {
        self.write(|reply| Request::ChangeGroup(group, Box::new(change), at, reply))
            .await
    }

    async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupRecord>, StoreError> {
        self.read(move |session| session.groups(&query)).await
    }

    async fn sum_group(&self, group: GroupId) -> Result<GroupSums, StoreError> {
        self.read(move |session| session.sum_group(group)).await
    }

    async fn unfinished_of_group(&self, group: GroupId, most: usize) -> Result<usize, StoreError> {
        self.read(move |session| session.unfinished_of_group(group, most))
            .await
    }

    async fn not_listed(
        &self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, StoreError> {
        self.read(move |session| session.not_listed(group, skipped, after, limit))
            .await
    }

    async fn remove_group(&self, group: GroupId) -> Result<bool, StoreError> {
        self.write(|reply| Request::RemoveGroup(group, reply)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Closed);
        }
        let Some(readers) = guard(&self.readers).take() else {
            return Err(StoreError::Closed);
        };
        let closed = self.ask(|reply| Request::Close(readers, reply)).await;
        if let Some(thread) = guard(&self.thread).take() {
            // Its answer was the last thing it did.
            let _ = thread.join();
        }
        closed
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.requests = None;
        drop(guard(&self.readers).take());
        if let Some(thread) = guard(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

/// Reads a store without owning it.
///
/// Whoever owns the store goes on undisturbed. Nothing is created but, where
/// the directory allows it, the `-wal` and `-shm` files that SQLite reads
/// through.
#[derive(Debug)]
pub struct SqliteReader {
    readers: Readers,
}

impl SqliteReader {
    /// Opens the store in `dir` for reading; blocks shortly.
    ///
    /// Fails with [`StoreError::Unusable`] where there is none, and as
    /// [`SqliteStore::open`] does for files that are not a store of ours. In
    /// one process it is opened after the [`SqliteStore`], or without one.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = Arc::new(dir.join(DATABASE));
        if !path.exists() {
            let why = "there is no store".into();
            return Err(StoreError::Unusable {
                path: dir.to_path_buf(),
                why,
            });
        }
        let readers = Readers::start(&path, 1)?;
        Ok(Self { readers })
    }

    /// Whether a process owns the store in `dir` at this moment. Who wants to own it
    /// next opens it, and is told.
    pub fn is_owned(dir: &Path) -> bool {
        crate::lock::is_taken(&dir.join(LOCK))
    }

    /// One transfer, without its parts.
    pub async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.submit(move |session| session.get(id)).get().await
    }

    /// The recorded parts of one transfer, in order of their numbers.
    pub async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError> {
        self.submit(move |session| session.parts(id)).get().await
    }

    /// One page of the transfers that match, oldest first unless asked.
    pub async fn find(&self, query: Query) -> Result<Page, StoreError> {
        self.submit(move |session| session.find(&query)).get().await
    }

    /// The incidents of one transfer, oldest first.
    pub async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, StoreError> {
        self.submit(move |session| session.incidents(id))
            .get()
            .await
    }

    /// The groups that match, see [`Store::groups`]; none in a store of an older
    /// schema.
    pub async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupRecord>, StoreError> {
        self.submit(move |session| session.groups(&query))
            .get()
            .await
    }

    /// The transfers of a group, added up.
    pub async fn sum_group(&self, group: GroupId) -> Result<GroupSums, StoreError> {
        self.submit(move |session| session.sum_group(group))
            .get()
            .await
    }

    /// What a group has no transfers for, see [`Store::not_listed`].
    pub async fn not_listed(
        &self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, StoreError> {
        self.submit(move |session| session.not_listed(group, skipped, after, limit))
            .get()
            .await
    }

    fn submit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Session) -> Result<T, Trouble> + Send + 'static,
    ) -> Answer<T> {
        self.readers.submit(read)
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stands where a record needs a spec and none is looked at.
fn no_spec() -> Spec {
    Spec {
        direction: Direction::Upload,
        connection: Connection::default(),
        object: ObjectAddress::new(
            BucketName::new("none").expect("four letters are a bucket name"),
            ObjectKey::new("none").expect("four letters are a key"),
        ),
        path: PathBuf::new(),
        options: TransferOptions::default(),
        token: None,
        group: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_core::{Fingerprint, NewTransfer, Timestamp};

    fn new(count: usize) -> Vec<NewTransfer> {
        let source = Some(Fingerprint {
            device: 1,
            inode: 2,
            size: 3,
            modified_ns: 4,
            changed_ns: 5,
        });
        let new = NewTransfer {
            spec: no_spec(),
            source,
            created_at: Timestamp::default(),
        };
        vec![new; count]
    }

    #[tokio::test]
    async fn a_full_disk_stops_the_store_and_loses_nothing_that_was_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let full = |db: &rusqlite::Connection| db.pragma_update(None, "max_page_count", 40);
        let tombstones = Tombstones::keeping(tombstones::KEPT);
        let store = SqliteStore::open_with(dir.path(), tombstones, full).unwrap();
        let made = store.create_many(new(10)).await.unwrap();
        let failed = store.create_many(new(10_000)).await;
        assert!(
            matches!(failed, Err(StoreError::NoSpace { .. })),
            "{failed:?}"
        );
        // Also what would fit: after a failed write the disk is not trusted.
        let failed = store.create_many(new(1)).await;
        assert!(
            matches!(failed, Err(StoreError::NoSpace { .. })),
            "{failed:?}"
        );
        assert_eq!(store.next(TransferId::START, 100).await.unwrap().len(), 10);
        assert!(matches!(
            store.close().await,
            Err(StoreError::NoSpace { .. })
        ));

        let store = SqliteStore::open(dir.path()).unwrap();
        let kept = store.next(TransferId::START, 100).await.unwrap();
        assert_eq!(
            kept.iter().collect::<Vec<_>>(),
            made.iter().map(Created::record).collect::<Vec<_>>()
        );
        store.create_many(new(1)).await.unwrap();
    }

    #[tokio::test]
    async fn interned_rows_go_with_the_last_transfer_that_uses_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        let mut other = new(2);
        other[1].spec.options.if_absent = true;
        let made = store.create_many(other).await.unwrap();
        let ended = |at: usize| {
            let canceled = Change::Phase {
                phase: towline_core::Phase::Canceled,
                at: Timestamp::default(),
            };
            (made[at].record().id, vec![canceled])
        };
        store.commit(vec![ended(0), ended(1)]).await.unwrap();
        let rows = |table: &str| {
            let db = open::reader(&store.path).unwrap();
            let count = format!("SELECT count(*) FROM {table}");
            db.query_row(&count, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(
            (rows("options"), rows("buckets"), rows("tombstones")),
            (2, 1, 0)
        );
        store.remove(vec![made[1].record().id]).await.unwrap();
        assert_eq!(
            (rows("options"), rows("buckets"), rows("tombstones")),
            (1, 1, 1)
        );
        store.remove(vec![made[0].record().id]).await.unwrap();
        assert_eq!(
            (rows("options"), rows("buckets"), rows("tombstones")),
            (0, 0, 2)
        );
        // What was forgotten is interned anew.
        let again = store.create_many(new(1)).await.unwrap();
        let id = again[0].record().id;
        assert_eq!(
            store.get(id).await.unwrap().as_ref(),
            Some(again[0].record())
        );
    }
    #[tokio::test]
    async fn the_last_removals_are_known_and_a_cursor_from_before_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            || SqliteStore::open_with(dir.path(), Tombstones::keeping(3), |_| Ok(())).unwrap();
        let mut store = open();
        let begin = store.changes(None, 0).await.unwrap().cursor;
        let made = store.create_many(new(10)).await.unwrap();
        let ids: Vec<TransferId> = made.iter().map(|made| made.record().id).collect();
        let canceled = Change::Phase {
            phase: towline_core::Phase::Canceled,
            at: Timestamp::default(),
        };
        let ended = ids.iter().map(|id| (*id, vec![canceled.clone()]));
        store.commit(ended.collect()).await.unwrap();
        // Each cursor, and who was removed after it.
        let mut cursors = vec![(begin, 0)];
        let removals = [&ids[..2], &ids[2..3], &ids[3..8], &ids[8..9]];
        let mut removed = 0;
        for (number, some) in removals.into_iter().enumerate() {
            if number == 2 {
                drop(store);
                store = open(); // they are counted anew
            }
            assert_eq!(store.remove(some.to_vec()).await.unwrap(), some.len());
            removed += some.len();
            cursors.push((store.changes(None, 0).await.unwrap().cursor, removed));
            for (cursor, before) in &cursors {
                let missed = &ids[*before..removed];
                match store.changes(Some(*cursor), 100).await {
                    Ok(read) => {
                        let gone = read.changed.iter().filter_map(|changed| match changed {
                            towline_core::Changed::Removed(id) => Some(*id),
                            _ => None,
                        });
                        assert_eq!(gone.collect::<Vec<_>>(), missed);
                    }
                    Err(StoreError::UnknownCursor(_)) => {
                        assert!(missed.len() > 3, "these are known: {missed:?}");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        let old = store.changes(Some(begin), 100).await;
        assert!(matches!(old, Err(StoreError::UnknownCursor(_))), "{old:?}");
        let db = open::reader(&store.path).unwrap();
        let count = "SELECT count(*) FROM tombstones";
        let rows: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 4, "three, and the mark");
    }
}
