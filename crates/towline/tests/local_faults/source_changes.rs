//! Row 64: a source changes while it is uploaded. That one is rewritten in
//! place and truncated is in `towline-cli`'s `faults/uploads.rs`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use towline::{TransferObserver, WhenSourceChanges};
use towline_testserver::{Operation, Point, Rule};

use crate::{BUCKET, MIB, Scene, completed, content, failed, until};

/// What it is, and how it is done.
type Change = (&'static str, fn(&Path));

/// What may happen to a file, each in the middle of its upload.
const CHANGES: [Change; 6] = [
    ("grows", |path| append(path, b"more")),
    ("shrinks", |path| open(path).set_len(7 * MIB).unwrap()),
    ("rewritten", |path| {
        open(path).write_all_at(b"other bytes", 3).unwrap();
    }),
    ("rewritten, its time set back", |path| {
        let file = open(path);
        let before = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"other bytes", 3).unwrap();
        file.set_modified(before).unwrap();
    }),
    ("replaced", |path| {
        let other = path.with_extension("new");
        std::fs::write(&other, content(9 * MIB)).unwrap();
        std::fs::rename(&other, path).unwrap();
    }),
    ("touched", |path| {
        open(path).set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }),
];

fn open(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// An upload of three parts that is held up once all bytes of its last part are
/// at the server: at the next request, Complete is all that is missing.
async fn before_complete(scene: &Scene, policy: WhenSourceChanges) -> (PathBuf, TransferObserver) {
    let source = scene.file("source", &content(12 * MIB));
    // The other parts come first: only this one waits.
    let hold = Some(Duration::from_secs(1));
    scene.play(
        Rule::on(Operation::UploadPart)
            .part(3)
            .first(1)
            .stall(Point::AfterRequest, hold),
    );
    let upload = scene.utility.upload(BUCKET, "key", &source);
    let observer = upload.when_source_changes(policy).await.unwrap();
    until("all parts are at the server", || {
        let requests = scene.server.history().requests();
        let parts = requests
            .iter()
            .filter(|r| r.operation == Operation::UploadPart);
        parts.filter(|part| part.received_whole).count() == 3
    })
    .await;
    (source, observer)
}

fn completes(scene: &Scene) -> usize {
    scene
        .server
        .history()
        .count(Operation::CompleteMultipartUpload)
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_source_that_changes_just_before_complete_is_uploaded_as_it_is_then() {
    for (what, change) in CHANGES {
        let scene = Scene::start().await;
        let (source, observer) = before_complete(&scene, WhenSourceChanges::Restart).await;
        change(&source);
        let done = completed(&observer).await;
        assert_eq!(done.generation, 2, "{what}");
        let now = std::fs::read(&source).unwrap();
        assert!(scene.stored("key").unwrap() == now, "{what}");
        assert_eq!(completes(&scene), 1, "{what}: never of a mix");
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 1, "{what}");
        assert_eq!(scene.server.open_uploads(BUCKET), [], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_source_that_changes_between_its_parts_is_uploaded_as_it_is_then() {
    for (what, change) in CHANGES {
        let scene = Scene::start().await;
        let source = scene.file("source", &content(12 * MIB));
        // The second part is read when the first one is there, at the earliest.
        scene.utility.set_limits(Some(1), Some(1)).unwrap();
        let hold = Some(Duration::from_millis(300));
        let first = Rule::on(Operation::UploadPart).part(1).first(1);
        scene.play(first.stall(Point::AfterRequest, hold));
        let observer = scene.upload("key", &source).await;
        until("the first part is there", || {
            let parts =
                |r: &towline_testserver::Request| r.part_number == Some(1) && r.received_whole;
            scene.server.history().count_where(parts) == 1
        })
        .await;
        change(&source);
        let done = completed(&observer).await;
        assert_eq!(done.generation, 2, "{what}");
        let now = std::fs::read(&source).unwrap();
        assert!(scene.stored("key").unwrap() == now, "{what}");
        assert_eq!(scene.server.open_uploads(BUCKET), [], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_source_that_changes_during_its_one_put_is_never_stored_half() {
    for (what, change) in &CHANGES[2..] {
        let scene = Scene::start().await;
        let source = scene.file("source", &content(4 * MIB));
        scene.server.faults().bandwidth(4 << 20);
        let observer = scene.upload("key", &source).await;
        until("half of it is sent", || {
            scene.server.history().bytes_received() > 2 * MIB
        })
        .await;
        change(&source);
        scene.server.faults().clear();
        let done = completed(&observer).await;
        assert_eq!(done.generation, 2, "{what}");
        let now = std::fs::read(&source).unwrap();
        assert!(scene.stored("key").unwrap() == now, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_source_that_changes_after_its_one_put_was_sent_is_put_again() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(MIB));
    let hold = Some(Duration::from_secs(1));
    scene.play(
        Rule::on(Operation::PutObject)
            .first(1)
            .stall(Point::AfterRequest, hold),
    );
    let observer = scene.upload("key", &source).await;
    until("it is at the server", || {
        scene.server.history().bytes_received() >= MIB
    })
    .await;
    append(&source, b"more");
    let done = completed(&observer).await;
    assert_eq!(done.generation, 2);
    assert!(scene.stored("key").unwrap() == std::fs::read(&source).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_source_that_is_deleted_fails_and_leaves_nothing() {
    let scene = Scene::start().await;
    let (source, observer) = before_complete(&scene, WhenSourceChanges::Restart).await;
    std::fs::remove_file(&source).unwrap();
    let (code, message) = failed(&observer).await;
    assert_eq!(code, "SourceMissing");
    assert!(message.contains(source.to_str().unwrap()), "{message}");
    assert_eq!((scene.stored("key"), completes(&scene)), (None, 0));
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_with_the_policy_fail_a_changed_source_fails_says_how_and_leaves_nothing() {
    for ((what, change), said) in CHANGES.into_iter().zip([
        "it grew from 12582912 to 12582916 bytes",
        "it shrank from 12582912 to 7340032 bytes",
        "it was written to",
        "it was written to",
        "another file has its name now",
        "it was written to",
    ]) {
        let scene = Scene::start().await;
        let (source, observer) = before_complete(&scene, WhenSourceChanges::Fail).await;
        change(&source);
        let (code, message) = failed(&observer).await;
        assert_eq!(code, "SourceChanged", "{what}");
        assert!(message.contains(said), "{what}: {message}");
        assert_eq!(scene.stored("key"), None, "{what}");
        assert_eq!(scene.server.open_uploads(BUCKET), [], "{what}");
        assert_eq!(
            scene
                .server
                .history()
                .count(Operation::CreateMultipartUpload),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_a_source_that_changed_between_two_sessions_is_uploaded_as_it_is_now() {
    for policy in [
        WhenSourceChanges::Restart,
        WhenSourceChanges::Fail,
        WhenSourceChanges::AllowGrowth,
    ] {
        let mut scene = Scene::start().await;
        let source = scene.file("source", &content(12 * MIB));
        scene.play(
            Rule::on(Operation::UploadPart)
                .part(3)
                .stall(Point::BeforeRead, None),
        );
        let upload = scene.utility.upload(BUCKET, "key", &source);
        let observer = upload.when_source_changes(policy).await.unwrap();
        until("two parts are recorded", || {
            observer.bytes_transferred() >= 10 * MIB
        })
        .await;
        let id = observer.id();
        drop(observer);
        scene.utility.close().await.unwrap();
        scene.server.faults().clear();
        append(&source, b"more");
        scene.utility = crate::open(&scene.server, &scene.path("state")).await;
        let observer = scene.utility.observe(id).await.unwrap();
        match policy {
            WhenSourceChanges::Restart => {
                assert_eq!(completed(&observer).await.generation, 2);
                let now = std::fs::read(&source).unwrap();
                assert!(scene.stored("key").unwrap() == now);
            }
            WhenSourceChanges::Fail => assert_eq!(failed(&observer).await.0, "SourceChanged"),
            WhenSourceChanges::AllowGrowth => {
                assert_eq!(completed(&observer).await.generation, 1);
                assert!(scene.stored("key").unwrap() == content(12 * MIB));
            }
        }
        assert_eq!(scene.server.open_uploads(BUCKET), []);
    }
}
