//! The SQLite store keeps what every store promises.

#![allow(clippy::unwrap_used, reason = "also in the helpers of tests")]

use std::sync::Arc;

use tempfile::TempDir;
use towline_core::Store;
use towline_store_sqlite::SqliteStore;
use towline_testkit::store_contract::StoreFactory;

struct Place(TempDir);

impl StoreFactory for Place {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path()).unwrap())
    }
}

towline_testkit::store_contract_tests!(Place(tempfile::tempdir().unwrap()));
