//! Row 66: what is no regular file is no source, and no target.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use towline::{Query, TransferObserver};
use towline_testserver::{Operation, Point, Rule};

use crate::{BUCKET, MIB, Scene, content, failed, until};

fn fifo(path: &PathBuf) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Nothing may wait for the other end of a FIFO.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(20), what);
    soon.await.expect("it hangs")
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_what_is_no_regular_file_is_refused_at_the_call_with_the_reason() {
    let scene = Scene::start().await;
    let (named, linked) = (scene.path("fifo"), scene.path("link"));
    fifo(&named);
    std::os::unix::fs::symlink(&named, &linked).unwrap();
    let socket = scene.path("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, kind) in [
        (named, "it is a FIFO"),
        (linked, "it is a FIFO"),
        (socket, "it is a socket"),
        (PathBuf::from("/dev/zero"), "it is a device"),
        (PathBuf::from("/dev/null"), "it is a device"),
    ] {
        let upload = async { scene.utility.upload(BUCKET, "key", &path).await };
        let error = soon(upload).await.unwrap_err();
        assert_eq!(error.code(), "SourceUnreadable", "{error}");
        let (text, path) = (error.to_string(), path.display());
        assert_eq!(
            text,
            format!("cannot read {path}: {kind}, not a regular file")
        );
    }
    let upload = async { scene.utility.upload(BUCKET, "key", scene.dir.path()).await };
    assert_eq!(soon(upload).await.unwrap_err().code(), "IsDirectory");
    let (found, _) = scene.utility.find(Query::default()).await.unwrap();
    assert_eq!(found.len(), 0);
    assert_eq!(scene.server.history().requests().len(), 0);
}

/// An upload whose source is a FIFO once it is about to be opened again.
async fn swapped(scene: &Scene, part: u32) -> TransferObserver {
    let source = scene.file("source", &content(12 * MIB));
    scene.utility.set_limits(Some(1), Some(1)).unwrap();
    let hold = Some(Duration::from_millis(500));
    let held = Rule::on(Operation::UploadPart).part(part).first(1);
    scene.play(held.stall(Point::AfterRequest, hold));
    let observer = scene.upload("key", &source).await;
    until("the part is at the server", || {
        let sent =
            |r: &towline_testserver::Request| r.part_number == Some(part) && r.received_whole;
        scene.server.history().count_where(sent) == 1
    })
    .await;
    std::fs::remove_file(&source).unwrap();
    fifo(&source);
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_a_source_that_a_fifo_takes_the_place_of_fails_and_nothing_hangs() {
    // Before the next part is read, and before Complete.
    for part in [1, 3] {
        let scene = Scene::start().await;
        let observer = swapped(&scene, part).await;
        let (code, message) = soon(failed(&observer)).await;
        assert_eq!(code, "SourceUnreadable");
        assert!(message.contains("it is a FIFO"), "{message}");
        assert_eq!(scene.stored("key"), None);
        assert_eq!(scene.server.open_uploads(BUCKET), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_a_fifo_in_the_place_of_a_queued_source_is_not_waited_for() {
    let mut scene = Scene::start().await;
    let source = scene.file("source", &content(MIB));
    scene.server.faults().offline(true);
    let observer = scene.upload("key", &source).await;
    let id = observer.id();
    drop(observer);
    scene.utility.close().await.unwrap();
    std::fs::remove_file(&source).unwrap();
    fifo(&source);
    scene.server.faults().offline(false);
    scene.utility = crate::open(&scene.server, &scene.path("state")).await;
    let observer = scene.utility.observe(id).await.unwrap();
    let (code, message) = soon(failed(&observer)).await;
    assert_eq!(code, "SourceUnreadable");
    assert!(message.contains("it is a FIFO"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_a_device_or_fifo_is_no_target() {
    let scene = Scene::start().await;
    scene.object("key", b"bytes").await;
    let target = scene.path("fifo");
    fifo(&target);
    for (path, kind) in [(target, "a FIFO"), (PathBuf::from("/dev/null"), "a device")] {
        let download = async { scene.utility.download(BUCKET, "key", &path).await };
        let error = soon(download).await.unwrap_err();
        assert_eq!(error.code(), "TargetUnwritable");
        let said = format!("it is {kind}, not a regular file");
        assert!(error.to_string().contains(&said), "{error}");
    }
    assert_eq!(scene.server.history().count(Operation::HeadObject), 0);
}
