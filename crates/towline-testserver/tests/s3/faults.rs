//! The faults, seen from the client's side of the socket.

use std::time::{Duration, Instant};

use towline_testserver::Operation;

use crate::client::{BUCKET, MIB, Payload, Upload, bytes, server};

#[tokio::test]
async fn a_failed_request_is_not_applied() {
    let (server, client) = server().await;
    server
        .faults()
        .fail_next(Operation::PutObject, 2, 503, "SlowDown");
    client
        .put("/key", bytes(6 * MIB))
        .await
        .expect_error(503, "SlowDown");
    client
        .put("/key", "hello")
        .await
        .expect_error(503, "SlowDown");
    assert_eq!(server.versions(BUCKET, "key"), []);
    client.put("/key", "hello").await.expect(200);
}

#[tokio::test]
async fn a_dropped_response_hides_what_was_applied() {
    let (server, client) = server().await;
    let upload = Upload::create(&client, "key", &[]).await;
    let etag = upload.part(1, "hello").await.expect(200).etag();
    server
        .faults()
        .drop_response(Operation::CompleteMultipartUpload, 1);
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let path = format!("/key?uploadId={}", upload.id);
    client
        .try_send("POST", &path, &[], xml, Payload::Signed)
        .await
        .expect_err("the connection is cut");
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
    assert_eq!(server.open_uploads(BUCKET), []);
    let requests = server.history().requests();
    assert_eq!((requests[2].status, requests[2].completed), (None, false));
}

#[tokio::test]
async fn offline_cuts_what_runs_and_refuses_what_comes() {
    let (server, client) = server().await;
    client.put("/key", bytes(8 * MIB)).await.expect(200);
    server.faults().bandwidth(MIB as u64);
    let (cut, ()) = tokio::join!(
        client.try_send("GET", "/key", &[], "", Payload::Signed),
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.faults().offline(true);
        }
    );
    assert!(cut.is_err());
    assert!(
        client
            .try_send("GET", "/key", &[], "", Payload::Signed)
            .await
            .is_err()
    );
    server.faults().clear();
    client.get("/key").await.expect(200);
}

#[tokio::test]
async fn bandwidth_bounds_uploads_too() {
    let (server, client) = server().await;
    server.faults().bandwidth(10 * MIB as u64);
    let start = Instant::now();
    client.put("/key", bytes(4 * MIB)).await.expect(200);
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_delay_holds_only_its_operation() {
    let (server, client) = server().await;
    server
        .faults()
        .delay(Operation::HeadObject, Duration::from_millis(150));
    let start = Instant::now();
    client.send("HEAD", "/key", &[], "").await.expect(404);
    assert!(start.elapsed() >= Duration::from_millis(150));
}
