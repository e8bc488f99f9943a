//! What the store does to record whole lives. The changes are those that the state
//! machine makes, and were made before.

use std::path::Path;

use tempfile::TempDir;
use towline_core::{Change, NewTransfer, Record, Store, TransferId};
use towline_store_sqlite::SqliteStore;

use crate::Repetition;
use crate::pure::{MIB, accepted, life_in_parts, life_of_one_put};

/// 500 uploads of one request each, in three transactions: recorded, begun, ended.
pub(crate) fn small_uploads() -> Repetition {
    let records: Vec<Record> = (0..500).map(|number| accepted(number, 4096)).collect();
    let [begun, ended] = life_of_one_put(records[0].clone());
    let new: Vec<NewTransfer> = records.iter().map(asked).collect();
    let store = OpenStore::new();
    Box::new(move || {
        let ids = store.record(new.clone());
        for changes in [&begun, &ended] {
            store.commit(ids.iter().map(|id| (*id, changes.clone())));
        }
    })
}

/// One upload of 500 parts; the parts are recorded together.
pub(crate) fn parts() -> Repetition {
    let record = accepted(0, 4000 * MIB);
    let new = asked(&record);
    let commits = life_in_parts(record);
    let store = OpenStore::new();
    Box::new(move || {
        let ids = store.record(vec![new.clone()]);
        store.commit(commits.iter().map(|changes| (ids[0], changes.clone())));
    })
}

/// What was asked for when this was recorded.
fn asked(record: &Record) -> NewTransfer {
    NewTransfer {
        spec: (*record.spec).clone(),
        source: record.source,
        created_at: record.created_at,
    }
}

/// A store in memory where the machine has such a place, since it is not the disk
/// that is measured.
struct OpenStore {
    store: SqliteStore,
    runtime: tokio::runtime::Runtime,
    _dir: TempDir,
}

impl OpenStore {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let dir = dir.expect("there is room for a store");
        Self {
            store: SqliteStore::open(dir.path()).expect("a new store opens"),
            runtime: crate::runtime(),
            _dir: dir,
        }
    }

    fn record(&self, new: Vec<NewTransfer>) -> Vec<TransferId> {
        let created = self.runtime.block_on(self.store.create_many(new));
        let created = created.expect("they are recorded");
        created.iter().map(|created| created.record().id).collect()
    }

    fn commit(&self, batch: impl Iterator<Item = (TransferId, Vec<Change>)>) {
        self.runtime
            .block_on(self.store.commit(batch.collect()))
            .expect("it is committed");
    }
}
