//! A crash before and after every single store write of a transfer, and what
//! the next run makes of it. T15, T25, T26, T27, T30, T34.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::{
    Change, ChangeFilter, Changes, Connection, ConnectionSource, Connector, Created, Cursor,
    Direction, Ended, GroupChange, GroupId, GroupPage, GroupQuery, GroupRecord, GroupSums,
    Incident, NewGroup, NewTransfer, NotListed, ObjectAddress, Page, PartRow, Phase, Query, Record,
    Spec, State, Store, StoreError, Timestamp, TransferId, TransferOptions,
};
use towline_engine::{Config, Engine, Snapshot, inspect_source};
use towline_s3::{Credentials, S3Connector, StaticCredentials};
use towline_testkit::store_contract::{MemoryFactory, StoreFactory};
use towline_testserver::{Operation, TestServer};

const BUCKET: &str = "bucket";
const KEY: &str = "some/key";
/// Three parts.
const SIZE: usize = 12 << 20;

/// A store that stops being there at one of its writes, as a killed process does.
struct CrashingStore {
    inner: Arc<dyn Store>,
    /// Writes that still succeed.
    left: AtomicI64,
    /// The last write is durable, only its answer is lost.
    applied: bool,
}

impl CrashingStore {
    fn dead() -> StoreError {
        StoreError::Failed("killed".into())
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.left.load(SeqCst) < 0 {
            Err(Self::dead())
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for CrashingStore {
    async fn create_many(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, StoreError> {
        self.inner.create_many(new).await
    }

    async fn commit(&self, batch: Vec<(TransferId, Vec<Change>)>) -> Result<(), StoreError> {
        self.alive()?;
        if self.left.fetch_sub(1, SeqCst) > 0 {
            return self.inner.commit(batch).await;
        }
        if self.applied {
            self.inner.commit(batch).await?;
        }
        Err(Self::dead())
    }

    async fn next(&self, after: TransferId, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.alive()?;
        self.inner.next(after, limit).await
    }

    async fn get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.inner.get(id).await
    }

    async fn parts(&self, id: TransferId) -> Result<Vec<PartRow>, StoreError> {
        self.inner.parts(id).await
    }

    async fn find(&self, query: Query) -> Result<Page, StoreError> {
        self.inner.find(query).await
    }

    async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<Changes, StoreError> {
        self.inner.changes_of(after, limit, filter).await
    }

    async fn ended(&self, after: u64, limit: usize) -> Result<Ended, StoreError> {
        self.inner.ended(after, limit).await
    }

    async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, StoreError> {
        self.inner.remove(ids).await
    }

    async fn note(&self, id: TransferId, incident: Incident) -> Result<(), StoreError> {
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
        Ok(())
    }
}

struct Scene {
    server: TestServer,
    dir: tempfile::TempDir,
    connector: Arc<S3Connector>,
    kept: MemoryFactory,
}

impl Scene {
    async fn start() -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        let connector = S3Connector::new();
        let credentials = StaticCredentials(Credentials::new("test", "testsecret"));
        connector.register("test", Arc::new(credentials));
        let dir = tempfile::tempdir().unwrap();
        let kept = MemoryFactory::default();
        Self {
            server,
            dir,
            connector: Arc::new(connector),
            kept,
        }
    }

    /// What survives, opened anew.
    fn store(&self) -> Arc<dyn Store> {
        self.kept.open()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn connection(&self) -> Connection {
        Connection {
            source: ConnectionSource::Registered("test".into()),
            endpoint: Some(self.server.endpoint()),
            region: Some("us-east-1".into()),
            ..Connection::default()
        }
    }

    fn new_transfer(&self, direction: Direction, path: &Path) -> NewTransfer {
        let upload = direction == Direction::Upload;
        NewTransfer {
            source: upload.then(|| inspect_source(path).unwrap()),
            spec: Spec {
                direction,
                connection: self.connection(),
                object: ObjectAddress::new(
                    BUCKET.to_owned().try_into().unwrap(),
                    KEY.to_owned().try_into().unwrap(),
                ),
                path: path.to_owned(),
                options: TransferOptions::default(),
                token: None,
                group: None,
            },
            created_at: Timestamp::from_millis(1),
        }
    }

    async fn engine(&self, store: Arc<dyn Store>) -> Engine {
        let connector: Arc<dyn Connector> = self.connector.clone();
        Engine::start(store, connector, Config::default())
            .await
            .unwrap()
    }

    /// Runs a transfer until the store dies at its `writes`-th write; `false`
    /// when it was done before that.
    async fn run_and_crash(&self, new: NewTransfer, writes: i64, applied: bool) -> bool {
        let store = Arc::new(CrashingStore {
            inner: self.store(),
            left: writes.into(),
            applied,
        });
        let engine = self.engine(store.clone()).await;
        let id = engine.submit(vec![new]).await.unwrap()[0].record().id;
        loop {
            let now = self.store().get(id).await.unwrap().unwrap();
            if store.left.load(SeqCst) < 0 {
                // What a killed process had under way ends with it.
                engine.close().await.unwrap();
                return true;
            }
            if now.phase.is_final() {
                engine.close().await.unwrap();
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Opens the store again and waits for the transfer's end.
    async fn finish(&self) -> Snapshot {
        let id = self.store().find(Query::default()).await.unwrap().transfers[0].id;
        let engine = self.engine(self.store()).await;
        let mut watch = engine.watch(id).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let now = watch.now();
                if now.status.state.is_final() {
                    return now;
                }
                if watch.next().await.is_none() {
                    return watch.now();
                }
            }
        });
        let end = end.await.expect("it ends");
        engine.close().await.unwrap();
        end
    }

    fn temporary_files(&self) -> usize {
        let entries = std::fs::read_dir(self.dir.path()).unwrap().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
            .count()
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 249) as u8 ^ (i >> 16) as u8)
        .collect()
}

/// Calls `check` for a crash before and after each write, until one run
/// needs no further write.
async fn at_every_write<F: Future<Output = bool>>(check: impl Fn(i64, bool) -> F) -> i64 {
    for write in 0.. {
        let before = check(write, false).await;
        let after = check(write, true).await;
        if !before && !after {
            return write;
        }
        assert!(
            write < 200,
            "a transfer of three parts needs so many writes"
        );
    }
    0
}

async fn upload_crashed_at(size: usize, write: i64, applied: bool) -> bool {
    let scene = Scene::start().await;
    let path = scene.path("source");
    std::fs::write(&path, content(size)).unwrap();
    let new = scene.new_transfer(Direction::Upload, &path);
    let crashed = scene.run_and_crash(new, write, applied).await;
    let landed = scene.server.history().requests();
    let end = scene.finish().await;
    assert_eq!(
        end.status.state,
        State::Completed,
        "write {write}: {:?}",
        end.record.error
    );
    assert_eq!(
        scene.server.object_bytes(BUCKET, KEY).unwrap(),
        content(size),
        "write {write}"
    );
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0, "write {write}");
    assert_eq!(
        scene.server.versions(BUCKET, KEY).len(),
        1,
        "write {write}: made twice"
    );
    assert_eq!(end.record.generation, 1, "write {write}");
    // What S3 had confirmed before the crash is not sent a second time.
    for request in landed
        .iter()
        .filter(|r| r.operation == Operation::UploadPart && r.completed)
    {
        let part = request.part_number.unwrap();
        let times = scene.server.history().times_part_sent(KEY, part);
        assert_eq!(times, 1, "write {write}: part {part} was sent again");
    }
    crashed
}

#[tokio::test(flavor = "multi_thread")]
async fn t25_t27_t30_an_upload_crashed_at_any_write_completes_without_sending_parts_again() {
    let writes = at_every_write(|write, applied| upload_crashed_at(SIZE, write, applied)).await;
    assert!(writes >= 5, "only {writes} writes were crashed at");
}

#[tokio::test(flavor = "multi_thread")]
async fn t25_t27_a_single_put_crashed_at_any_write_completes_and_is_made_once() {
    let writes = at_every_write(|write, applied| upload_crashed_at(100, write, applied)).await;
    assert!(writes >= 2, "only {writes} writes were crashed at");
}

async fn download_crashed_at(size: usize, write: i64, applied: bool) -> bool {
    let scene = Scene::start().await;
    let source = scene.path("source");
    std::fs::write(&source, content(size)).unwrap();
    scene
        .run_and_crash(
            scene.new_transfer(Direction::Upload, &source),
            i64::MAX,
            true,
        )
        .await;
    let upload = scene
        .store()
        .find(Query::default())
        .await
        .unwrap()
        .transfers[0]
        .id;
    scene.store().remove(vec![upload]).await.unwrap();
    scene.server.history().clear();

    let target = scene.path("target");
    std::fs::write(&target, b"what stood there before").unwrap();
    let new = scene.new_transfer(Direction::Download, &target);
    let crashed = scene.run_and_crash(new, write, applied).await;
    let record = scene
        .store()
        .find(Query::default())
        .await
        .unwrap()
        .transfers
        .remove(0);
    let kept = scene.store().parts(record.id).await.unwrap();
    let shown = std::fs::read(&target).unwrap();
    assert!(
        shown == content(size) || shown == b"what stood there before",
        "write {write}: torn"
    );
    scene.server.history().clear();

    let end = scene.finish().await;
    assert_eq!(
        end.status.state,
        State::Completed,
        "write {write}: {:?}",
        end.record.error
    );
    assert_eq!(
        std::fs::read(&target).unwrap(),
        content(size),
        "write {write}"
    );
    assert_eq!(scene.temporary_files(), 0, "write {write}");
    assert_eq!(end.record.generation, 1, "write {write}");
    // Recorded ranges are not fetched again, and what is asked for is bound to
    // the object that the download began with.
    let plan = end.record.plan.unwrap();
    let requests = scene.server.history().requests();
    for request in requests
        .iter()
        .filter(|r| r.operation == Operation::GetObject)
    {
        let range = request.range.clone().unwrap();
        for part in &kept {
            let bytes = plan.range(part.number);
            let recorded = format!("bytes={}-{}", bytes.start, bytes.end - 1);
            assert_ne!(
                range, recorded,
                "write {write}: a recorded part was fetched again"
            );
        }
    }
    if record.phase.is_final() || kept.len() as u32 == plan.parts() {
        let gets = scene.server.history().count(Operation::GetObject);
        assert_eq!(gets, 0, "write {write}: everything was there already");
    }
    crashed
}

#[tokio::test(flavor = "multi_thread")]
async fn t15_t26_t34_a_download_crashed_at_any_write_fetches_only_what_is_missing() {
    let writes = at_every_write(|write, applied| download_crashed_at(SIZE, write, applied)).await;
    assert!(writes >= 5, "only {writes} writes were crashed at");
}

#[tokio::test(flavor = "multi_thread")]
async fn t26_an_empty_download_crashed_at_any_write_makes_an_empty_file() {
    at_every_write(|write, applied| download_crashed_at(0, write, applied)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_its_store_has_failed_an_engine_tells_nobody_how_transfers_are() {
    let scene = Scene::start().await;
    let path = scene.path("source");
    std::fs::write(&path, content(1000)).unwrap();
    let store = Arc::new(CrashingStore {
        inner: scene.store(),
        left: 0.into(),
        applied: false,
    });
    let engine = scene.engine(store).await;
    let new = scene.new_transfer(Direction::Upload, &path);
    let record = engine.submit(vec![new]).await.unwrap()[0].record().clone();
    let failed = tokio::time::timeout(Duration::from_secs(60), async {
        while engine.under_way().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    failed.await.expect("it noticed that its store failed");
    let id = record.id;
    assert!(engine.look(vec![record]).await.is_err());
    let pause = engine.command(id, towline_core::Command::Pause);
    let answer = tokio::time::timeout(Duration::from_secs(60), pause).await;
    assert!(answer.expect("an answer").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn t27_a_paused_transfer_stays_paused_after_reopening() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(1 << 20);
    let path = scene.path("source");
    std::fs::write(&path, content(SIZE)).unwrap();
    let engine = scene.engine(scene.store()).await;
    let new = scene.new_transfer(Direction::Upload, &path);
    let id = engine.submit(vec![new]).await.unwrap()[0].record().id;
    engine
        .command(id, towline_core::Command::Pause)
        .await
        .unwrap();
    engine.close().await.unwrap();
    let engine = scene.engine(scene.store()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        scene.store().get(id).await.unwrap().unwrap().phase,
        Phase::Paused
    );
    scene.server.faults().bandwidth(0);
    engine
        .command(id, towline_core::Command::Resume)
        .await
        .unwrap();
    engine.close().await.unwrap();
    assert_eq!(scene.finish().await.status.state, State::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_submitted_at_once_is_carried_though_the_rest_is_left_out() {
    for round in 0..200 {
        let scene = Scene::start().await;
        let path = scene.path("source");
        std::fs::write(&path, content(10)).unwrap();
        let mut config = Config::default();
        config.recovery = towline_engine::Recovery::Named;
        let connector: Arc<dyn Connector> = scene.connector.clone();
        let old = scene.new_transfer(Direction::Upload, &path);
        let left_out = scene.store().create_many(vec![old]).await.unwrap();
        let engine = Engine::start(scene.store(), connector, config)
            .await
            .unwrap();
        let new = scene.new_transfer(Direction::Upload, &path);
        let id = engine.submit(vec![new]).await.unwrap()[0].record().id;
        let mut watch = engine.watch(id).await.unwrap();
        let end = async {
            while !watch.now().status.state.is_final() {
                watch.next().await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), end).await;
        assert!(ended.is_ok(), "round {round}: it was never begun");
        engine.close().await.unwrap();
        let left_out = left_out[0].record().id;
        assert_eq!(
            scene.store().get(left_out).await.unwrap().unwrap().phase,
            Phase::Queued
        );
    }
}
