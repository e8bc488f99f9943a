//! Rows 62 and 63: a disk that fails to sync, and one that fails to read.

use std::collections::BTreeSet;

use towline_testserver::Operation;

use crate::{BUCKET, MIB, Scene, completed, content, failed, names};
use towline_testkit::disk::{Disk, Health};

fn healthy() -> Option<Disk> {
    Disk::mount(Health::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn f62_after_a_failed_sync_everything_is_fetched_again_into_another_file() {
    let Some(disk) = healthy() else { return };
    let scene = Scene::start().await;
    let bytes = content(12 * MIB);
    scene.object("key", &bytes).await;
    disk.set(|health| health.failing_syncs = 1);
    let observer = scene.download("key", &disk.path("target")).await;
    let done = completed(&observer).await;
    assert_eq!(done.generation, 2);
    // The disk has lost what it could not sync: the bytes are right only if
    // none of the first file's are among them.
    assert!(std::fs::read(disk.path("target")).unwrap() == bytes);
    let counts = disk.counts();
    assert_eq!((counts.failed_syncs, counts.creates), (1, 2));
    assert_eq!(names(disk.dir()), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f62_a_failed_sync_on_the_way_is_no_different() {
    let Some(disk) = healthy() else { return };
    let scene = Scene::start().await;
    // What was written is synced every 256 MiB.
    let bytes = content(MIB + 7).repeat(272);
    scene.object("key", &bytes).await;
    disk.set(|health| health.failing_syncs = 1);
    let observer = scene.download("key", &disk.path("target")).await;
    let done = completed(&observer).await;
    assert_eq!(done.generation, 2);
    assert!(std::fs::read(disk.path("target")).unwrap() == bytes);
    assert_eq!(disk.counts().failed_syncs, 1);
    assert_eq!(names(disk.dir()), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f62_a_disk_that_never_syncs_fails_the_download_and_harms_nothing() {
    let Some(disk) = healthy() else { return };
    let scene = Scene::start().await;
    scene.object("key", &content(MIB)).await;
    std::fs::write(disk.path("target"), b"what was there before").unwrap();
    disk.set(|health| health.failing_syncs = u32::MAX);
    let observer = scene.download("key", &disk.path("target")).await;
    let (code, message) = failed(&observer).await;
    assert_eq!(code, "SyncFailed");
    assert!(message.contains("cannot sync"), "{message}");
    assert!(
        message.ends_with("it was started from zero 3 times before"),
        "{message}"
    );
    assert_eq!(disk.counts().failed_syncs, 4);
    assert_eq!(names(disk.dir()), ["target"]);
    let there = std::fs::read(disk.path("target")).unwrap();
    assert_eq!(there, b"what was there before");
}

#[tokio::test(flavor = "multi_thread")]
async fn f62_a_name_that_may_not_survive_a_power_failure_is_no_success() {
    let Some(disk) = healthy() else { return };
    let scene = Scene::start().await;
    let bytes = content(MIB);
    scene.object("key", &bytes).await;
    disk.set(|health| health.failing_directory_syncs = u32::MAX);
    let observer = scene.download("key", &disk.path("target")).await;
    let (code, message) = failed(&observer).await;
    assert_eq!(code, "TargetUnwritable");
    let said = "it is there, but its directory could not be synced";
    assert!(message.contains(said), "{message}");
    assert!(std::fs::read(disk.path("target")).unwrap() == bytes);
    assert_eq!(names(disk.dir()), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f63_three_read_errors_of_a_source_are_forgiven() {
    for (size, bad) in [(12 * MIB, 7 * MIB + 12_345), (2 * MIB, MIB + 5)] {
        let Some(disk) = healthy() else { return };
        let scene = Scene::start().await;
        let bytes = content(size);
        std::fs::write(disk.path("source"), &bytes).unwrap();
        disk.set(|health| health.bad_byte = Some((bad, 3)));
        let observer = scene.upload("key", &disk.path("source")).await;
        let done = completed(&observer).await;
        assert_eq!(done.generation, 1);
        assert_eq!(disk.counts().failed_reads, 3);
        assert!(scene.stored("key").unwrap() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f63_a_fourth_read_error_fails_with_its_place_and_what_was_sent_is_kept_for_a_retry() {
    let Some(disk) = healthy() else { return };
    let scene = Scene::start().await;
    let bytes = content(12 * MIB);
    let source = disk.path("source");
    std::fs::write(&source, &bytes).unwrap();
    let bad = 7 * MIB + 12_345;
    disk.set(|health| health.bad_byte = Some((bad, u32::MAX)));
    let observer = scene.upload("key", &source).await;
    let (code, message) = failed(&observer).await;
    assert_eq!(code, "SourceReadFailed");
    let said = format!("cannot read {} at byte {bad}: ", source.display());
    assert!(message.starts_with(&said), "{message}");
    assert_eq!(disk.counts().failed_reads, 4);
    assert_eq!(scene.stored("key"), None);
    let confirmed = || -> BTreeSet<u32> {
        let requests = scene.server.history().requests();
        let parts = requests.iter().filter(|request| {
            request.operation == Operation::UploadPart && request.status == Some(200)
        });
        parts.filter_map(|request| request.part_number).collect()
    };
    let before = confirmed();
    assert!(!before.contains(&2), "{before:?}");

    disk.set(|health| health.bad_byte = None);
    assert!(observer.retry().await.unwrap());
    let observer = scene.utility.observe(observer.id()).await.unwrap();
    completed(&observer).await;
    assert!(scene.stored("key").unwrap() == bytes);
    for part in before {
        assert_eq!(scene.server.history().times_part_sent("key", part), 1);
    }
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}
