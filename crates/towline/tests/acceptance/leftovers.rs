//! Uploads that nobody completes are found and aborted, and only those. T66.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use towline::{KeptBecause, S3Connector, State, Timestamp};
use towline_core::{CreateUpload, S3};
use towline_s3::S3Client;
use towline_testserver::Operation;

use crate::{BUCKET, Scene, content, to, until};

const MIB: usize = 1 << 20;

/// A client beside the utility.
fn client(scene: &Scene) -> Arc<S3Client> {
    let connector = S3Connector::with_environment(towline::Environment::default());
    let keys = towline::Credentials::new("test", "testsecret");
    connector.register("test", Arc::new(towline::StaticCredentials(keys)));
    connector.client(&to(scene.server.endpoint())).unwrap()
}

/// Opens uploads as another program does, and leaves them.
async fn open(scene: &Scene, keys: impl IntoIterator<Item = String>) {
    let client = client(scene);
    let opened = futures_util::stream::iter(keys.into_iter().map(|key| {
        let client = client.clone();
        async move {
            let create = CreateUpload {
                bucket: BUCKET.into(),
                key,
                ..CreateUpload::default()
            };
            client.create_multipart_upload(create).await.unwrap()
        }
    }));
    opened.buffer_unordered(8).collect::<Vec<_>>().await;
}

/// A moment between what was opened before and what will be.
async fn moment() -> Timestamp {
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    Timestamp::from_millis(now.as_millis().try_into().unwrap())
}

fn left(scene: &Scene) -> usize {
    scene.server.open_uploads(BUCKET).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_exactly_the_uploads_before_a_date_go_over_more_than_a_thousand() {
    let scene = Scene::start().await;
    // Twenty keys with many uploads each, so that pages break within a key too.
    open(&scene, (0..1005).map(|n| format!("old/{}", n % 20))).await;
    let date = moment().await;
    open(&scene, (0..7).map(|n| format!("old/{n}"))).await;

    let all = scene.utility.leftovers(BUCKET).list().await.unwrap();
    assert_eq!(all.len(), 1012);
    assert!(all.iter().all(|found| found.kept.is_none()));
    assert!(all.is_sorted_by_key(|found| found.key.clone()));

    let before = || scene.utility.leftovers(BUCKET).initiated_before(date);
    let report = before().abort().await.unwrap();
    assert_eq!(report.aborted.len(), 1005);
    assert!(report.kept.is_empty() && report.failed.is_empty());
    assert_eq!(left(&scene), 7);
    assert!(before().list().await.unwrap().is_empty());
    let young = scene.utility.leftovers(BUCKET);
    let young = young.older_than(Duration::from_secs(3600)).abort().await;
    assert!(young.unwrap().aborted.is_empty());
    assert_eq!(left(&scene), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_exactly_the_uploads_of_a_key_go() {
    let scene = Scene::start().await;
    let keys = ["a", "a", "a/b", "ab", "b"];
    open(&scene, keys.map(str::to_owned)).await;
    let of_key = scene.utility.leftovers(BUCKET).key("a");
    assert_eq!(of_key.abort().await.unwrap().aborted.len(), 2);
    let open = scene.server.open_uploads(BUCKET);
    let rest: Vec<_> = open.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(rest, ["a/b", "ab", "b"]);
    let below = scene.utility.leftovers(BUCKET).prefix("a");
    assert_eq!(below.abort().await.unwrap().aborted.len(), 2);
    assert_eq!(left(&scene), 1);
    let none = scene.utility.leftovers(BUCKET).key("b").prefix("c");
    assert!(none.abort().await.unwrap().aborted.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_uploads_of_own_transfers_stay_and_say_whose_they_are() {
    let scene = Scene::start().await;
    let path = scene.file("big", &content(20 * MIB));
    scene.server.faults().bandwidth(8 << 20);
    let own = scene.utility.upload(BUCKET, "big", &path).await.unwrap();
    let history = scene.server.history();
    until("a part is sent", || {
        history.count(Operation::UploadPart) > 0
    })
    .await;
    open(&scene, ["big".to_owned(), "other".to_owned()]).await;

    // While it runs, and while it is paused.
    let abort = || scene.utility.leftovers(BUCKET).older_than(Duration::ZERO);
    let report = abort().abort().await.unwrap();
    assert_eq!(report.aborted.len(), 2);
    assert_eq!(report.kept.len(), 1);
    assert_eq!(report.kept[0].kept, Some(KeptBecause::OfTransfer(own.id())));
    own.pause().await.unwrap();
    let report = abort().abort().await.unwrap();
    assert_eq!((report.aborted.len(), report.kept.len()), (0, 1));

    scene.server.faults().bandwidth(0);
    own.resume().await.unwrap();
    let end = own.finished().await.unwrap();
    assert_eq!((end.state, end.generation), (State::Completed, 1));
    assert_eq!(left(&scene), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_an_upload_whose_answer_is_still_to_come_stays() {
    let scene = Scene::start().await;
    let path = scene.file("big", &content(6 * MIB));
    // S3 opens it, and its answer is lost, time and again.
    let faults = scene.server.faults();
    faults.delay(Operation::ListMultipartUploads, Duration::from_millis(300));
    faults.drop_response(Operation::CreateMultipartUpload, 1);
    faults.delay(Operation::CompleteMultipartUpload, Duration::from_secs(2));
    let own = scene.utility.upload(BUCKET, "big", &path).await.unwrap();
    until("it is open", || left(&scene) == 1).await;
    let all = scene.utility.leftovers(BUCKET).older_than(Duration::ZERO);
    let report = all.abort().await.unwrap();
    assert!(report.aborted.is_empty());
    assert_eq!(report.kept.len(), 1);
    let end = own.finished().await.unwrap();
    assert_eq!((end.state, end.generation), (State::Completed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_an_upload_that_is_gone_already_is_no_failure_and_a_refusal_is_told() {
    let scene = Scene::start().await;
    open(&scene, ["a", "b"].map(str::to_owned)).await;
    let faults = scene.server.faults();
    faults.fail_next(Operation::AbortMultipartUpload, 1, 404, "NoSuchUpload");
    let of = |key: &str| scene.utility.leftovers(BUCKET).key(key);
    assert_eq!(of("a").abort().await.unwrap().aborted.len(), 1);
    faults.fail_next(Operation::AbortMultipartUpload, 1, 403, "AccessDenied");
    let report = of("b").abort().await.unwrap();
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].1.code(), "AccessDenied");
}

#[tokio::test]
async fn t66_nothing_is_aborted_without_a_key_a_prefix_or_an_age() {
    let scene = Scene::start().await;
    open(&scene, ["a".to_owned()]).await;
    let error = scene.utility.leftovers(BUCKET).abort().await.unwrap_err();
    assert_eq!(error.code(), "Unbounded");
    let empty = scene.utility.leftovers(BUCKET).prefix("").abort().await;
    assert_eq!(empty.unwrap_err().code(), "Unbounded");
    assert_eq!(left(&scene), 1);
}
