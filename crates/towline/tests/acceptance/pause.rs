//! Pause and resume: the wire stops, what S3 or the disk has is kept. T12 to T15.

use std::time::{Duration, Instant};

use towline::{Config, State};
use towline_testserver::{Operation, Request};

use crate::seen::Seen;
use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn t12_a_paused_queued_transfer_is_never_dispatched_until_it_is_resumed() {
    let mut config = Config::default();
    config.window = 1; // so that a second one has to queue
    let mut scene = Scene::with(config).await;
    let big = scene.file("big", &content(8 * MIB));
    let small = scene.file("small", b"small");
    scene.server.faults().bandwidth(1 << 20);
    let first = scene.utility.upload(BUCKET, "first", &big).await.unwrap();
    until("the first one runs", || {
        scene.server.history().bytes_received() > 0
    })
    .await;
    let second = scene
        .utility
        .upload(BUCKET, "second", &small)
        .await
        .unwrap();
    assert_eq!(second.state(), State::Waiting);
    let seen = Seen::of(&second);

    let asked = Instant::now();
    assert!(second.pause().await.unwrap());
    seen.comes(State::Paused).await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");

    scene.server.faults().bandwidth(0);
    completed(first.finished().await.unwrap());
    // Whoever comes later passes it.
    scene.upload("third", &small).await;
    scene.reopen().await;
    scene.upload("fourth", &small).await;
    let now = scene.utility.get(second.id()).await.unwrap();
    assert_eq!(now.state, State::Paused);
    let of_second = |request: &Request| request.key.as_deref() == Some("second");
    assert_eq!(scene.server.history().count_where(of_second), 0);

    assert!(scene.utility.resume(second.id()).await.unwrap());
    let again = scene.utility.observe(second.id()).await.unwrap();
    completed(again.finished().await.unwrap());
    assert_eq!(
        scene.server.object_bytes(BUCKET, "second").unwrap(),
        b"small"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_pause_stops_the_wire_and_resume_sends_only_unconfirmed_parts() {
    let scene = Scene::start().await;
    let (size, parts) = (60 * MIB, 12);
    let path = scene.file("source", &content(size));
    scene.server.faults().bandwidth(12 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let seen = Seen::of(&observer);
    let history = scene.server.history();
    let confirmed =
        |request: &Request| request.operation == Operation::UploadPart && request.completed;
    until("some parts are confirmed, others under way", || {
        history.count_where(confirmed) >= 3 && history.bytes_received() > 20 * MIB as u64
    })
    .await;

    let asked = Instant::now();
    assert!(observer.pause().await.unwrap());
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(observer.state(), State::Paused);
    // From now on only what the server's own sockets hold can still arrive. A
    // transfer that goes on would bring 18 MiB in this time.
    let answered = Instant::now();
    let (mut arrived, mut last) = (history.bytes_received(), Duration::ZERO);
    while answered.elapsed() < Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if history.bytes_received() > arrived {
            (arrived, last) = (history.bytes_received(), answered.elapsed());
        }
    }
    assert!(last < Duration::from_secs(1), "a byte came after {last:?}");
    let requests = history.requests().len();

    let before = history.requests();
    let kept: Vec<u32> = before
        .iter()
        .filter(|request| confirmed(request))
        .filter_map(|request| request.part_number)
        .collect();
    assert!(kept.len() >= 3 && kept.len() < parts);
    let recorded = scene.utility.get(observer.id()).await.unwrap();
    assert!(recorded.bytes_transferred >= (3 * 5 * MIB) as u64);
    assert_eq!(recorded.bytes_transferred % (5 * MIB as u64), 0);

    scene.server.faults().bandwidth(0);
    assert!(observer.resume().await.unwrap());
    completed(observer.finished().await.unwrap());
    let after = history.requests().split_off(requests);
    let sent_again: Vec<u32> = after
        .iter()
        .filter(|request| request.operation == Operation::UploadPart)
        .filter_map(|request| request.part_number)
        .collect();
    assert!(
        sent_again.len() <= parts - kept.len(),
        "{sent_again:?} {kept:?}"
    );
    assert!(
        kept.iter().all(|part| !sent_again.contains(part)),
        "{sent_again:?}"
    );
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content(size));
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    seen.comes(State::Completed).await;
    seen.progress_is_honest();
}

/// What is promised: a single PUT has nothing that could be kept, so paused it
/// shows zero bytes, and goes on from there within the same generation.
#[tokio::test(flavor = "multi_thread")]
async fn t14_a_paused_single_put_starts_from_zero_and_arrives_whole() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(5 * MIB));
    scene.server.faults().bandwidth(1 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let seen = Seen::of(&observer);
    until("it moves", || observer.bytes_transferred() > 1 << 20).await;
    assert!(observer.pause().await.unwrap());
    assert_eq!(
        (observer.state(), observer.bytes_transferred()),
        (State::Paused, 0)
    );
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
    seen.comes(State::Paused).await;

    let at_pause = seen.all().len();
    scene.server.faults().bandwidth(2 << 20);
    assert!(observer.resume().await.unwrap());
    let transfer = completed(observer.finished().await.unwrap());
    assert_eq!(transfer.generation, 1);
    seen.comes(State::Completed).await;
    let first = &seen.all()[at_pause];
    assert_eq!(first.bytes_transferred, 0, "{first:?}");
    seen.progress_is_honest();
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content(5 * MIB));
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
    let whole =
        |request: &Request| request.operation == Operation::PutObject && request.received_whole;
    assert_eq!(scene.server.history().count_where(whole), 1);
}

/// The first and the last byte of `bytes=FIRST-LAST`.
fn range_of(request: &Request) -> (u64, u64) {
    let range = request.range.as_deref().unwrap();
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

/// A download that is paused with some of its ranges recorded.
async fn paused_download(scene: &Scene, size: usize) -> towline::TransferObserver {
    let path = scene.file("source", &content(size));
    scene.upload("key", &path).await;
    scene.server.history().clear();
    scene.server.faults().bandwidth(10 << 20);
    let target = scene.dir.path().join("target");
    let observer = scene
        .utility
        .download(BUCKET, "key", &target)
        .await
        .unwrap();
    until("half of it came", || {
        scene.server.history().bytes_sent() > size as u64 / 2
    })
    .await;
    assert!(observer.pause().await.unwrap());
    scene.server.faults().bandwidth(0);
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn t15_a_resumed_download_asks_only_for_ranges_that_are_not_recorded() {
    let scene = Scene::start().await;
    let size = 60 * MIB;
    let observer = paused_download(&scene, size).await;
    let recorded = scene
        .utility
        .get(observer.id())
        .await
        .unwrap()
        .bytes_transferred;
    assert!(recorded > 0);
    assert_eq!(observer.bytes_transferred(), recorded);
    assert!(!scene.dir.path().join("target").exists());
    let requests = scene.server.history().requests().len();

    let seen = Seen::of(&observer);
    assert!(observer.resume().await.unwrap());
    completed(observer.finished().await.unwrap());
    let after = scene.server.history().requests().split_off(requests);
    let ranges: Vec<_> = after
        .iter()
        .filter(|request| request.operation == Operation::GetObject)
        .map(range_of)
        .collect();
    let asked: u64 = ranges.iter().map(|(first, last)| last + 1 - first).sum();
    assert_eq!(asked, size as u64 - recorded, "{ranges:?}");
    assert!(std::fs::read(scene.dir.path().join("target")).unwrap() == content(size));
    seen.comes(State::Completed).await;
    assert_eq!(seen.all()[0].bytes_transferred, recorded);
    seen.progress_is_honest();
}

/// The history does not list `If-Match`; a 412 shows that it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn t15_a_resumed_download_asks_with_if_match_and_never_mixes_two_objects() {
    let scene = Scene::start().await;
    let size = 40 * MIB;
    let observer = paused_download(&scene, size).await;
    let mut other = content(size);
    other.reverse();
    let path = scene.file("other", &other);
    scene.upload("key", &path).await;
    let requests = scene.server.history().requests().len();

    assert!(observer.resume().await.unwrap());
    let transfer = completed(observer.finished().await.unwrap());
    assert_eq!(transfer.generation, 2);
    let after = scene.server.history().requests().split_off(requests);
    let refused = |request: &&Request| {
        request.operation == Operation::GetObject && request.status == Some(412)
    };
    assert!(after.iter().any(|request| refused(&request)), "{after:#?}");
    assert!(std::fs::read(scene.dir.path().join("target")).unwrap() == other);
}
