//! The same request again, and a utility that is opened again.

use std::time::Duration;

use towline::{Error, PartSize, State, SubmitError};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, content, open};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_while_it_runs_is_the_same_transfer() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(20 << 20);
    let path = scene.file("source", &content(20 << 20));
    let first = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let second = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    assert_eq!(first.id(), second.id());

    let other = scene.file("other", &content(10));
    let refused = scene
        .utility
        .upload(BUCKET, "key", &other)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Submit(SubmitError::TargetTaken { .. })),
        "{refused}"
    );
    let bigger = PartSize::from_bytes(16 << 20).unwrap();
    let refused = scene
        .utility
        .upload(BUCKET, "key", &path)
        .part_size(bigger)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Submit(SubmitError::OptionsDiffer { .. })),
        "{refused}"
    );

    scene.server.faults().bandwidth(0);
    assert_eq!(first.finished().await.unwrap().state, State::Completed);
    let third = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    assert_ne!(first.id(), third.id());
    assert_eq!(third.finished().await.unwrap().state, State::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_and_opening_again_sends_only_what_is_missing() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(30 << 20);
    let path = scene.file("source", &content(40 << 20));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let confirmed = || {
        scene
            .server
            .history()
            .count_where(|request| request.operation == Operation::UploadPart && request.completed)
    };
    while confirmed() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    scene.utility.close().await.unwrap();
    let before = scene.server.history().requests();
    scene.server.faults().bandwidth(0);

    let utility = open(&scene.server, scene.dir.path().join("state")).await;
    let observer = utility.observe(observer.id()).await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Completed);
    assert_eq!(
        scene.server.object_bytes(BUCKET, "key").unwrap(),
        content(40 << 20)
    );
    for request in before
        .iter()
        .filter(|r| r.operation == Operation::UploadPart && r.completed)
    {
        let part = request.part_number.unwrap();
        assert_eq!(
            scene.server.history().times_part_sent("key", part),
            1,
            "part {part}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_while_closed_starts_a_new_generation_and_leaves_no_upload() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(30 << 20);
    let path = scene.file("source", &content(40 << 20));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    while scene.server.history().bytes_received() < 10 << 20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    scene.utility.close().await.unwrap();
    scene.server.faults().bandwidth(0);
    let mut changed = content(40 << 20);
    changed[7] ^= 1;
    std::fs::write(&path, &changed).unwrap();

    let utility = open(&scene.server, scene.dir.path().join("state")).await;
    let observer = utility.observe(observer.id()).await.unwrap();
    let transfer = observer.finished().await.unwrap();
    assert_eq!((transfer.state, transfer.generation), (State::Completed, 2));
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == changed);
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_leaves_nothing_at_s3() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(20 << 20);
    let path = scene.file("source", &content(40 << 20));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    while scene.server.history().bytes_received() < 5 << 20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    scene.utility.cancel(observer.id()).await.unwrap();
    scene.server.faults().bandwidth(0);
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
}
