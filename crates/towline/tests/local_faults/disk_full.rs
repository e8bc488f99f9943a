//! Row 60: the disk of a target is full.

use std::path::Path;
use std::time::{Duration, Instant};

use towline::{State, TransferObserver};
use towline_testserver::Operation;

use crate::{BUCKET, MIB, Scene, completed, content, names, open, parked, until};
use towline_testkit::disk::{Disk, Errno, Health};
use towline_testkit::small_disk::SmallDisk;

/// Waits without a request for bytes and without a file, and goes on by itself.
async fn waits_for_room(scene: &Scene, target: &Path, words: &str, make_room: impl FnOnce()) {
    let bytes = content(12 * MIB);
    scene.object("key", &bytes).await;
    let observer = scene.download("key", target).await;
    let error = parked(&observer, "disk_full").await.error.unwrap();
    assert_eq!(error.code, "DiskFull");
    let expected = format!("no space left for {}: {words}", target.display());
    assert_eq!(error.message, expected);
    looks(scene, &observer, 3).await;
    assert_eq!(scene.server.history().count(Operation::GetObject), 0);
    let dir = names(target.parent().unwrap());
    assert!(!dir.iter().any(|name| name.ends_with(".part")), "{dir:?}");

    make_room();
    let done = completed(&observer).await;
    assert_eq!(done.generation, 1);
    assert!(std::fs::read(target).unwrap() == bytes);
    assert_eq!(scene.fetched(), 12 * MIB);
}

/// Waits until it was tried so many times more.
async fn looks(scene: &Scene, observer: &TransferObserver, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let tries = async || {
        let incidents = scene.utility.incidents(observer.id()).await;
        incidents.unwrap().len()
    };
    let before = tries().await;
    while tries().await < before + times {
        assert!(Instant::now() < deadline, "it was not looked at again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_download_that_does_not_fit_fetches_nothing_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(24 * MIB) else {
        return;
    };
    let filler = disk.path("filler");
    std::fs::write(&filler, content(16 * MIB)).unwrap();
    let words = format!("{} more bytes are needed, {} are free", 12 * MIB, 8 * MIB);
    let scene = Scene::start().await;
    let make_room = || std::fs::remove_file(&filler).unwrap();
    waits_for_room(&scene, &disk.path("target"), &words, make_room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_room_is_reserved_or_looked_for_before_anything_is_fetched() {
    for reserves in [true, false] {
        let small = Health {
            capacity: 8 * MIB,
            reserves,
            ..Health::default()
        };
        let Some(disk) = Disk::mount(small) else {
            return;
        };
        // A disk without reserving has room until it has none.
        let words = format!(
            "{} more bytes are needed, {} are free; the disk is too small for it, with {} bytes in all",
            12 * MIB,
            8 * MIB,
            8 * MIB
        );
        let scene = Scene::start().await;
        let make_room = || disk.set(|health| health.capacity = 16 * MIB);
        waits_for_room(&scene, &disk.path("target"), &words, make_room).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_quota_that_is_used_up_is_waited_for_alike() {
    let used_up = Health {
        writes: Some(Errno::EDQUOT),
        ..Health::default()
    };
    let Some(disk) = Disk::mount(used_up) else {
        return;
    };
    let scene = Scene::start().await;
    let make_room = || disk.set(|health| health.writes = None);
    let words = "the quota is used up";
    waits_for_room(&scene, &disk.path("target"), words, make_room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_disk_that_fills_on_the_way_keeps_what_came_and_fetches_only_the_rest() {
    let Some(disk) = SmallDisk::mount(44 * MIB) else {
        return;
    };
    let mut scene = Scene::start().await;
    let bytes = content(40 * MIB);
    scene.object("key", &bytes).await;
    let target = disk.path("target");
    std::fs::write(&target, b"what was there before").unwrap();
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &target).await;
    until("three parts came", || {
        let parts = |request: &towline_testserver::Request| {
            request.operation == Operation::GetObject && request.completed
        };
        scene.server.history().count_where(parts) >= 3
    })
    .await;
    let filler = disk.fill();
    parked(&observer, "disk_full").await;
    scene.server.faults().clear();

    // A later process waits as this one did, and shows what is recorded.
    let id = observer.id();
    drop(observer);
    scene.reopen().await;
    let observer = scene.utility.observe(id).await.unwrap();
    let kept = parked(&observer, "disk_full").await.bytes_transferred;
    assert!(kept >= 5 * MIB, "{kept}");
    let fetched = scene.fetched();
    looks(&scene, &observer, 3).await;
    assert_eq!(
        scene.fetched(),
        fetched,
        "nothing is fetched for a full disk"
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"what was there before");

    std::fs::remove_file(filler).unwrap();
    let done = completed(&observer).await;
    assert_eq!(done.generation, 1);
    assert!(std::fs::read(&target).unwrap() == bytes);
    assert_eq!(scene.fetched() - fetched, 40 * MIB - kept);
    assert_eq!(names(disk.dir()), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_full_disk_is_looked_at_less_and_less_often() {
    let small = Health {
        capacity: MIB,
        ..Health::default()
    };
    let Some(disk) = Disk::mount(small) else {
        return;
    };
    let mut scene = Scene::start().await;
    scene.object("key", &content(2 * MIB)).await;
    // With the intervals that everybody has.
    scene.utility.close().await.unwrap();
    scene.utility = crate::builder(scene.server.endpoint(), &scene.path("state"))
        .config(towline::Config::default())
        .open()
        .await
        .unwrap();
    let observer = scene.download("key", &disk.path("target")).await;
    parked(&observer, "disk_full").await;
    let start = Instant::now();
    looks(&scene, &observer, 3).await;
    // 0.25 to 0.5 s, then twice as long each time.
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(1000), "{elapsed:?}");
    let looks = disk.counts().looks;
    assert!(looks <= 20, "{looks} looks in {elapsed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_download_that_waits_for_room_can_be_canceled_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount(44 * MIB) else {
        return;
    };
    let scene = Scene::start().await;
    scene.object("key", &content(40 * MIB)).await;
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &disk.path("target")).await;
    until("bytes came", || observer.bytes_transferred() > 5 * MIB).await;
    disk.fill();
    parked(&observer, "disk_full").await;
    assert!(observer.cancel().await.unwrap());
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    assert_eq!(names(disk.dir()), ["filler"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_spooled_upload_that_does_not_fit_is_refused_and_leaves_no_copy() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let state = disk.path("state");
    let scene = Scene::with_state(tempfile::tempdir().unwrap(), &state).await;
    let upload = scene.utility.upload_data(BUCKET, "key", content(6 * MIB));
    let refused = upload.spool(true).await.unwrap_err();
    assert_eq!(refused.code(), "StoreFull", "{refused}");
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert_eq!(names(&state.join("spool")), [] as [String; 0]);
    let small = scene.utility.upload_data(BUCKET, "key", content(MIB));
    completed(&small.spool(true).await.unwrap()).await;
    assert!(scene.stored("key").unwrap() == content(MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_other_transfers_go_on_while_one_waits_for_room() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let scene = Scene::start().await;
    scene.object("large", &content(12 * MIB)).await;
    scene.object("small", &content(MIB)).await;
    let large = scene.download("large", &disk.path("large")).await;
    parked(&large, "disk_full").await;
    let small = scene.download("small", &disk.path("small")).await;
    completed(&small).await;
    let elsewhere = scene.download("large", &scene.path("large")).await;
    completed(&elsewhere).await;
    parked(&large, "disk_full").await;
    // It is unfinished for a later process too.
    scene.utility.close().await.unwrap();
    let again = open(&scene.server, &scene.path("state")).await;
    let large = again.observe(large.id()).await.unwrap();
    parked(&large, "disk_full").await;
}
