//! What a request says of its body is checked, and what is stored says its checksum.

use crate::client::{BUCKET, Upload, server};

/// Of "hello".
const CRC32: &str = "NhCmhg==";
const CRC32C: &str = "mnG7TA==";
const CRC64NVME: &str = "M3eFcAZSQlc=";
const SHA1: &str = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";
const SHA256: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
const MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";

#[tokio::test]
async fn a_right_checksum_is_accepted_and_told_again() {
    let (_server, client) = server().await;
    for (header, value) in [
        ("x-amz-checksum-crc32", CRC32),
        ("x-amz-checksum-crc32c", CRC32C),
        ("x-amz-checksum-crc64nvme", CRC64NVME),
        ("x-amz-checksum-sha1", SHA1),
        ("x-amz-checksum-sha256", SHA256),
    ] {
        let put = client
            .send("PUT", "/key", &[(header, value)], "hello")
            .await
            .expect(200);
        assert_eq!(put.header(header), value);
        assert_eq!(put.header("x-amz-checksum-type"), "FULL_OBJECT");

        let enabled = [("x-amz-checksum-mode", "ENABLED")];
        let head = client.send("HEAD", "/key", &enabled, "").await.expect(200);
        assert_eq!(head.header(header), value);
        let get = client.get("/key").await.expect(200);
        assert_eq!(get.header(header), "", "no checksum unless asked for");
    }
    client
        .send("PUT", "/key", &[("content-md5", MD5)], "hello")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_stored() {
    let (server, client) = server().await;
    for (header, value) in [
        ("x-amz-checksum-crc32", CRC32),
        ("x-amz-checksum-crc32c", CRC32C),
        ("x-amz-checksum-crc64nvme", CRC64NVME),
        ("x-amz-checksum-sha1", SHA1),
        ("x-amz-checksum-sha256", SHA256),
        ("content-md5", MD5),
    ] {
        client
            .send("PUT", "/key", &[(header, value)], "hellO")
            .await
            .expect_error(400, "BadDigest");
    }
    assert_eq!(server.versions(BUCKET, "key"), []);
}

#[tokio::test]
async fn a_malformed_checksum_is_refused() {
    let (_server, client) = server().await;
    let put = async |header, value| {
        client
            .send("PUT", "/key", &[(header, value)], "hello")
            .await
    };
    put("content-md5", "abc")
        .await
        .expect_error(400, "InvalidDigest");
    put("x-amz-checksum-crc32", "abc")
        .await
        .expect_error(400, "InvalidRequest");
    put("x-amz-checksum-crc32", CRC64NVME)
        .await
        .expect_error(400, "InvalidRequest");
}

#[tokio::test]
async fn two_checksums_are_one_too_many() {
    let (_server, client) = server().await;
    let both = [
        ("x-amz-checksum-crc32", CRC32),
        ("x-amz-checksum-sha1", SHA1),
    ];
    client
        .send("PUT", "/key", &both, "hello")
        .await
        .expect_error(400, "InvalidRequest");
}

#[tokio::test]
async fn without_a_checksum_the_server_takes_a_crc64nvme() {
    let (_server, client) = server().await;
    let put = client.put("/key", "hello").await.expect(200);
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), CRC64NVME);
    assert_eq!(put.header("x-amz-checksum-type"), "FULL_OBJECT");
}

#[tokio::test]
async fn a_checksum_may_follow_the_body() {
    let (server, client) = server().await;
    let send = async |crc: &str| {
        let chunked = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n");
        let headers = [
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "5"),
        ];
        let payload = crate::client::Payload::Hash("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        client
            .try_send("PUT", "/key", &headers, chunked, payload)
            .await
            .unwrap()
    };
    send("AAAAAA==").await.expect_error(400, "BadDigest");
    assert_eq!(server.versions(BUCKET, "key"), []);
    assert_eq!(
        send(CRC32).await.expect(200).header("x-amz-checksum-crc32"),
        CRC32
    );
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
    let requests = server.history().requests();
    let received = requests
        .iter()
        .map(|it| (it.content_received(), it.received_whole));
    assert_eq!(received.collect::<Vec<_>>(), [(5, true), (5, true)]);
    assert!(requests.iter().all(|it| it.bytes_received > 5), "as sent");
    assert_eq!(client.get("/key").await.header("content-encoding"), "");
}

#[tokio::test]
async fn a_part_with_a_wrong_checksum_is_refused_and_not_listed() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    let wrong = [("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")];
    upload
        .part_with(1, &wrong, "hello")
        .await
        .expect_error(400, "BadDigest");
    assert!(server.open_uploads(BUCKET)[0].parts.is_empty());

    let other = [("x-amz-checksum-crc32", CRC32)];
    upload
        .part_with(1, &other, "hello")
        .await
        .expect_error(400, "InvalidRequest");

    let right = [("x-amz-checksum-crc64nvme", CRC64NVME)];
    let part = upload.part_with(1, &right, "hello").await.expect(200);
    assert_eq!(part.header("x-amz-checksum-crc64nvme"), CRC64NVME);
    assert_eq!(upload.list("").await.tag("ChecksumCRC64NVME"), CRC64NVME);
}

#[tokio::test]
async fn a_full_object_checksum_of_parts_is_the_one_of_the_bytes() {
    let (_server, client) = server().await;
    let declared = [
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ];
    let upload = Upload::create(&client, "key", &declared).await;
    let body = crate::client::bytes(6 * crate::client::MIB);
    let (first, second) = (
        body.slice(..5 * crate::client::MIB),
        body.slice(5 * crate::client::MIB..),
    );
    let parts = [
        upload.part(1, first).await.expect(200).etag(),
        upload.part(2, second).await.expect(200).etag(),
    ];
    let parts = [(1, parts[0].as_str()), (2, parts[1].as_str())];
    upload
        .complete(&parts, &[("x-amz-checksum-crc32", CRC32)])
        .await
        .expect_error(400, "BadDigest");
    let single = client
        .send(
            "PUT",
            "/whole",
            &[("x-amz-checksum-type", "FULL_OBJECT")],
            body,
        )
        .await;
    let completed = upload.complete(&parts, &[]).await.expect(200);
    assert_eq!(completed.tag("ChecksumType"), "FULL_OBJECT");

    // The same bytes in one PUT with that checksum prove it.
    let crc32 = completed.tag("ChecksumCRC32");
    assert_eq!(
        single.expect(200).header("x-amz-checksum-type"),
        "FULL_OBJECT"
    );
    let headers = [("x-amz-checksum-crc32", crc32.as_str())];
    client
        .send(
            "PUT",
            "/again",
            &headers,
            crate::client::bytes(6 * crate::client::MIB),
        )
        .await
        .expect(200);
}

#[tokio::test]
async fn a_composite_checksum_is_told_with_the_number_of_parts() {
    let (_server, client) = server().await;
    let upload = Upload::create(&client, "key", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let part = upload
        .part_with(1, &[("x-amz-checksum-sha256", SHA256)], "hello")
        .await
        .expect(200);
    let etag = part.etag();

    upload
        .complete(&[(1, &etag)], &[])
        .await
        .expect_error(400, "InvalidRequest");
    let wrong = format!(
        "<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>\
         <ChecksumSHA256>AAAAul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</ChecksumSHA256></Part>"
    );
    upload
        .complete_with(&wrong, &[])
        .await
        .expect_error(400, "InvalidPart");
    let right = format!(
        "<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><ChecksumSHA256>{SHA256}</ChecksumSHA256></Part>"
    );
    let completed = upload.complete_with(&right, &[]).await.expect(200);
    assert_eq!(completed.tag("ChecksumType"), "COMPOSITE");
    // SHA-256 of the SHA-256 of "hello".
    assert_eq!(
        completed.tag("ChecksumSHA256"),
        "lZXJ35AHUUjrBoYDZd8zWEt1v/eCpRDGzUiDpBmDPVA=-1".to_owned()
    );

    let enabled = [("x-amz-checksum-mode", "ENABLED")];
    let part = client
        .send("HEAD", "/key?partNumber=1", &enabled, "")
        .await
        .expect(206);
    assert_eq!(part.header("x-amz-checksum-sha256"), SHA256);
    assert_eq!(part.header("x-amz-mp-parts-count"), "1");
}

#[tokio::test]
async fn an_algorithm_and_a_type_that_do_not_fit_are_refused() {
    let (_server, client) = server().await;
    for (algorithm, kind) in [
        ("SHA256", "FULL_OBJECT"),
        ("CRC64NVME", "COMPOSITE"),
        ("CRC16", "FULL_OBJECT"),
    ] {
        let headers = [
            ("x-amz-checksum-algorithm", algorithm),
            ("x-amz-checksum-type", kind),
        ];
        client
            .send("POST", "/key?uploads=", &headers, "")
            .await
            .expect_error(400, "InvalidRequest");
    }
}
