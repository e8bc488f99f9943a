//! What a process has in memory does not grow with queues, files or stores.
//! T35, T55. The figures are in docs/reliability.md.

use std::time::{Duration, Instant};

use towline_core::Store;
use towline_store_sqlite::SqliteStore;
use towline_testkit::store_contract::Sample;
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::process::peak_kib;
use crate::terminal::{GIB, MIB, Running, Terminal};

/// What is documented.
const BOUND_MIB: u64 = 128;

fn assert_bounded(pid: u32, what: &str) {
    // Where there is no /proc nothing can be said.
    let Some(peak) = peak_kib(pid) else { return };
    let peak = peak / 1024;
    println!("{what}: {peak} MiB at most");
    assert!(peak < BOUND_MIB, "{what}: {peak} MiB");
}

fn daemon(terminal: &Terminal) -> Running {
    let daemon = terminal.begin(["daemon", "run"]);
    let begun = Instant::now();
    terminal.until("it owns the state", || terminal.owner().is_some());
    println!("it owned the state after {:?}", begun.elapsed());
    daemon
}

/// No request of this kind is answered.
fn stall(terminal: &Terminal, operation: Operation) {
    let rule = Rule::on(operation).delay(Duration::from_secs(3600));
    let faults = terminal.scene.server.faults();
    faults.play(Script::new().rule(rule)).unwrap();
}

#[test]
fn t55_ten_thousand_queued_uploads_are_held_in_bounded_memory() {
    const FILES: usize = 10_000;
    let terminal = Terminal::start();
    let dir = terminal.scene.path("files");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..FILES {
        std::fs::write(dir.join(n.to_string()), n.to_string()).unwrap();
    }
    stall(&terminal, Operation::PutObject);
    let daemon = daemon(&terminal);
    // A directory would not be listed so far ahead.
    let line = |n| format!("files/{n},s3://bucket/all/{n}\n");
    let list: String = (0..FILES).map(line).collect();
    std::fs::write(terminal.scene.path("list"), list).unwrap();
    let submit = terminal.begin(["upload", "--detach", "--from-list", "list"]);
    let submitter = submit.pid();
    let mut peak = 0;
    let begun = Instant::now();
    let mut submit = Some(submit);
    while submit.as_mut().is_some_and(|running| !running.has_ended()) {
        peak = peak_kib(submitter).unwrap_or_default().max(peak);
        terminal.sleep(Duration::from_millis(5));
    }
    let ids = submit.take().unwrap().succeeds();
    println!("submitted in {:?}, by {} MiB", begun.elapsed(), peak / 1024);
    assert_eq!(ids.lines().count(), FILES);
    assert!(peak / 1024 < BOUND_MIB, "{} MiB", peak / 1024);
    let put = || terminal.scene.server.history().count(Operation::PutObject);
    terminal.until("some are under way", || put() > 0);
    let listed = terminal.done(["list", "--json", "--limit", "20000"]);
    assert_eq!(listed.lines().count(), FILES);
    assert_bounded(daemon.pid(), "10,000 queued uploads");
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
}

#[test]
fn t55_an_upload_of_50_gib_is_held_in_bounded_memory() {
    /// 2 GiB: fifty times of what it may hold.
    const PARTS: usize = 256;
    let terminal = Terminal::start();
    let file = std::fs::File::create(terminal.scene.path("sparse")).unwrap();
    file.set_len(50 * GIB).unwrap();
    // What S3 says to 8 MiB of zeros; they are kept nowhere.
    let sink = Rule::on(Operation::UploadPart)
        .answer(Answer::status(200))
        .set_header("etag", "\"96995b58d4cbf6aaa9041b4f00c7f6ae\"")
        .set_header("x-amz-checksum-crc64nvme", "of12kAisj10=");
    let faults = terminal.scene.server.faults();
    faults.play(Script::new().rule(sink)).unwrap();
    let upload = terminal.begin([
        "upload",
        "--part-size",
        "8MiB",
        "sparse",
        "s3://bucket/sparse",
    ]);
    terminal.until("2 GiB are there", || {
        terminal.parts_answered("sparse").len() >= PARTS
    });
    assert_bounded(upload.pid(), "an upload of 50 GiB");
    upload.signal("KILL");
    upload.ends();
    // The next one knows which parts there are from its own records at least.
    let moved = terminal.list()[0]["bytes_transferred"].as_u64().unwrap();
    assert!(moved >= (PARTS as u64 - 32) * 8 * MIB, "{moved}");
}

#[test]
fn t35_a_hundred_thousand_transfers_are_opened_paged_and_held_in_bounded_memory() {
    const TRANSFERS: usize = 100_000;
    let terminal = Terminal::start();
    let dir = terminal.scene.path("copies");
    std::fs::create_dir(&dir).unwrap();
    let endpoint = terminal.scene.server.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&terminal.scene.path("state")).unwrap();
        for some in 0..TRANSFERS / 5_000 {
            let download = |n: usize| {
                let name = (some * 5_000 + n).to_string();
                let path = dir.join(&name);
                Sample::download(&name)
                    .with(|spec| {
                        spec.path = path;
                        spec.connection.endpoint = Some(endpoint.clone());
                        spec.connection.region = Some("us-east-1".into());
                    })
                    .build()
            };
            store
                .create_many((0..5_000).map(download).collect())
                .await
                .unwrap();
        }
        store.close().await.unwrap();
    });
    stall(&terminal, Operation::HeadObject);
    let page = |who: &str| {
        let begun = Instant::now();
        let listed = terminal.done(["list", "--json"]);
        let took = begun.elapsed();
        println!("a page, {who}: {took:?}");
        assert_eq!(listed.lines().count(), 100);
        assert!(took < Duration::from_secs(2), "{took:?}");
    };
    page("nobody owns the state");
    let begun = Instant::now();
    let daemon = daemon(&terminal);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let asked = || terminal.scene.server.history().count(Operation::HeadObject);
    terminal.until("some are under way", || asked() > 0);
    page("from the owner");
    assert_bounded(daemon.pid(), "100,000 queued downloads");
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
}
