//! An engine, a simulated store, and files in a directory of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use towline_core::{
    Command, Connection, Created, Direction, NewTransfer, ObjectAddress, Operation, PartSize,
    Phase, Record, Spec, State, Status, Store, Timestamp, TransferId, TransferOptions,
};
use towline_engine::{Config, Engine, inspect_source};
use towline_testkit::simulation::{End, Request, SimulatedS3, SimulatedStores};
use towline_testkit::store_contract::{MemoryFactory, Slow, StoreFactory};

pub(crate) const BUCKET: &str = "bucket";
/// Where copies come from.
pub(crate) const ORIGIN: &str = "origin";
pub(crate) const STORE: &str = "https://store.example";
pub(crate) const OTHER_STORE: &str = "https://other.example";
pub(crate) const MIB: u64 = 1 << 20;

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) struct Scene {
    pub(crate) s3: SimulatedS3,
    pub(crate) other: SimulatedS3,
    stores: Arc<SimulatedStores>,
    config: Config,
    dir: tempfile::TempDir,
    kept: MemoryFactory,
    store: Arc<dyn Store>,
    engine: Engine,
}

/// One transfer of a scene.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) id: TransferId,
    pub(crate) direction: Direction,
    pub(crate) key: String,
    path: PathBuf,
    pub(crate) len: u64,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.requests = Some(6);
        // Bodies are kept in memory: a thread that gives them out bit by bit
        // would hold the clock back.
        config.byte_budget = 1 << 30;
        config.progress_interval = Duration::from_millis(500);
        set(&mut config);
        let (s3, other) = (SimulatedS3::new(), SimulatedS3::new());
        let stores = SimulatedStores::with([(STORE, &s3), (OTHER_STORE, &other)]);
        let kept = MemoryFactory::default();
        let store = kept.open();
        let engine = start(&store, &stores, &config).await;
        Self {
            s3,
            other,
            stores,
            config,
            dir: tempfile::tempdir().unwrap(),
            kept,
            store,
            engine,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Ends the engine and starts another on the same store.
    pub(crate) async fn restart(&mut self) {
        self.engine.close().await.unwrap();
        self.store = self.kept.open();
        self.engine = start(&self.store, &self.stores, &self.config).await;
    }

    pub(crate) async fn upload(&self, key: &str, len: u64) -> Moved {
        self.submit(STORE, Direction::Upload, key, len, |_| ())
            .await
    }

    pub(crate) async fn download(&self, key: &str, len: u64) -> Moved {
        self.submit(STORE, Direction::Download, key, len, |_| ())
            .await
    }

    pub(crate) async fn copy(&self, key: &str, len: u64) -> Moved {
        self.submit(STORE, Direction::Copy, key, len, |_| ()).await
    }

    pub(crate) async fn submit(
        &self,
        store: &str,
        direction: Direction,
        key: &str,
        len: u64,
        set: impl FnOnce(&mut TransferOptions),
    ) -> Moved {
        let (new, moved) = self.prepare(store, direction, key, len, set);
        let created = self.engine.submit(vec![new]).await.unwrap();
        Moved {
            id: created[0].record().id,
            ..moved
        }
    }

    /// One of a group.
    pub(crate) async fn submit_in(
        &self,
        group: &str,
        direction: Direction,
        key: &str,
        len: u64,
    ) -> Moved {
        let (mut new, moved) = self.prepare(STORE, direction, key, len, |_| ());
        new.spec.group = Some(group.to_owned());
        let created = self.engine.submit(vec![new]).await.unwrap();
        let id = created[0].record().id;
        Moved { id, ..moved }
    }

    /// Records an upload, and leaves it to who begins it.
    pub(crate) async fn record_upload(&self, key: &str, len: u64) -> (Moved, Vec<Created>) {
        let (new, moved) = self.prepare(STORE, Direction::Upload, key, len, |_| ());
        let created = self.engine.record(vec![new]).await.unwrap();
        let id = created[0].record().id;
        (Moved { id, ..moved }, created)
    }

    /// A request, and what it is about; its number is not known yet.
    fn prepare(
        &self,
        store: &str,
        direction: Direction,
        key: &str,
        len: u64,
        set: impl FnOnce(&mut TransferOptions),
    ) -> (NewTransfer, Moved) {
        let path = match direction {
            Direction::Copy => format!("s3://{ORIGIN}/{key}").into(),
            Direction::Upload | Direction::Download => self.dir.path().join(key),
        };
        let source = match direction {
            Direction::Copy => {
                self.s3.put(ORIGIN, key, content(key, len));
                None
            }
            Direction::Upload => {
                std::fs::write(&path, content(key, len)).unwrap();
                Some(inspect_source(&path).unwrap())
            }
            Direction::Download => {
                let s3 = if store == STORE {
                    &self.s3
                } else {
                    &self.other
                };
                s3.put(BUCKET, key, content(key, len));
                None
            }
        };
        let mut options = TransferOptions::default();
        options.part_size = Some(PartSize::from_bytes(5 * MIB).unwrap());
        set(&mut options);
        let new = NewTransfer {
            source,
            spec: Spec {
                direction,
                connection: Connection {
                    endpoint: Some(store.into()),
                    ..Connection::default()
                },
                object: ObjectAddress::new(
                    BUCKET.to_owned().try_into().unwrap(),
                    key.to_owned().try_into().unwrap(),
                ),
                path: path.clone(),
                options,
                token: None,
                group: None,
            },
            created_at: Timestamp::from_millis(1),
        };
        let moved = Moved {
            id: TransferId::START,
            direction,
            key: key.to_owned(),
            path,
            len,
        };
        (new, moved)
    }

    /// What is copied is what it is called to be from now on; it was something else.
    pub(crate) fn put_origin(&self, of: &Moved) {
        self.s3.put(ORIGIN, &of.key, content(&of.key, of.len));
    }

    /// Its store takes so long from now on.
    pub(crate) fn be_slow(&self, slow: Slow) {
        self.kept.be_slow(slow);
    }

    pub(crate) async fn command(&self, of: &Moved, command: Command) {
        self.engine.command(of.id, command).await.unwrap();
    }

    pub(crate) async fn record(&self, of: &Moved) -> Record {
        self.store.get(of.id).await.unwrap().unwrap()
    }

    pub(crate) async fn phase(&self, of: &Moved) -> Phase {
        self.record(of).await.phase
    }

    pub(crate) async fn state(&self, of: &Moved) -> State {
        Status::at_rest(self.phase(of).await).state
    }

    /// Waits for something to become true, at most so long.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        limit: Duration,
        mut is_so: impl AsyncFnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let end = self.s3.elapsed() + limit;
            while !is_so().await {
                let now = self.s3.elapsed();
                assert!(now < end, "{caller}: not after {limit:?}: {what}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until a transfer is done, at most so long, and looks at its bytes.
    #[track_caller]
    pub(crate) fn completes<'a>(
        &'a self,
        of: &'a Moved,
        limit: Duration,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let end = self.s3.elapsed() + limit;
            let mut wait = Duration::from_millis(20);
            loop {
                let record = self.record(of).await;
                if record.phase == Phase::Completed {
                    break;
                }
                let fine = !record.phase.is_final() && self.s3.elapsed() < end;
                let (phase, error) = (record.phase, &record.error);
                assert!(fine, "{caller}: {phase:?} {error:?} {:#?}", self.tail());
                tokio::time::sleep(wait).await;
                wait = wait.mul_f64(1.05).min(secs(1));
            }
            self.assert_whole(of, caller);
        }
    }

    fn assert_whole(&self, of: &Moved, caller: &std::panic::Location<'_>) {
        let is = match of.direction {
            Direction::Download => std::fs::read(&of.path).unwrap(),
            Direction::Upload | Direction::Copy => {
                let here = self.s3.object(BUCKET, &of.key);
                let there = here.or_else(|| self.other.object(BUCKET, &of.key));
                there.expect("it is at a store").to_vec()
            }
        };
        assert!(is == content(&of.key, of.len), "{caller}: other bytes");
    }

    /// The last requests, for people who look why a test failed.
    fn tail(&self) -> Vec<Request> {
        let mut all = self.s3.history();
        all.split_off(all.len().saturating_sub(12))
    }

    /// The requests for an object.
    pub(crate) fn requests_of(&self, of: &Moved) -> Vec<Request> {
        let mut all = self.s3.history();
        all.retain(|request| request.key == of.key);
        all
    }

    /// Bytes of content that moved until now.
    pub(crate) fn bytes_moved(&self) -> u64 {
        let all = self.s3.history();
        all.iter().map(|request| request.bytes).sum()
    }

    /// No part that S3 has confirmed was sent, and no range that was fetched
    /// whole was fetched, a second time.
    pub(crate) fn assert_nothing_twice(&self) {
        let all = self.s3.history();
        let moves: Vec<_> = all.iter().filter(|r| moves_content(r)).collect();
        for (place, done) in moves.iter().enumerate() {
            let same = |other: &&&Request| {
                other.key == done.key && other.part == done.part && other.range == done.range
            };
            if done.end == End::Done {
                let again = moves[place + 1..].iter().find(same);
                assert!(again.is_none(), "{done:?} and again {again:?}");
            }
        }
    }
}

pub(crate) fn moves_content(request: &Request) -> bool {
    matches!(
        request.operation,
        Operation::PutObject | Operation::UploadPart | Operation::GetObject
    )
}

async fn start(store: &Arc<dyn Store>, stores: &Arc<SimulatedStores>, config: &Config) -> Engine {
    let (store, stores) = (Arc::clone(store), Arc::clone(stores));
    Engine::start_simulated(store, stores, config.clone())
        .await
        .unwrap()
}

/// What an object of this key has: each 4 KiB of it are there once.
fn content(key: &str, len: u64) -> Vec<u8> {
    let mut state = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut block = [0; 4096];
    for word in block.chunks_exact_mut(8) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        word.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    let len = usize::try_from(len).unwrap();
    let mut bytes = Vec::with_capacity(len + block.len());
    for number in 0..len.div_ceil(block.len()) as u64 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&block);
    }
    bytes.truncate(len);
    bytes
}
