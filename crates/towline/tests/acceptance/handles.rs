//! What is known of a transfer in a later process, and its blocking forms. T8, T9,
//! T20, T28, T52.

use towline::{Config, Error, State, Transfer, Wait};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;

/// What a later process has to know as this one does.
fn lasting(transfer: &Transfer) -> impl PartialEq + std::fmt::Debug + use<> {
    let told = transfer.clone();
    (
        (told.id, told.direction, told.state, told.outcome),
        (told.bucket, told.key, told.version_id, told.path),
        (told.bytes_total, told.bytes_transferred, told.generation),
        (told.error, told.verified, told.etag, told.endpoint),
        (told.created_at, told.updated_at),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn t28_a_later_process_knows_a_transfer_as_this_one_did() {
    let mut scene = Scene::start().await;
    let source = scene.file("source", &content(12 * MIB));
    let done = scene.upload("done", &source).await;
    let request = scene.utility.upload("no-such-bucket", "failed", &source);
    let failed = request.await.unwrap().finished().await.unwrap();
    assert_eq!(failed.state, State::Failed);
    scene.server.faults().bandwidth(4 << 20);
    let observer = scene
        .utility
        .upload(BUCKET, "paused", &source)
        .await
        .unwrap();
    crate::until("a part is recorded", || {
        observer.bytes_transferred() > 5 << 20
    })
    .await;
    observer.pause().await.unwrap();
    let paused = scene.utility.get(observer.id()).await.unwrap();
    drop(observer);
    scene.reopen().await;
    for before in [done, failed, paused] {
        let after = scene.utility.observe(before.id).await.unwrap();
        assert_eq!(lasting(&after.transfer()), lasting(&before));
        let after = scene.utility.get(before.id).await.unwrap();
        assert_eq!(lasting(&after), lasting(&before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t52_an_error_has_what_s3_said_and_how_often_it_was_tried_in_a_later_process_too() {
    let mut config = Config::default();
    config.retry_limit = 2;
    let mut scene = Scene::with(config).await;
    let source = scene.file("source", b"bytes");
    scene
        .server
        .faults()
        .fail_next(Operation::PutObject, 100, 500, "InternalError");
    let observer = scene.utility.upload(BUCKET, "key", &source).await.unwrap();
    let failed = observer.finished().await.unwrap();
    let error = failed.error.clone().unwrap();
    assert_eq!(
        (error.code.as_str(), error.http_status),
        ("InternalError", Some(500))
    );
    assert!(
        !error.message.is_empty() && error.request_id.is_some(),
        "{error:?}"
    );
    assert_eq!(error.attempts, 3);
    let incidents = scene.utility.incidents(failed.id).await.unwrap();
    assert_eq!(incidents.len(), 3, "{incidents:#?}");
    scene.reopen().await;
    let later = scene.utility.get(failed.id).await.unwrap();
    assert_eq!(later.error, failed.error);
    assert_eq!(scene.utility.incidents(failed.id).await.unwrap(), incidents);
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_a_canceled_and_a_failed_transfer_named_for_it_start_anew_and_complete() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(12 * MIB));
    scene.server.faults().bandwidth(4 << 20);
    let canceled = scene
        .utility
        .upload(BUCKET, "canceled", &source)
        .await
        .unwrap();
    crate::until("it is under way", || canceled.bytes_transferred() > 0).await;
    canceled.cancel().await.unwrap();
    canceled.finished().await.unwrap();
    scene.server.faults().clear();
    scene
        .server
        .faults()
        .fail_next(Operation::UploadPart, 1, 403, "AccessDenied");
    let failed = scene
        .utility
        .upload(BUCKET, "failed", &source)
        .await
        .unwrap();
    assert_eq!(failed.finished().await.unwrap().state, State::Failed);
    for (key, observer) in [("canceled", canceled), ("failed", failed)] {
        assert!(observer.retry().await.unwrap());
        let again = scene.utility.observe(observer.id()).await.unwrap();
        completed(again.finished().await.unwrap());
        let object = scene.server.object_bytes(BUCKET, key).unwrap();
        assert!(object == content(12 * MIB));
    }
    assert!(scene.server.open_uploads(BUCKET).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_the_default_bucket_is_used_where_none_is_given_and_none_at_all_is_an_error() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    let refused = scene.utility.upload("", "key", &source).await.unwrap_err();
    assert_eq!(refused.code(), "NoBucket");
    assert!(scene.server.history().requests().is_empty());
    let utility = crate::builder(scene.server.endpoint(), scene.dir.path().join("other"))
        .default_bucket(BUCKET)
        .open()
        .await
        .unwrap();
    let observer = utility.upload("", "key", &source).await.unwrap();
    assert_eq!(completed(observer.finished().await.unwrap()).bucket, BUCKET);
    let other = utility
        .upload("no-such-bucket", "key", &source)
        .await
        .unwrap();
    assert_eq!(other.finished().await.unwrap().bucket, "no-such-bucket");
}

/// Without any runtime of the caller's.
#[test]
fn t8_blocking_forms_give_the_same_results_and_the_same_errors() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::start());
    let utility = scene.utility.clone();
    let source = scene.file("source", &content(6 * MIB));
    let target = scene.dir.path().join("target");

    let observer = utility.upload(BUCKET, "key", &source).wait().unwrap();
    completed(observer.finished().wait().unwrap());
    let observer = utility.download(BUCKET, "key", &target).wait().unwrap();
    completed(observer.finished().wait().unwrap());
    assert!(std::fs::read(&target).unwrap() == content(6 * MIB));
    let data = utility
        .download_stream(BUCKET, "key")
        .to_bytes()
        .wait()
        .unwrap();
    assert!(data == content(6 * MIB));
    let observer = utility
        .upload_data(BUCKET, "data", data)
        .spool(true)
        .wait()
        .unwrap();
    completed(observer.finished().wait().unwrap());

    let missing = scene.dir.path().join("no-such");
    let refused = utility.upload(BUCKET, "key", &missing).wait().unwrap_err();
    let awaited = runtime.block_on(utility.upload(BUCKET, "key", &missing).into_future());
    let awaited = awaited.unwrap_err();
    assert_eq!(refused.code(), "SourceMissing");
    assert_eq!(refused.to_string(), awaited.to_string());
    let failed = utility.download_stream(BUCKET, "none").to_bytes().wait();
    match failed.unwrap_err() {
        Error::Ended(transfer) => assert_eq!(transfer.error.unwrap().code, "NoSuchKey"),
        other => panic!("{other}"),
    }
    utility.close().wait().unwrap();
}
