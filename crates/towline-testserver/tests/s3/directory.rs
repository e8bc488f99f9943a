//! Directory mode: what was stored is there after a restart, what was not leaves nothing.

use std::path::Path;

use towline_testserver::TestServer;

use crate::client::{Answer, BUCKET, Client, MIB, Upload, bytes};

async fn start(directory: &Path) -> (TestServer, Client) {
    let server = TestServer::builder()
        .directory(directory)
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    (server, client)
}

fn blobs(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("blobs")).unwrap().count()
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client
        .send("PUT", "/../../key", &[("x-amz-meta-a", "b")], bytes(MIB))
        .await
        .expect(200);
    let enabled = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
    client.put("?versioning=", enabled).await.expect(200);
    let version = client
        .put("/v", "one")
        .await
        .expect(200)
        .header("x-amz-version-id")
        .to_owned();
    client.put("/v", "two").await.expect(200);
    client.send("DELETE", "/v", &[], "").await.expect(204);
    let upload = Upload::create(&client, "multi", &[("x-amz-meta-c", "d")]).await;
    let first = upload.part(1, bytes(5 * MIB)).await.expect(200).etag();
    let id = upload.id.clone();
    let before = (server.versions(BUCKET, "v"), server.open_uploads(BUCKET));
    server.shutdown().await;

    let (server, client) = start(directory.path()).await;
    assert_eq!(
        (server.versions(BUCKET, "v"), server.open_uploads(BUCKET)),
        before
    );
    let get = client.get("/../../key").await.expect(200);
    assert!(get.body == bytes(MIB));
    assert_eq!(get.header("x-amz-meta-a"), "b");
    assert_eq!(
        client
            .get(&format!("/v?versionId={version}"))
            .await
            .expect(200)
            .body,
        "one"
    );
    let upload = Upload {
        client: &client,
        key: "multi",
        id,
    };
    let second = upload.part(2, "end").await.expect(200).etag();
    upload
        .complete(&[(1, &first), (2, &second)], &[])
        .await
        .expect(200);
    assert_eq!(
        client
            .get("/multi")
            .await
            .expect(200)
            .header("x-amz-meta-c"),
        "d"
    );
    server.shutdown().await;

    let (server, _client) = start(directory.path()).await;
    let mut expected = bytes(5 * MIB).to_vec();
    expected.extend_from_slice(b"end");
    assert!(server.object_bytes(BUCKET, "multi").unwrap() == expected);
    assert_eq!(server.open_uploads(BUCKET), []);
}

#[tokio::test]
async fn the_options_of_objects_and_uploads_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    let options = [
        ("content-language", "de"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=1&b=2"),
        ("x-amz-server-side-encryption", "aws:kms"),
    ];
    let told = |answer: &Answer| {
        let names = ["content-language", "expires", "x-amz-tagging-count"];
        let sse = [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
        ];
        let names = names.into_iter().chain(sse);
        let values = names.map(|name| answer.header(name).to_owned());
        values.collect::<Vec<_>>()
    };
    client
        .send("PUT", "/put", &options, "hello")
        .await
        .expect(200);
    let before = told(&client.get("/put").await);
    assert!(before.iter().all(|value| !value.is_empty()), "{before:?}");
    let id = Upload::create(&client, "multi", &options).await.id;
    server.shutdown().await;

    let (_server, client) = start(directory.path()).await;
    let key = "multi";
    let client = &client;
    let upload = Upload { client, key, id };
    let etag = upload.part(1, "hello").await.expect(200).etag();
    upload.complete(&[(1, &etag)], &[]).await.expect(200);
    for key in ["/put", "/multi"] {
        assert_eq!(told(&client.get(key).await.expect(200)), before);
        let acl = client.get(&format!("{key}?acl=")).await.expect(200);
        assert_eq!(acl.tags("Permission"), ["FULL_CONTROL", "READ"]);
        let tags = client.get(&format!("{key}?tagging=")).await.expect(200);
        assert_eq!(tags.tags("Value"), ["1", "2"]);
    }
}

#[tokio::test]
async fn what_a_server_without_these_options_left_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client.put("/key", "hello").await.expect(200);
    server.shutdown().await;
    let bucket = directory.path().join("buckets/6275636b6574");
    let version = std::fs::read_dir(bucket.join("versions")).unwrap().next();
    for file in [bucket.join("bucket.json"), version.unwrap().unwrap().path()] {
        let bytes = std::fs::read(&file).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for (place, name) in [
            ("", "requester_pays"),
            ("", "lifecycle"),
            ("/content/headers", "tags"),
            ("/content/headers", "acl"),
            ("/content/headers", "sse"),
        ] {
            if let Some(fields) = json.pointer_mut(place) {
                fields.as_object_mut().unwrap().remove(name);
            }
        }
        std::fs::write(&file, serde_json::to_vec(&json).unwrap()).unwrap();
    }
    let (_server, client) = start(directory.path()).await;
    assert_eq!(client.get("/key").await.expect(200).body, "hello");
    let acl = client.get("/key?acl=").await.expect(200);
    assert_eq!(acl.tags("Permission"), ["FULL_CONTROL"]);
}

#[tokio::test]
async fn what_is_gone_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client.put("/key", "one").await.expect(200);
    client.put("/key", "two").await.expect(200);
    assert_eq!(blobs(directory.path()), 1, "replaced");
    client
        .send(
            "PUT",
            "/key",
            &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")],
            "bad",
        )
        .await
        .expect(400);
    assert_eq!(blobs(directory.path()), 1, "refused");
    let upload = Upload::create(&client, "key", &[]).await;
    upload.part(1, "a").await.expect(200);
    upload.part(1, "b").await.expect(200);
    let kept = upload.part(2, "c").await.expect(200).etag();
    assert_eq!(blobs(directory.path()), 3);
    upload.complete(&[(2, &kept)], &[]).await.expect(200);
    assert_eq!(
        blobs(directory.path()),
        1,
        "completed without its first part"
    );
    client.send("DELETE", "/key", &[], "").await.expect(204);
    assert_eq!(blobs(directory.path()), 0);

    let stream = client.begin_put("/cut", 3 * MIB, &bytes(MIB)).await;
    while server.history().bytes_received() < MIB as u64 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while blobs(directory.path()) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bytes_that_nothing_names_are_swept_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client.put("/key", "hello").await.expect(200);
    server.shutdown().await;
    std::fs::write(directory.path().join("blobs/left-by-a-killed-run"), "x").unwrap();
    let (server, _client) = start(directory.path()).await;
    assert_eq!(blobs(directory.path()), 1);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn a_directory_that_holds_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(TestServer::builder().directory(file).start().await.is_err());
}

#[tokio::test]
async fn a_complete_cut_short_by_a_kill_is_finished_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    let upload = Upload::create(&client, "key", &[]).await;
    let etag = upload.part(1, "hello").await.expect(200).etag();
    let bucket = directory.path().join("buckets").join("6275636b6574");
    let open = bucket.join("uploads").join(&upload.id);
    let file = std::fs::read(open.join("upload.json")).unwrap();
    let part = std::fs::read(open.join("00001.json")).unwrap();
    upload.complete(&[(1, &etag)], &[]).await.expect(200);
    server.shutdown().await;

    // As if killed between storing the object and removing the upload.
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("upload.json"), file).unwrap();
    std::fs::write(open.join("00001.json"), part).unwrap();
    let (server, _client) = start(directory.path()).await;
    assert_eq!(server.open_uploads(BUCKET), []);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn a_replacement_cut_short_by_a_kill_is_finished_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client.put("/key", "old").await.expect(200);
    let versions = directory.path().join("buckets/6275636b6574/versions");
    let of_old = std::fs::read_dir(&versions)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let old = std::fs::read(&of_old).unwrap();
    client.put("/key", "new").await.expect(200);
    server.shutdown().await;

    // As if killed between storing the new version and removing the old one.
    std::fs::write(&of_old, old).unwrap();
    let (server, _client) = start(directory.path()).await;
    assert_eq!(server.versions(BUCKET, "key").len(), 1);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"new");
    assert!(!of_old.exists());
}
