//! What the history says of requests, whole and cut.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline_testserver::{OWNER_ID, Operation, TestServer};

use crate::client::{BUCKET, MIB, Upload, bytes, server};

/// Waits for what the server notes in its own time.
async fn eventually(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("it never came true");
}

#[tokio::test]
async fn every_request_is_told_in_order() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "some%20key", &[]).await;
    let etag = upload.part(1, "hello").await.expect(200).etag();
    upload.complete(&[(1, &etag)], &[]).await.expect(200);
    client
        .send("GET", "/some%20key", &[("range", "bytes=1-3")], "")
        .await
        .expect(206);
    client.get("/other").await.expect(404);

    let requests = server.history().requests();
    let operations: Vec<Operation> = requests.iter().map(|request| request.operation).collect();
    assert_eq!(
        operations,
        [
            Operation::CreateMultipartUpload,
            Operation::UploadPart,
            Operation::CompleteMultipartUpload,
            Operation::GetObject,
            Operation::GetObject,
        ]
    );
    let part = &requests[1];
    assert_eq!(
        (part.key.as_deref(), part.part_number),
        (Some("some key"), Some(1))
    );
    assert_eq!(part.upload_id.as_ref(), Some(&upload.id));
    assert_eq!(
        (part.bytes_received, part.received_whole, part.status),
        (5, true, Some(200))
    );
    let range = &requests[3];
    assert_eq!(
        (range.range.as_deref(), range.bytes_sent),
        (Some("bytes=1-3"), 3)
    );
    assert!(requests.iter().all(|request| request.completed));
    assert_eq!(server.history().times_part_sent("some key", 1), 1);
    assert_eq!(server.history().count(Operation::GetObject), 2);

    server.history().clear();
    assert_eq!(server.history().requests().len(), 0);
    client.get("/other").await.expect(404);
    assert_eq!(server.history().requests()[0].sequence, 6);
}

#[tokio::test]
async fn the_headers_of_a_request_are_told_but_no_secret() {
    let (server, client) = server().await;
    let headers = [
        ("user-agent", "a client/1.0"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-expected-bucket-owner", OWNER_ID),
        ("range", "bytes=0-4"),
        ("if-match", "\"etag\""),
        ("x-amz-security-token", "secret-token"),
    ];
    client.send("GET", "/key", &headers, "").await.expect(404);
    let request = &server.history().requests()[0];
    for (name, value) in &headers[..5] {
        assert_eq!(request.header(name), Some(*value), "{name}");
    }
    assert_eq!(request.header("if-none-match"), None);
    assert_eq!(request.header("authorization"), None);
    assert!(!format!("{request:?}").contains("secret-token"));

    // Directly on the socket: two headers of one name, and a presigned signature.
    let uri = client.presign(
        "GET",
        "/key",
        &[],
        SystemTime::now(),
        Duration::from_secs(60),
    );
    let twice = [
        ("cache-control", "no-cache"),
        ("cache-control", "max-age=0"),
    ];
    client.send_as_is("GET", &uri, &twice, "").await.expect(404);
    let request = &server.history().requests()[1];
    assert_eq!(request.header("cache-control"), Some("no-cache, max-age=0"));
    assert!(!format!("{request:?}").contains("X-Amz-Signature"));
}

#[tokio::test]
async fn a_cut_upload_stores_nothing_and_counts_what_arrived() {
    let (server, client) = server().await;
    let stream = client.begin_put("/key", 3 * MIB, &bytes(MIB)).await;
    eventually(|| server.history().bytes_received() == MIB as u64).await;
    drop(stream);
    client.get("/key").await.expect_error(404, "NoSuchKey");
    let requests = server.history().requests();
    assert_eq!(requests[0].operation, Operation::PutObject);
    assert!(!requests[0].received_whole && !requests[0].completed);
    assert_eq!(server.versions(BUCKET, "key"), []);
}

#[tokio::test]
async fn a_cut_download_counts_what_was_sent() {
    let (server, client) = server().await;
    let size = 32 * MIB;
    client.put("/key", bytes(size)).await.expect(200);
    server.history().clear();
    server.faults().bandwidth(2 * MIB as u64);

    let get = client.get("/key");
    assert!(
        tokio::time::timeout(Duration::from_millis(500), get)
            .await
            .is_err()
    );
    server.faults().bandwidth(0);
    let requests = server.history().requests();
    assert!(!requests[0].completed);
    let sent = server.history().bytes_sent();
    assert!(sent > 0 && sent < size as u64 / 4, "{sent}");
}

#[tokio::test]
async fn a_refusal_is_read_although_the_body_was_not() {
    let (_server, client) = server().await;
    // Far more than the socket buffers hold.
    client
        .put("-missing/key", bytes(24 * MIB))
        .await
        .expect_error(404, "NoSuchBucket");
}

#[tokio::test]
async fn a_body_announced_with_expect_is_not_asked_for_when_refused() {
    let (server, _client) = server().await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    let head =
        "PUT /bucket/key HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn requests_share_a_connection() {
    let (server, _client) = server().await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /bucket/key HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]);
        assert!(head.starts_with("HTTP/1.1 403"), "{head}");
        assert!(
            head.contains("AccessDenied"),
            "unsigned requests are refused: {head}"
        );
    }
    assert_eq!(server.history().count(Operation::GetObject), 3);
}

#[tokio::test]
async fn the_control_route_serves_other_processes() {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    crate::client::Client::of(&server)
        .put("/key", "hello")
        .await
        .expect(200);
    let ask = async |line: &str| {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let history = ask("GET /_towline/history").await;
    assert!(history.contains("\"operation\":\"PutObject\""), "{history}");
    assert!(
        ask("POST /_towline/bandwidth?bytes=1000")
            .await
            .starts_with("HTTP/1.1 204")
    );
    assert!(ask("GET /_towline/other").await.starts_with("HTTP/1.1 404"));
    assert_eq!(
        server.history().requests().len(),
        1,
        "the route itself is no S3 request"
    );
}
