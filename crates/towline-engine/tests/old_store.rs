//! The transfers of a store that an older Towline wrote go on to their ends. T37.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use towline_core::{
    After, Body, Connector, Direction, Phase, PutObject, Query, Record, Store, TransferId,
};
use towline_engine::{Config, Engine};
use towline_s3::{Credentials, S3Connector, StaticCredentials};
use towline_store_sqlite::SqliteStore;
use towline_testserver::TestServer;

const OLD: &str = include_str!("../../towline-store-sqlite/tests/upgrade/schema-1.sql");
const BYTES: usize = 10_000;

/// Makes the old store, moved to another directory and another S3.
fn make(dir: &Path, endpoint: &str) {
    let state = dir.join("state");
    std::fs::create_dir(&state).unwrap();
    let db = rusqlite::Connection::open(state.join("towline.db")).unwrap();
    db.execute_batch(OLD).unwrap();
    for place in ["in", "out"] {
        std::fs::create_dir(dir.join(place)).unwrap();
        let (was, is) = (
            format!("/data/{place}/"),
            format!("{}/{place}/", dir.display()),
        );
        let moved =
            "UPDATE directories SET value = CAST(?2 AS BLOB) WHERE value = CAST(?1 AS BLOB)";
        assert_eq!(db.execute(moved, [was, is]).unwrap(), 1);
    }
    let odd = format!("{}/out/odd", dir.display());
    let moved = "UPDATE directories SET value = CAST(?1 || substr(value, 7) AS BLOB)
                 WHERE substr(value, 1, 6) = CAST('/data/' AS BLOB)";
    db.execute(moved, [odd]).unwrap();
    let there = "UPDATE connections SET value = json_set(value, '$.endpoint', ?1,
                 '$.region', 'us-east-1', '$.source', json_object('registered', 'test' || id))";
    db.execute(there, [endpoint]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t37_transfers_of_an_old_store_go_on_to_their_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::builder()
        .bucket("bucket")
        .bucket("another-bucket");
    let server = server.start().await.unwrap();
    make(dir.path(), &server.endpoint());
    let connector = S3Connector::new();
    for name in ["test1", "test2"] {
        let credentials = StaticCredentials(Credentials::new("test", "testsecret"));
        connector.register(name, Arc::new(credentials));
    }
    let connector: Arc<dyn Connector> = Arc::new(connector);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir.path().join("state")).unwrap());
    let before = store.find(Query::default()).await.unwrap().transfers;
    let content: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
    for record in &before {
        match record.spec.direction {
            Direction::Upload if !record.spec.is_stream() => {
                std::fs::write(&record.spec.path, &content).unwrap();
            }
            _ => put(&*connector, record, &content).await,
        }
        if let Some(parent) = record.spec.path.parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
    }

    let mut config = Config::default();
    config.late_answer_limit = Duration::from_secs(1);
    let engine = Engine::start(Arc::clone(&store), connector, config)
        .await
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(120), async {
        while !store.next(TransferId::START, 100).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if ended.await.is_err() {
        let left = store.next(TransferId::START, 100).await.unwrap();
        panic!("these do not end: {left:#?}");
    }
    engine.close().await.unwrap();

    let store = SqliteStore::open(&dir.path().join("state")).unwrap();
    let after = store.find(Query::default()).await.unwrap().transfers;
    for (was, is) in before.iter().zip(after) {
        let key = was.spec.object.key.as_str();
        let expected = expected_end(was);
        assert_eq!(is.phase, expected, "{key}: {:?}", is.error);
        let unfinished = was.phase != is.phase;
        if is.phase != Phase::Completed || !unfinished {
            assert!(
                was.phase.is_final() <= (*was == is),
                "{key} was final and is another"
            );
            continue;
        }
        let there = match was.spec.direction {
            Direction::Upload | Direction::Copy => server.object_bytes("bucket", key).unwrap(),
            Direction::Download => std::fs::read(&was.spec.path).unwrap(),
        };
        assert!(there == content, "{key}: other bytes");
    }
    assert_eq!(server.open_uploads("bucket").len(), 0);
}

/// Stores the object of a transfer.
async fn put(connector: &dyn Connector, of: &Record, content: &[u8]) {
    let s3 = connector.connect(of.id, &of.spec.connection).unwrap();
    let bytes = Bytes::copy_from_slice(content);
    let body = Body {
        len: content.len() as u64,
        stream: Box::pin(futures_util::stream::iter([Ok(bytes)])),
    };
    let request = PutObject {
        bucket: of.spec.object.bucket.as_str().into(),
        key: of.spec.object.key.as_str().into(),
        ..PutObject::default()
    };
    s3.put_object(request, body).await.unwrap();
}

fn expected_end(was: &Record) -> Phase {
    match was.phase {
        phase if phase.is_final() || phase == Phase::Paused => phase,
        Phase::Discarding(After::Cancel) => Phase::Canceled,
        _ if was.spec.is_stream() => Phase::Failed, // its process is gone
        _ => Phase::Completed,
    }
}
