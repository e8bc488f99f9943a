//! A service whose store holds very many transfers: 100,000 here, a million
//! with `TOWLINE_MILLION=1`, by which `docs/reliability.md` has its figures.

use std::time::{Duration, Instant};

use towline_core::{Store, TransferId};
use towline_store_sqlite::SqliteStore;
use towline_testkit::store_contract::{Sample, completed};

use super::Service;
use super::common::towline;

/// The bars of the API, on the machine that the figures are of.
const PAGE: Duration = Duration::from_millis(50);
const MEMORY: u64 = 150 << 20;
/// A machine may be so much slower.
const SLOWER: u32 = 8;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn very_many_transfers_are_paged_counted_and_searched_at_once_in_little_memory() {
    let million = std::env::var_os("TOWLINE_MILLION").is_some();
    let count = if million { 1_000_000 } else { 100_000 };
    let dir = tempfile::tempdir_in(memory()).unwrap();
    let state = dir.path().join("state");
    let ids = fill(&state, count).await;

    // Nobody answers there, so that all stay as they are, also those that ended long ago.
    let run = [
        "daemon",
        "run",
        "--listen",
        "127.0.0.1:0",
        "--keep-for",
        "none",
    ];
    let mut command = towline("http://127.0.0.1:9", &state, &run);
    command.env("HOME", dir.path());
    let begun = Instant::now();
    let service = Service::start(command, &state, &dir.path().join("log"));
    println!("start: {:?}", begun.elapsed());

    let middle = ids[count / 2].get();
    let mut slowest = Duration::ZERO;
    for (what, path) in [
        ("first page", "/v1/transfers".to_owned()),
        ("newest", "/v1/transfers?newest_first=true".into()),
        ("deep", format!("/v1/transfers?after={middle}")),
        ("counts", "/v1/counts".into()),
        ("in progress", "/v1/transfers?state=in_progress".into()),
        ("completed", "/v1/transfers?state=completed".into()),
        ("failed", "/v1/transfers?state=failed".into()),
        (
            "waiting",
            "/v1/transfers?state=waiting,waiting_for_network".into(),
        ),
        (
            "downloads of a bucket",
            "/v1/transfers?type=download&bucket=bucket".into(),
        ),
        (
            "search, found nothing",
            "/v1/transfers?search=nowhere".into(),
        ),
        (
            "search, newest first",
            "/v1/transfers?search=99&newest_first=true".into(),
        ),
        ("one", format!("/v1/transfers/{middle}")),
        ("its parts", format!("/v1/transfers/{middle}/parts")),
        ("metrics", "/metrics".into()),
    ] {
        // The best of five: others share the machine.
        let times = (0..5).map(|_| {
            let begun = Instant::now();
            let (status, body) = service.ask("GET", &path, "");
            assert_eq!(status, 200, "{what}: {body}");
            begun.elapsed()
        });
        let took = times.min().unwrap();
        println!("{what}: {took:?}");
        slowest = slowest.max(took);
        assert!(took < PAGE * SLOWER, "{what}: {took:?}");
    }
    let counts = service.get("/v1/counts");
    let all: u64 = counts
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(
        (all, &counts["completed"]),
        (count as u64, &serde_json::json!(1000))
    );

    let status = service.proc("status");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("slowest: {slowest:?}; memory: {} MiB at most", peak >> 10);
    assert!(peak << 10 < MEMORY, "{} MiB", peak >> 10);
    service.stop();
}

/// Downloads, of which the first thousand are done.
async fn fill(state: &std::path::Path, count: usize) -> Vec<TransferId> {
    let begun = Instant::now();
    let store = SqliteStore::open(state).unwrap();
    let mut ids = Vec::with_capacity(count);
    for batch in 0..count / 1000 {
        let names = (0..1000).map(|n| format!("dir-{}/{}", batch % 10, batch * 1000 + n));
        let new = names.map(|name| {
            let sample = Sample::download(&name);
            sample.with(|spec| spec.connection.endpoint = Some("http://127.0.0.1:9".into()))
        });
        let made = store
            .create_many(new.map(Sample::build).collect())
            .await
            .unwrap();
        ids.extend(made.iter().map(|made| made.record().id));
    }
    let done = ids[..1000].iter().map(|id| (*id, completed()));
    store.commit(done.collect()).await.unwrap();
    store.close().await.unwrap();
    println!("{count} transfers recorded: {:?}", begun.elapsed());
    ids
}

/// A directory whose syncs cost nothing, where there is one.
fn memory() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}
