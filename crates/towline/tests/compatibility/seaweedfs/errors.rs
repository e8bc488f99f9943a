//! What is no object never ends in a file. T61.

use std::time::{Duration, Instant};

use towline::{
    Connection, ConnectionSource, Credentials, Direction, ParkReason, Reason, State,
    StaticCredentials, Transfer, TransferObserver,
};

use super::{BUCKET, MIB, Scene, code, completed, content, moved, rate};

const OLD: &[u8] = b"what was there before";

/// Nothing but the target is there, and it is as it was before.
fn is_untouched(scene: &Scene, what: &str) {
    assert_eq!(std::fs::read(scene.path("target")).unwrap(), OLD, "{what}");
    let mut names = scene.names();
    // What failed and may be retried keeps its temporary file.
    names.retain(|name| !name.ends_with(".part"));
    assert_eq!(names, ["source", "state", "target"], "{what}");
}

/// Waits until other credentials are waited for.
async fn parked(download: &TransferObserver) -> Transfer {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = download.transfer();
        if now.reason == Some(Reason::Parked(ParkReason::Credentials)) {
            return now;
        }
        assert!(Instant::now() < deadline, "never parked: {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t61_the_body_of_an_error_never_ends_in_the_file_on_seaweedfs() {
    let scene = Scene::start().await;
    let bytes = content(20 * MIB, 1);
    let source = scene.file("source", &bytes);
    let target = scene.file("target", OLD);
    completed(scene.upload("key", &source).await);

    let none = scene.download("none", &target).await;
    assert_eq!(code(&none), "NoSuchKey");
    is_untouched(&scene, "no such key");

    let none = scene.utility.download("no-such-bucket", "key", &target);
    let none = none.await.unwrap().finished().await.unwrap();
    assert!(["NoSuchBucket", "NoSuchKey"].contains(&code(&none)));
    is_untouched(&scene, "no such bucket");

    let stranger = StaticCredentials(Credentials::new("test", "another secret"));
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = towline::TransferUtility::builder()
        .state_dir(elsewhere.path())
        .connection(Connection {
            source: ConnectionSource::Registered("stranger".into()),
            endpoint: Some(scene.server.endpoint().into()),
            region: Some("us-east-1".into()),
            ..Connection::default()
        })
        .credentials("stranger", stranger)
        .open()
        .await
        .unwrap();
    let refused = stranger.download(BUCKET, "key", &target).await.unwrap();
    let parked = parked(&refused).await;
    assert_eq!(parked.error.unwrap().code, "SignatureDoesNotMatch");
    is_untouched(&scene, "another secret");
    refused.cancel().await.unwrap();
    assert_eq!(refused.finished().await.unwrap().state, State::Canceled);
    is_untouched(&scene, "another secret, canceled");
    stranger.close().await.unwrap();

    // Its error comes in the middle of the object.
    let cap = |cap| scene.utility.set_bandwidth(Direction::Download, cap);
    scene.utility.set_limits(Some(1), Some(1)).unwrap();
    cap(rate(4 * MIB)).unwrap();
    let download = scene.utility.download(BUCKET, "key", &target);
    let download = download.await.unwrap();
    moved(&download, 6 * MIB).await;
    scene.utility.delete_object(BUCKET, "key").await.unwrap();
    cap(None).unwrap();
    let deleted = download.finished().await.unwrap();
    assert_eq!(code(&deleted), "NoSuchKey");
    is_untouched(&scene, "deleted on the way");

    // Once there is one again, it comes whole.
    completed(scene.upload("key", &source).await);
    completed(scene.download("key", &target).await);
    assert!(std::fs::read(&target).unwrap() == bytes);
    assert_eq!(scene.names(), ["source", "state", "target"]);
}
