//! Many transfers, many observers, and readers that do not read. T35, T51.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use towline::{Config, Query, Recovery, State, TransferId, TransferListener, TransferRequest};

use crate::{BUCKET, Scene, completed, content};

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        >> 10
}

/// Times are printed; what is asserted is what was promised.
#[tokio::test(flavor = "multi_thread")]
async fn t35_a_hundred_thousand_transfers_open_at_once_and_are_paged_at_once() {
    let server = towline_testserver::TestServer::builder()
        .start()
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    std::fs::write(&source, b"bytes").unwrap();
    let open = || async {
        let mut config = Config::default();
        config.recovery = Recovery::Named; // none of them is begun with
        crate::builder(server.endpoint(), dir.path().join("state"))
            .config(config)
            .open()
            .await
            .unwrap()
    };
    // Nothing gets through, so that all of them stay unfinished.
    server.faults().offline(true);
    let utility = open().await;
    for some in 0..20 {
        let requests =
            (0..5_000).map(|n| TransferRequest::upload(BUCKET, format!("key-{some}-{n}"), &source));
        utility.submit(requests.collect()).await.unwrap();
    }
    utility.close().await.unwrap();
    drop(utility);
    let before = resident();

    let begun = Instant::now();
    let utility = open().await;
    let opened = begun.elapsed();
    let mut paged = Duration::ZERO;
    for after in [None, Some(TransferId::new(70_000))] {
        let query = Query {
            after,
            limit: 100,
            ..Query::default()
        };
        let begun = Instant::now();
        let (page, next) = utility.find(query).await.unwrap();
        paged = paged.max(begun.elapsed());
        assert!(page.len() == 100 && next.is_some());
    }
    let grown = resident().saturating_sub(before);
    println!("opened in {opened:?}, a page in {paged:?}, {grown} MiB more in memory");
    assert!(opened < Duration::from_secs(2), "{opened:?}");
    assert!(paged < Duration::from_millis(50), "{paged:?}");
    assert!(grown < 64, "{grown} MiB");
}

struct Blocks(mpsc::Receiver<()>);

impl TransferListener for Blocks {
    fn on_state_changed(&mut self, _: TransferId, _: State) {
        let _ = self.0.recv_timeout(Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_listener_that_blocks_for_a_minute_and_readers_that_never_read_harm_nobody() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(30 << 20));
    let (_keep, blocked) = mpsc::channel();
    let first = scene.utility.upload(BUCKET, "first", &source);
    let first = first.listener(Blocks(blocked)).await.unwrap();
    let never_read: Vec<_> = (0..100).map(|_| first.updates()).collect();
    let before = resident();
    let begun = Instant::now();
    for n in 0..10 {
        let key = format!("key-{n}");
        let upload = scene.utility.upload(BUCKET, key, &source).await.unwrap();
        let _updates = upload.updates();
        completed(upload.finished().await.unwrap());
    }
    completed(first.finished().await.unwrap());
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "nobody waited for the listener"
    );
    let grown = resident().saturating_sub(before);
    // The server of this test keeps 300 MiB of objects in the same process.
    assert!(grown < 300 + 150, "{grown} MiB");
    drop(never_read);
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_ten_thousand_observers_cost_little_and_all_see_the_end() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(6 << 20));
    scene.server.faults().bandwidth(2 << 20);
    let upload = scene.utility.upload(BUCKET, "key", &source).await.unwrap();
    let before = resident();
    let mut observers = Vec::new();
    for _ in 0..10_000 {
        observers.push(scene.utility.observe(upload.id()).await.unwrap());
    }
    let grown = resident().saturating_sub(before);
    println!("{grown} MiB more for 10,000 observers");
    assert!(grown < 64, "{grown} MiB");
    scene.server.faults().clear();
    for observer in observers {
        completed(observer.finished().await.unwrap());
    }
}
