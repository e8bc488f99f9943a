//! Multipart uploads: parts, their listing, and what a Complete must get right.

use crate::client::{BUCKET, MIB, Upload, bytes, server};

#[tokio::test]
async fn parts_become_one_object() {
    let (server, client) = server().await;
    let upload = Upload::create(
        &client,
        "key",
        &[("x-amz-meta-a", "b"), ("content-type", "text/plain")],
    )
    .await;
    let body = bytes(11 * MIB);
    // Out of order and with gaps between the numbers.
    let last = upload
        .part(9, body.slice(10 * MIB..))
        .await
        .expect(200)
        .etag();
    let first = upload
        .part(2, body.slice(..5 * MIB))
        .await
        .expect(200)
        .etag();
    let second = upload
        .part(4, body.slice(5 * MIB..10 * MIB))
        .await
        .expect(200)
        .etag();
    client.get("/key").await.expect_error(404, "NoSuchKey");
    let parts = [(2, first.as_str()), (4, &second), (9, &last)];
    upload
        .complete(&parts, &[("x-amz-mp-object-size", "1")])
        .await
        .expect_error(400, "InvalidRequest");
    let completed = upload
        .complete(&parts, &[("x-amz-mp-object-size", "11534336")])
        .await
        .expect(200);
    assert!(
        completed.tag("ETag").ends_with("-3\""),
        "{}",
        completed.tag("ETag")
    );
    assert_eq!(completed.tag("ChecksumType"), "FULL_OBJECT");

    assert!(server.object_bytes(BUCKET, "key").unwrap() == body);
    assert_eq!(server.open_uploads(BUCKET), []);
    assert_eq!(
        server.versions(BUCKET, "key")[0].upload_id.as_ref(),
        Some(&upload.id)
    );
    let get = client.get("/key").await.expect(200);
    assert!(get.body == body);
    assert_eq!(
        (get.header("x-amz-meta-a"), get.header("content-type")),
        ("b", "text/plain")
    );
    let across = [("range", "bytes=5242870-10485769")];
    let range = client.send("GET", "/key", &across, "").await.expect(206);
    assert!(range.body == body[5_242_870..10_485_770]);
    let part = client.get("/key?partNumber=3").await.expect(206);
    assert!(part.body == body[10 * MIB..]);
    assert_eq!(
        part.header("content-range"),
        "bytes 10485760-11534335/11534336"
    );
    assert_eq!(part.header("x-amz-mp-parts-count"), "3");
    client.get("/key?partNumber=4").await.expect(416);
    upload
        .complete(&parts, &[])
        .await
        .expect_error(404, "NoSuchUpload");
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_one_before() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    let old = upload.part(1, "old").await.expect(200).etag();
    let new = upload.part(1, "newer").await.expect(200).etag();
    assert_eq!(upload.list("").await.expect(200).tags("Size"), ["5"]);
    upload
        .complete(&[(1, &old)], &[])
        .await
        .expect_error(400, "InvalidPart");
    upload.complete(&[(1, &new)], &[]).await.expect(200);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"newer");
}

#[tokio::test]
async fn a_complete_that_is_wrong_is_refused_and_the_upload_stays() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    let one = upload.part(1, "one").await.expect(200).etag();
    let two = upload.part(2, "two").await.expect(200).etag();

    upload
        .complete(&[(1, "\"0123\"")], &[])
        .await
        .expect_error(400, "InvalidPart");
    upload
        .complete(&[(3, &one)], &[])
        .await
        .expect_error(400, "InvalidPart");
    upload
        .complete(&[(2, &two), (1, &one)], &[])
        .await
        .expect_error(400, "InvalidPartOrder");
    upload
        .complete(&[(1, &one), (1, &one)], &[])
        .await
        .expect_error(400, "InvalidPartOrder");
    upload
        .complete(&[(1, &one), (2, &two)], &[])
        .await
        .expect_error(400, "EntityTooSmall");
    upload
        .complete(&[], &[])
        .await
        .expect_error(400, "MalformedXML");
    client.put("/key", "there").await.expect(200);
    let absent = [("if-none-match", "*")];
    upload
        .complete(&[(1, &one)], &absent)
        .await
        .expect_error(412, "PreconditionFailed");
    assert_eq!(server.open_uploads(BUCKET)[0].parts, [1, 2]);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"there");
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let (_server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    for number in [1, 2, 3, 7, 10_000] {
        upload.part(number, "x").await.expect(200);
    }
    upload
        .part(10_001, "x")
        .await
        .expect_error(400, "InvalidArgument");
    let first = upload.list("&max-parts=3").await.expect(200);
    assert_eq!(first.tags("PartNumber"), ["1", "2", "3"]);
    assert_eq!(
        (first.tag("IsTruncated"), first.tag("NextPartNumberMarker")),
        ("true".into(), "3".into())
    );
    assert_eq!(first.tags("ChecksumCRC64NVME").len(), 3);
    let second = upload
        .list("&max-parts=3&part-number-marker=3")
        .await
        .expect(200);
    assert_eq!(second.tags("PartNumber"), ["7", "10000"]);
    assert_eq!(second.tag("IsTruncated"), "false");
}

#[tokio::test]
async fn uploads_are_listed_in_pages_by_key_and_age() {
    let (_server, client) = server().await;
    let mut ids = Vec::new();
    for key in ["b", "a", "b", "dir/c", "dir/d"] {
        ids.push((key, Upload::create(&client, key, &[]).await.id));
    }
    ids.sort_by_key(|(key, _)| *key);
    let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();

    let mut seen = Vec::new();
    let mut markers = String::new();
    loop {
        let page = client
            .get(&format!("?{markers}max-uploads=2&uploads="))
            .await
            .expect(200);
        seen.extend(page.tags("UploadId"));
        assert_eq!(page.tags("Initiated").len(), page.tags("UploadId").len());
        if page.tag("IsTruncated") == "false" {
            break;
        }
        let (key, id) = (page.tag("NextKeyMarker"), page.tag("NextUploadIdMarker"));
        markers = format!(
            "key-marker={}&upload-id-marker={id}&",
            key.replace('/', "%2F")
        );
    }
    assert_eq!(seen, ids);

    let of_key = client.get("?prefix=b&uploads=").await.expect(200);
    assert_eq!(of_key.tags("Key"), ["b", "b"]);
    assert_eq!(of_key.tags("ID"), ["test"; 4]);
    let folded = client.get("?delimiter=%2F&uploads=").await.expect(200);
    assert_eq!(folded.tags("UploadId").len(), 3);
    assert!(folded.tags("Prefix").contains(&"dir/".to_owned()));
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    upload.part(1, "x").await.expect(200);
    upload.abort().await.expect(204);
    assert_eq!(server.open_uploads(BUCKET), []);
    upload.abort().await.expect_error(404, "NoSuchUpload");
    upload.list("").await.expect_error(404, "NoSuchUpload");
    upload
        .part(1, bytes(3 * MIB))
        .await
        .expect_error(404, "NoSuchUpload");
}
