//! How fast the store is, and that size does not slow its pages. The figures
//! are printed (`--no-capture`); what is asserted is far below them, for slow
//! and shared machines.

#![allow(clippy::unwrap_used, reason = "also in the helpers of tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towline_core::{Change, Phase, Query, State, Store, TransferId};
use towline_store_sqlite::SqliteStore;
use towline_testkit::store_contract::{Sample, completed, part, phase};

#[tokio::test]
async fn batches_are_written_at_tens_of_thousands_of_rows_a_second() {
    let place = in_memory();
    let store = SqliteStore::open(place.path()).unwrap();

    let begun = Instant::now();
    let ids = fill(&store, 20_000).await;
    let creates = rate("creates, 1,000 a call", 20_000, begun);

    let begun = Instant::now();
    for some in ids.chunks(1000) {
        let changes = |id: &TransferId| (*id, vec![phase(Phase::Moving)]);
        store
            .commit(some.iter().map(changes).collect())
            .await
            .unwrap();
    }
    let moved = rate("transfers marked, 1,000 a call", 20_000, begun);

    let begun = Instant::now();
    for some in ids.chunks(1000) {
        let changes = some.iter().map(|id| (*id, completed()));
        store.commit(changes.collect()).await.unwrap();
    }
    let done = rate(
        "transfers completed, 2 changes each, 1,000 a call",
        20_000,
        begun,
    );

    let rows: Vec<_> = (1..=10_000).map(part).collect();
    let begun = Instant::now();
    for id in &ids[..5] {
        for some in rows.chunks(100) {
            store
                .commit(vec![(*id, vec![Change::Parts(some.to_vec())])])
                .await
                .unwrap();
        }
    }
    let parts = rate("part rows, 100 a call", 50_000, begun);

    let begun = Instant::now();
    for id in &ids[..2_000] {
        store
            .commit(vec![(*id, vec![Change::Error(None)])])
            .await
            .unwrap();
    }
    rate("commits, one at a time", 2_000, begun);
    for rate in [creates, moved, done, parts] {
        assert!(rate > 2_000.0);
    }
}

#[tokio::test]
async fn a_hundred_thousand_transfers_open_and_page_at_once() {
    let place = in_memory();
    let store = SqliteStore::open(place.path()).unwrap();
    let ids = fill(&store, 100_000).await;
    store
        .commit(vec![(ids[50_000], vec![phase(Phase::Failed)])])
        .await
        .unwrap();
    let database = store.path().to_path_buf();
    drop(store);

    let store = timed("open after a crash", Duration::from_secs(2), || {
        SqliteStore::open(place.path()).unwrap()
    });
    store.close().await.unwrap();
    drop(store);
    println!(
        "database: {} bytes",
        std::fs::metadata(database).unwrap().len()
    );
    let store = timed("open after a clean end", Duration::from_secs(2), || {
        SqliteStore::open(place.path()).unwrap()
    });
    let any = Query::default;
    let queries = [
        ("oldest", any()),
        (
            "newest",
            Query {
                newest_first: true,
                ..any()
            },
        ),
        (
            "deep",
            Query {
                after: Some(ids[70_000]),
                ..any()
            },
        ),
        (
            "by key",
            Query {
                key: Some("99".into()),
                ..any()
            },
        ),
        (
            "by path",
            Query {
                path: Some("/data/in/99".into()),
                ..any()
            },
        ),
        (
            "waiting",
            Query {
                states: vec![State::Waiting],
                ..any()
            },
        ),
        (
            "failed",
            Query {
                states: vec![State::Failed],
                newest_first: true,
                ..any()
            },
        ),
        (
            "failed or paused",
            Query {
                states: vec![State::Failed, State::Paused],
                ..any()
            },
        ),
    ];
    for (name, query) in queries {
        let begun = Instant::now();
        let page = store.find(query).await.unwrap();
        assert!(!page.transfers.is_empty(), "{name}");
        let took = begun.elapsed();
        println!("page of {}, {name}: {took:?}", page.transfers.len());
        assert!(took < Duration::from_millis(250), "{name}: {took:?}");
    }
    let begun = Instant::now();
    assert_eq!(store.next(ids[80_000], 1000).await.unwrap().len(), 1000);
    println!("next 1,000: {:?}", begun.elapsed());
}

async fn fill(store: &SqliteStore, count: usize) -> Vec<TransferId> {
    let mut ids = Vec::with_capacity(count);
    for batch in 0..count / 1000 {
        let names = (0..1000).map(|n| (batch * 1000 + n).to_string());
        let new = names.map(|name| Sample::upload(&name).build()).collect();
        let made = store.create_many(new).await.unwrap();
        ids.extend(made.iter().map(|made| made.record().id));
    }
    ids
}

fn rate(what: &str, count: u32, begun: Instant) -> f64 {
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    println!("{what}: {rate:.0}/s");
    rate
}

fn timed<T>(what: &str, limit: Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    let took = begun.elapsed();
    println!("{what}: {took:?}");
    assert!(took < limit, "{what}: {took:?}");
    done
}

/// A directory whose syncs cost nothing, where there is one.
fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap()
}
