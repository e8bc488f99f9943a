//! Exactly the uploads before a date are aborted, over more than a thousand. T66.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use towline::{
    Connection, ConnectionSource, Credentials, Environment, S3Connector, StaticCredentials,
    Timestamp,
};
use towline_core::{CreateUpload, S3};
use towline_s3::S3Client;

use super::{BUCKET, Scene};

/// A client beside the utility.
fn client(scene: &Scene) -> Arc<S3Client> {
    let connector = S3Connector::with_environment(Environment::default());
    let keys = StaticCredentials(Credentials::new("test", "testsecret"));
    connector.register("test", Arc::new(keys));
    let connection = Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(scene.server.endpoint().into()),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    connector.client(&connection).unwrap()
}

/// Opens uploads as another program does, and leaves them.
async fn leave(scene: &Scene, keys: impl IntoIterator<Item = String>) {
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

#[tokio::test(flavor = "multi_thread")]
async fn t66_exactly_the_uploads_before_a_date_go_on_seaweedfs() {
    let scene = Scene::start().await;
    leave(&scene, (0..1005).map(|n| format!("old/{n:04}"))).await;
    let date = moment().await;
    leave(&scene, (0..7).map(|n| format!("old/{n:04}"))).await;
    let all = || scene.utility.leftovers(BUCKET);
    let listed = all().list().await.unwrap();
    assert_eq!(listed.len(), 1012);
    // It lists them by their ids.
    assert!(listed.is_sorted_by_key(|found| found.key.clone()));

    let report = all().initiated_before(date).abort().await.unwrap();
    assert_eq!(report.aborted.len(), 1005);
    assert!(report.kept.is_empty() && report.failed.is_empty());
    assert_eq!(scene.open_uploads(), 7);
    let before = all().initiated_before(date).list().await.unwrap();
    assert!(before.is_empty());
    let young = all().older_than(Duration::from_secs(3600)).abort().await;
    assert!(young.unwrap().aborted.is_empty());
    assert_eq!(scene.open_uploads(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_exactly_the_uploads_of_a_key_go_though_a_thousand_others_begin_with_it_on_seaweedfs() {
    let scene = Scene::start().await;
    leave(&scene, (0..1100).map(|n| format!("video{n:04}"))).await;
    let keys = ["video"; 3].into_iter().chain(["vide", "videos"]);
    leave(&scene, keys.map(str::to_owned)).await;
    let of_key = || scene.utility.leftovers(BUCKET).key("video");
    assert_eq!(of_key().abort().await.unwrap().aborted.len(), 3);
    assert!(of_key().list().await.unwrap().is_empty());
    let rest = scene.utility.leftovers(BUCKET).list().await.unwrap();
    assert_eq!(rest.len(), 1102);
}
