//! What an object carries besides its bytes, and keys as they come. T7, T63 in part.

use std::collections::HashMap;

use crate::{BUCKET, Scene, content};

/// What the server shows of an object, by a client that is not ours to trust.
async fn headers(scene: &Scene, key: &str) -> HashMap<String, String> {
    use towline_core::{Connector, GetObject};
    let connector = towline_s3::S3Connector::new();
    connector.register(
        "test",
        std::sync::Arc::new(towline::StaticCredentials(towline::Credentials::new(
            "test",
            "testsecret",
        ))),
    );
    let connection = towline::Connection {
        source: towline::ConnectionSource::Registered("test".into()),
        endpoint: Some(scene.server.endpoint()),
        region: Some("us-east-1".into()),
        ..towline::Connection::default()
    };
    let s3 = connector
        .connect(towline::TransferId::START, &connection)
        .unwrap();
    let request = GetObject {
        bucket: BUCKET.into(),
        key: key.into(),
        ..GetObject::default()
    };
    let head = s3.head_object(request).await.unwrap();
    let mut headers: HashMap<_, _> = head.metadata.into_iter().collect();
    headers.insert("content-type".into(), head.content_type.unwrap_or_default());
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_the_content_type_is_by_extension_and_an_explicit_one_wins() {
    let scene = Scene::start().await;
    for size in [10, 6 << 20] {
        for (name, explicit, expected) in [
            ("a.jpg", None, "image/jpeg"),
            ("a.json", None, "application/json"),
            ("no-extension", None, "application/octet-stream"),
            ("b.jpg", Some("text/x-own"), "text/x-own"),
        ] {
            let path = scene.file(name, &content(size));
            let mut request = scene
                .utility
                .upload(BUCKET, name, &path)
                .metadata("camera", "x1");
            if let Some(explicit) = explicit {
                request = request.content_type(explicit);
            }
            let observer = request.await.unwrap();
            crate::completed(observer.finished().await.unwrap());
            let headers = headers(&scene, name).await;
            assert_eq!(headers["content-type"], expected, "{name}, {size} bytes");
            assert_eq!(headers["camera"], "x1", "{name}, {size} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_keys_of_every_kind_come_back_as_they_went() {
    let scene = Scene::start().await;
    let long = "k".repeat(1024);
    for key in [
        "sp ace+plus",
        "ünï/çødé",
        "a%2Fb",
        "a//b",
        "q?x=1&y#z",
        "../up",
        "/leading",
        "a/./b/../c",
        "~(x)'!*",
        &long,
    ] {
        let path = scene.file("source", key.as_bytes());
        scene.upload(key, &path).await;
        let transfer = scene.download(key, "target").await;
        assert_eq!(
            std::fs::read(&transfer.path).unwrap(),
            key.as_bytes(),
            "{key}"
        );
    }
}
