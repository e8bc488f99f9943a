//! Commands that do not fit the state: they say so and change nothing. T16.

use towline::{Command, Error, State, StoreError, TransferId};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

/// Asks for each of these in vain: false, the transfer as it was, no change to
/// be read, and no request.
async fn change_nothing(scene: &Scene, id: TransferId, commands: &[Command]) {
    let utility = &scene.utility;
    let before = utility.get(id).await.unwrap();
    let (_, cursor) = utility.changes(None, 10).await.unwrap();
    let requests = scene.server.history().requests().len();
    for command in commands {
        let changed = utility.steer(id, *command).await.unwrap();
        assert!(!changed, "{command:?} on {}", before.state);
        assert_eq!(utility.get(id).await.unwrap(), before, "{command:?}");
    }
    let (changes, _) = utility.changes(Some(cursor), 10).await.unwrap();
    assert!(changes.is_empty(), "{changes:?}");
    // Work that comes later is done before anything else could have begun.
    let path = scene.file("later", b"later");
    scene.upload("later", &path).await;
    let after = scene.server.history().requests().split_off(requests);
    let others = after
        .iter()
        .filter(|request| request.key.as_deref() != Some("later"));
    assert_eq!(others.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t16_pause_on_paused_and_controls_on_finished_ones_change_nothing() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(10 * MIB));
    scene.server.faults().bandwidth(2 << 20);
    let paused = scene.utility.upload(BUCKET, "paused", &path).await.unwrap();
    until("it runs", || scene.server.history().bytes_received() > 0).await;
    assert!(paused.pause().await.unwrap());
    let canceled = scene
        .utility
        .upload(BUCKET, "canceled", &path)
        .await
        .unwrap();
    assert!(canceled.cancel().await.unwrap());
    assert_eq!(canceled.finished().await.unwrap().state, State::Canceled);
    scene.server.faults().bandwidth(0);
    let small = scene.file("small", b"small");
    let done = scene.upload("done", &small).await;
    let failed = scene.utility.upload("no-such-bucket", "key", &small);
    let failed = failed.await.unwrap();
    assert_eq!(failed.finished().await.unwrap().state, State::Failed);

    for _ in 0..2 {
        use Command::{Cancel, Pause, Resume, Retry};
        change_nothing(&scene, paused.id(), &[Pause, Retry]).await;
        change_nothing(&scene, done.id, &Command::ALL).await;
        change_nothing(&scene, canceled.id(), &[Pause, Resume, Cancel]).await;
        change_nothing(&scene, failed.id(), &[Pause, Resume]).await;
        scene.reopen().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t16_resume_and_retry_on_a_running_transfer_change_nothing() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    scene.server.faults().bandwidth(8 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    until("it moves", || observer.bytes_transferred() > 1 << 20).await;
    assert!(!observer.resume().await.unwrap());
    assert!(!scene.utility.retry(observer.id()).await.unwrap());
    assert_eq!(observer.state(), State::InProgress);
    scene.server.faults().bandwidth(0);
    completed(observer.finished().await.unwrap());
    let history = scene.server.history();
    assert_eq!(history.count(Operation::CreateMultipartUpload), 1);
    assert_eq!(history.count(Operation::UploadPart), 4);
    assert_eq!(history.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_never_was_cannot_be_steered() {
    let scene = Scene::start().await;
    let never = TransferId::new(4711);
    for command in Command::ALL {
        let error = scene.utility.steer(never, command).await.unwrap_err();
        let unknown = matches!(&error, Error::Store(StoreError::Unknown(id)) if *id == never);
        assert!(unknown, "{command:?}: {error}");
    }
}
