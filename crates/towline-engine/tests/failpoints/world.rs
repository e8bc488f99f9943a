//! What outlives a process: the store, the disk, S3, and what the user knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use towline_core::{
    Change, Changed, Connection, Cursor, Direction, NewTransfer, ObjectAddress, Operation, PartRow,
    PartSize, Phase, Record, Remote, Spec, Store, Temp, Timestamp, TransferId, TransferOptions,
};
use towline_engine::{Config, inspect_source};
use towline_testkit::simulation::{Request, SimulatedS3, SimulatedStores};
use towline_testkit::store_contract::{MemoryFactory, StoreFactory, block_on};

use crate::flows::{End, Flow, MIB};

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const KEY: &str = "some/key";
/// Of what is copied.
pub(crate) const SOURCE: &str = "its/source";
const STORE: &str = "https://store.example";
/// What stood at the target before.
pub(crate) const BEFORE: &[u8] = b"what stood there before";
/// Another object at the key.
pub(crate) const ANOTHER: &[u8] = b"somebody else's";

pub(crate) struct World {
    pub(crate) flow: &'static Flow,
    pub(crate) s3: SimulatedS3,
    pub(crate) stores: Arc<SimulatedStores>,
    pub(crate) kept: MemoryFactory,
    pub(crate) user: Arc<User>,
    /// Simulated time of all lives.
    pub(crate) passed: Duration,
    /// What was durable at each crash, and how many requests there were.
    pub(crate) crashes: Vec<AtCrash>,
    dir: tempfile::TempDir,
}

pub(crate) struct AtCrash {
    pub(crate) record: Option<Record>,
    pub(crate) parts: Vec<PartRow>,
    pub(crate) requests: usize,
}

/// What the user remembers.
#[derive(Default)]
pub(crate) struct User(Mutex<Known>);

#[derive(Default)]
pub(crate) struct Known {
    /// The transfer, once its submit was answered.
    pub(crate) id: Option<TransferId>,
    /// What else was answered.
    pub(crate) answered: BTreeSet<&'static str>,
    /// Where the reader of changes stands, and the ends it was told.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) ends: Vec<Phase>,
    /// What it saw that must not be.
    pub(crate) wrong: Vec<String>,
}

impl User {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this was answered.
    pub(crate) fn has(&self, what: &str) -> bool {
        self.known().answered.contains(what)
    }

    pub(crate) fn answered(&self, what: &'static str) {
        self.known().answered.insert(what);
    }

    /// Reads what changed, from where it stands.
    pub(crate) async fn read_changes(&self, store: &dyn Store) {
        let cursor = self.known().cursor;
        let changes = store.changes(cursor, 100).await.unwrap();
        let mut known = self.known();
        known.cursor = Some(changes.cursor);
        for changed in changes.changed {
            if let Changed::Transfer(record) = changed
                && record.phase.is_final()
            {
                known.ends.push(record.phase);
            }
        }
    }
}

impl World {
    /// To be made within the first life, whose clock it takes.
    pub(crate) fn new(flow: &'static Flow) -> Self {
        let s3 = SimulatedS3::new();
        let world = Self {
            flow,
            stores: SimulatedStores::with([(STORE, &s3)]),
            s3,
            kept: MemoryFactory::default(),
            user: Arc::default(),
            passed: Duration::ZERO,
            crashes: Vec::new(),
            dir: in_memory(),
        };
        match flow.direction {
            Direction::Upload => fs::write(world.path(), content(flow.len, 1)).unwrap(),
            Direction::Download => {
                world.s3.put(BUCKET, KEY, content(flow.len, 1));
                if !flow.is_new {
                    fs::write(world.path(), BEFORE).unwrap();
                }
            }
            Direction::Copy => world.s3.put(BUCKET, SOURCE, content(flow.len, 1)),
        }
        world
    }

    /// The source, or the target.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    pub(crate) fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// What survived, opened anew.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.kept.open()
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        config.requests = Some(4);
        config.byte_budget = 1 << 30; // no thread that gives out bytes holds the clock back
        config.progress_interval = Duration::from_secs(5);
        (self.flow.config)(&mut config);
        config
    }

    /// What is submitted; the token makes it one transfer however often.
    pub(crate) fn request(&self) -> NewTransfer {
        let path = match self.flow.direction {
            Direction::Copy => format!("s3://{BUCKET}/{SOURCE}").into(),
            _ => self.path(),
        };
        let upload = self.flow.direction == Direction::Upload;
        let mut options = TransferOptions::default();
        options.part_size = Some(PartSize::from_bytes(5 * MIB).unwrap());
        (self.flow.options)(&mut options);
        NewTransfer {
            source: match upload {
                true => Some(inspect_source(&path).unwrap()),
                false if self.flow.is_listed => self.s3.listed(BUCKET, KEY),
                false => None,
            },
            spec: Spec {
                direction: self.flow.direction,
                connection: Connection {
                    endpoint: Some(STORE.into()),
                    ..Connection::default()
                },
                object: ObjectAddress::new(
                    BUCKET.to_owned().try_into().unwrap(),
                    KEY.to_owned().try_into().unwrap(),
                ),
                path,
                options,
                token: Some("once".into()),
                group: None,
            },
            created_at: Timestamp::from_millis(1),
        }
    }

    pub(crate) fn record(&self) -> Option<Record> {
        let page = block_on(self.store().find(Default::default())).unwrap();
        assert!(page.transfers.len() <= 1, "it was recorded twice");
        page.transfers.into_iter().next()
    }

    pub(crate) fn parts(&self) -> Vec<PartRow> {
        let record = self.record();
        record.map_or(Vec::new(), |of| {
            block_on(self.store().parts(of.id)).unwrap()
        })
    }

    pub(crate) fn history(&self) -> Vec<Request> {
        self.s3.history()
    }

    /// The process is gone.
    pub(crate) fn crashed(&mut self) {
        self.crashes.push(AtCrash {
            record: self.record(),
            parts: self.parts(),
            requests: self.history().len(),
        });
        if self.crashes.len() == self.flow.after.len() {
            (self.flow.meanwhile)(self);
        }
    }

    /// The machine starts anew, and some of what was written did not reach the disk.
    pub(crate) fn reboot_with_lost_bytes(&self) {
        let record = self.record().unwrap();
        let Some(Remote::Object(identity, temp)) = record.remote else {
            panic!("it has no temporary file yet");
        };
        let file = self.dir.path().join(&temp.name);
        let mut bytes = fs::read(&file).unwrap();
        let lost = record.plan.unwrap().range(self.parts()[0].number);
        bytes[usize::try_from(lost.start).unwrap()..][..4096].fill(0);
        fs::write(&file, bytes).unwrap();
        let (name, boot) = (temp.name, "another".to_owned());
        let remote = Change::Remote(Remote::Object(identity, Temp { name, boot }));
        block_on(self.store().commit(vec![(record.id, vec![remote])])).unwrap();
    }

    pub(crate) fn uploads_vanish(&self) {
        assert_eq!(self.s3.open_uploads(), 1);
        self.s3.abort_uploads();
    }

    pub(crate) fn stranger_opens(&self, and_sends: bool) {
        let part = and_sends.then(|| content(5 * MIB, 9).into());
        self.s3.open_upload(BUCKET, KEY, part);
    }

    pub(crate) fn another_object(&self) {
        self.s3.put(BUCKET, KEY, ANOTHER);
    }

    pub(crate) fn deny_looking(&self) {
        self.s3.deny(&[Operation::ListParts, Operation::HeadObject]);
    }

    /// How it ended, as it should have.
    pub(crate) fn may_end(&self) -> &'static [Phase] {
        match self.flow.ends {
            End::Completed | End::CompletedBeside => &[Phase::Completed],
            End::Canceled => &[Phase::Canceled, Phase::Completed],
            End::Conflict => &[Phase::Failed],
        }
    }
}

/// What the source, or the object, has: the first version, or another.
pub(crate) fn content(len: u64, version: u8) -> &'static [u8] {
    static MADE: Mutex<BTreeMap<(u64, u8), &'static [u8]>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    made.entry((len, version)).or_insert_with(|| {
        let byte = |i: u64| (i % 249) as u8 ^ (i >> 16) as u8 ^ version;
        (0..len).map(byte).collect::<Vec<u8>>().leak()
    })
}

/// Where a sync costs nothing, if there is such a place.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
