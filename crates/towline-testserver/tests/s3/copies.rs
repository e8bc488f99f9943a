//! CopyObject and UploadPartCopy: bytes from another object, and what S3 refuses.

use crate::client::{BUCKET, MIB, Upload, bytes, server};

const FROM: &str = "x-amz-copy-source";

#[tokio::test]
async fn a_copy_has_what_its_source_carries_unless_it_is_replaced() {
    let (server, client) = server().await;
    let stored = [
        ("content-type", "text/plain"),
        ("x-amz-meta-colour", "blue"),
        ("x-amz-tagging", "a=1&b=2"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ];
    let put = client.send("PUT", "/a%20b", &stored, "hello").await;
    let etag = put.expect(200).etag();
    let from = (FROM, "bucket/a%20b");
    let copied = client.send("PUT", "/copy", &[from], "").await.expect(200);
    assert_eq!(copied.tag("ETag"), etag);
    assert_eq!(copied.tag("ChecksumType"), "FULL_OBJECT");
    assert_eq!(server.object_bytes(BUCKET, "copy").unwrap(), b"hello");
    let head = client.send("HEAD", "/copy", &[], "").await.expect(200);
    assert_eq!(head.header("content-type"), "text/plain");
    assert_eq!(head.header("x-amz-meta-colour"), "blue");
    assert_eq!(head.header("x-amz-tagging-count"), "2");
    assert_eq!(head.header("x-amz-storage-class"), "", "its own");
    let replaced = [
        from,
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-meta-shape", "round"),
    ];
    client.send("PUT", "/copy", &replaced, "").await.expect(200);
    let head = client.send("HEAD", "/copy", &[], "").await.expect(200);
    assert_eq!(head.header("x-amz-meta-shape"), "round");
    assert_eq!(head.header("x-amz-meta-colour"), "");
    assert_eq!(head.header("x-amz-tagging-count"), "");
}

#[tokio::test]
async fn a_copy_is_made_only_of_what_its_conditions_name() {
    let (_server, client) = server().await;
    let etag = client.put("/a", "hello").await.expect(200).etag();
    let from = (FROM, "/bucket/a");
    let only = |etag| [from, ("x-amz-copy-source-if-match", etag)];
    let other = client.send("PUT", "/copy", &only("\"other\""), "").await;
    other.expect_error(412, "PreconditionFailed");
    client
        .send("PUT", "/copy", &only(&etag), "")
        .await
        .expect(200);
    let absent = [from, ("if-none-match", "*")];
    let there = client.send("PUT", "/copy", &absent, "").await;
    there.expect_error(412, "PreconditionFailed");
    let missing = client
        .send("PUT", "/copy", &[(FROM, "bucket/none")], "")
        .await;
    missing.expect_error(404, "NoSuchKey");
    let itself = client.send("PUT", "/a", &[from], "").await;
    itself.expect_error(400, "InvalidRequest");
    let changed = [from, ("x-amz-metadata-directive", "REPLACE")];
    client.send("PUT", "/a", &changed, "").await.expect(200);
}

#[tokio::test]
async fn parts_are_copied_by_ranges_that_the_source_has() {
    let (server, client) = server().await;
    let body = bytes(11 * MIB);
    let etag = client.put("/a", body.clone()).await.expect(200).etag();
    client.put("/small", "hello").await.expect(200);
    let upload = Upload::create(&client, "key", &[]).await;
    let path = |number| format!("/key?partNumber={number}&uploadId={}", upload.id);
    let mut parts = Vec::new();
    for (number, range) in [(1, "bytes=0-6291455"), (2, "bytes=6291456-11534335")] {
        let headers = [
            (FROM, "bucket/a"),
            ("x-amz-copy-source-range", range),
            ("x-amz-copy-source-if-match", &etag),
        ];
        let copied = client
            .send("PUT", &path(number), &headers, "")
            .await
            .expect(200);
        assert!(!copied.tag("ChecksumCRC64NVME").is_empty());
        parts.push(copied.tag("ETag"));
    }
    for range in ["bytes=0-11534336", "bytes=5-", "bytes=2-1", "0-1"] {
        let headers = [(FROM, "bucket/a"), ("x-amz-copy-source-range", range)];
        let refused = client.send("PUT", &path(3), &headers, "").await;
        refused.expect_error(400, "InvalidArgument");
    }
    let headers = [
        (FROM, "bucket/small"),
        ("x-amz-copy-source-range", "bytes=0-1"),
    ];
    let refused = client.send("PUT", &path(3), &headers, "").await;
    refused.expect_error(400, "InvalidRequest");
    let list = [(1, parts[0].as_str()), (2, parts[1].as_str())];
    upload.complete(&list, &[]).await.expect(200);
    assert!(server.object_bytes(BUCKET, "key").unwrap() == body);
}
