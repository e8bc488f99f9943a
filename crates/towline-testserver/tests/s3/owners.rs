//! The owner a client expects, and requests that are at the requester's cost.

use std::time::{Duration, SystemTime};

use towline_testserver::{OWNER_ID, TestServer};

use crate::client::{BUCKET, Client, server};

type Request = (&'static str, String, &'static str);

/// A request of every kind that is about objects or uploads.
async fn requests(client: &Client, headers: &[(&str, &str)]) -> Vec<Request> {
    let put = client.send("PUT", "/there", headers, "hello").await;
    put.expect(200);
    let create = client.send("POST", "/multi?uploads=", headers, "").await;
    let id = create.expect(200).tag("UploadId");
    let part = format!("/multi?partNumber=1&uploadId={id}");
    let put = client.send("PUT", &part, headers, "hello").await;
    let etag = put.expect(200).etag();
    assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"");
    let upload = format!("/multi?uploadId={id}");
    let complete = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>\
                    <ETag>5d41402abc4b2a76b9719d911017c592</ETag></Part></CompleteMultipartUpload>";
    let request = |method, path: &str, body| (method, path.to_owned(), body);
    vec![
        request("PUT", "/key", "hello"),
        request("POST", "/key?uploads=", ""),
        request("PUT", &part, "hello"),
        request("GET", &upload, ""),
        request("GET", "?uploads=", ""),
        request("GET", "?list-type=2", ""),
        request("GET", "", ""),
        request("GET", "/there", ""),
        request("HEAD", "/there", ""),
        request("GET", "/there?acl=", ""),
        request("GET", "/there?tagging=", ""),
        request(
            "PUT",
            "/there?tagging=",
            "<Tagging><TagSet></TagSet></Tagging>",
        ),
        request("DELETE", "/there?tagging=", ""),
        request("POST", &upload, complete),
        request(
            "POST",
            "?delete=",
            "<Delete><Object><Key>multi</Key></Object></Delete>",
        ),
        request("DELETE", "/there", ""),
    ]
}

#[tokio::test]
async fn another_owner_than_expected_refuses_every_operation() {
    let (server, client) = server().await;
    let expects = |owner| [("x-amz-expected-bucket-owner", owner)];
    let mut requests = requests(&client, &expects(OWNER_ID)).await;
    let create = client.send("POST", "/aborted?uploads=", &[], "").await;
    let id = create.expect(200).tag("UploadId");
    requests.push(("DELETE", format!("/aborted?uploadId={id}"), ""));
    let bucket = |method, path: &str| (method, path.to_owned(), "");
    requests.extend([
        bucket("HEAD", ""),
        bucket("GET", "?location="),
        bucket("GET", "?versioning="),
        bucket("DELETE", "?lifecycle="),
        bucket("DELETE", ""),
    ]);
    let before = (
        server.open_uploads(BUCKET),
        server.versions(BUCKET, "there"),
    );
    for (method, path, body) in &requests {
        let other = client
            .send(method, path, &expects("999999999999"), *body)
            .await;
        assert_eq!(other.status, 403, "{method} {path}");
        if *method != "HEAD" {
            other.expect_error(403, "AccessDenied");
        }
    }
    assert_eq!(
        (
            server.open_uploads(BUCKET),
            server.versions(BUCKET, "there")
        ),
        before
    );
    client
        .send("GET", "/there", &expects("owner"), "")
        .await
        .expect_error(400, "InvalidBucketOwnerAWSAccountID");
    // All but the bucket itself, which is not empty.
    for (method, path, body) in &requests[..requests.len() - 1] {
        let mut headers = expects(OWNER_ID).to_vec();
        if path == "?delete=" {
            headers.push(("x-amz-checksum-crc32", "AAAAAA=="));
        }
        let right = client.send(method, path, &headers, *body).await;
        assert!(right.status < 300, "{method} {path} {right:?}");
    }
}

#[tokio::test]
async fn a_requester_who_does_not_say_that_they_pay_is_refused() {
    let server = TestServer::builder()
        .requester_pays(BUCKET)
        .bucket("bucket-free")
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    let pays = [("x-amz-request-payer", "requester")];
    let mut requests = requests(&client, &pays).await;
    let create = client.send("POST", "/aborted?uploads=", &pays, "").await;
    let id = create.expect(200).tag("UploadId");
    requests.push(("DELETE", format!("/aborted?uploadId={id}"), ""));
    for (method, path, body) in &requests {
        for headers in [&[][..], &[("x-amz-request-payer", "owner")]] {
            let refused = client.send(method, path, headers, *body).await;
            assert_eq!(refused.status, 403, "{method} {path}");
            if *method != "HEAD" {
                refused.expect_error(403, "AccessDenied");
            }
        }
    }
    for (method, path, body) in &requests {
        let mut headers = pays.to_vec();
        if path == "?delete=" {
            headers.push(("x-amz-checksum-crc32", "AAAAAA=="));
        }
        let paid = client.send(method, path, &headers, *body).await;
        assert!(paid.status < 300, "{method} {path} {paid:?}");
        let charged = paid.header("x-amz-request-charged");
        assert_eq!(charged, "requester", "{method} {path}");
    }
    // The settings of a bucket are its owner's business, and other buckets are free.
    let head = client.send("HEAD", "", &[], "").await.expect(200);
    assert!(!head.headers.contains_key("x-amz-request-charged"));
    let free = client.put("-free/key", "hello").await.expect(200);
    assert!(!free.headers.contains_key("x-amz-request-charged"));
}

#[tokio::test]
async fn a_presigned_url_may_say_who_pays_and_whom_it_expects() {
    let builder = TestServer::builder().requester_pays(BUCKET);
    let server = builder.start().await.unwrap();
    let client = Client::of(&server);
    let pays = [("x-amz-request-payer", "requester")];
    client.send("PUT", "/key", &pays, "hello").await.expect(200);
    let get = async |query: &str| {
        let path = format!("/key?{query}");
        let uri = client.presign(
            "GET",
            &path,
            &[],
            SystemTime::now(),
            Duration::from_secs(60),
        );
        client.send_as_is("GET", &uri, &[], "").await
    };
    let payer = "x-amz-request-payer=requester";
    get(payer).await.expect(200);
    get("x-id=GetObject")
        .await
        .expect_error(403, "AccessDenied");
    let owner = |id| format!("x-amz-expected-bucket-owner={id}&{payer}");
    get(&owner(OWNER_ID)).await.expect(200);
    get(&owner("999999999999"))
        .await
        .expect_error(403, "AccessDenied");
}
