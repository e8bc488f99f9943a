//! Presigned URLs: good for what was signed and as long as was said, and for nothing else.

use std::time::{Duration, SystemTime};

use towline_testserver::Script;

use crate::client::{BUCKET, server};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_object_is_put_and_fetched_without_another_signature() {
    let (server, client) = server().await;
    let now = SystemTime::now();
    let typed = [("content-type", "text/plain")];
    let put = client.presign("PUT", "/a%20key", &typed, now, HOUR);
    client
        .send_as_is("PUT", &put, &typed, "hello")
        .await
        .expect(200);
    assert_eq!(server.object_bytes(BUCKET, "a key").unwrap(), b"hello");
    let get = client.presign(
        "GET",
        "/a%20key?response-content-type=image%2Fpng",
        &[],
        now,
        HOUR,
    );
    let answer = client.send_as_is("GET", &get, &[], "").await.expect(200);
    assert_eq!(answer.body, "hello");
    assert_eq!(answer.header("content-type"), "image/png");
    let ranged = [("range", "bytes=1-2")];
    let part = client.send_as_is("GET", &get, &ranged, "").await;
    assert_eq!(part.expect(206).body, "el");
}

#[tokio::test]
async fn whatever_was_not_signed_is_refused() {
    let (server, client) = server().await;
    client.put("/key", "hello").await.expect(200);
    client.put("/other", "secret").await.expect(200);
    let now = SystemTime::now();
    let get = client.presign("GET", "/key", &[], now, HOUR);
    let send = async |method, uri: &str, headers: &[(&str, &str)]| {
        client.send_as_is(method, uri, headers, "").await
    };
    for tampered in [
        get.replace("/key", "/other"),
        get.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        format!("{get}&versionId=null"),
    ] {
        send("GET", &tampered, &[])
            .await
            .expect_error(403, "SignatureDoesNotMatch");
    }
    send("PUT", &get, &[])
        .await
        .expect_error(403, "SignatureDoesNotMatch");
    send("DELETE", &get, &[])
        .await
        .expect_error(403, "SignatureDoesNotMatch");

    let typed = [("content-type", "text/plain")];
    let put = client.presign("PUT", "/key", &typed, now, HOUR);
    for headers in [&[("content-type", "text/html")][..], &[]] {
        send("PUT", &put, headers)
            .await
            .expect_error(403, "SignatureDoesNotMatch");
    }
    let added = [typed[0], ("x-amz-acl", "public-read")];
    let refused = send("PUT", &put, &added).await;
    assert_eq!(refused.tag("HeadersNotSigned"), "x-amz-acl");
    refused.expect_error(403, "AccessDenied");
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");

    let stranger = client.with_secret("another secret");
    let get = stranger.presign("GET", "/key", &[], now, HOUR);
    stranger
        .send_as_is("GET", &get, &[], "")
        .await
        .expect_error(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    let (server, client) = server().await;
    client.put("/key", "hello").await.expect(200);
    let get = async |at, expires| {
        let uri = client.presign("GET", "/key", &[], at, expires);
        client.send_as_is("GET", &uri, &[], "").await
    };
    let now = SystemTime::now();
    let expired = get(now - 2 * MINUTE, MINUTE).await;
    assert_eq!(expired.tag("Message"), "Request has expired");
    assert_eq!(expired.tag("X-Amz-Expires"), "60");
    expired.expect_error(403, "AccessDenied");
    get(now - 2 * MINUTE, 3 * MINUTE).await.expect(200);
    get(now + 2 * MINUTE, MINUTE).await.expect(200);
    let early = get(now + HOUR, HOUR).await;
    assert_eq!(early.tag("Message"), "Request is not yet valid");
    early.expect_error(403, "AccessDenied");
    let faults = server
        .history()
        .count_where(|request| request.fault.is_some());
    assert_eq!(faults, 0, "S3 itself refuses these");
}

#[tokio::test]
async fn a_url_expires_by_the_clock_of_the_server() {
    let (server, client) = server().await;
    client.put("/key", "hello").await.expect(200);
    let get = async |at, expires| {
        let uri = client.presign("GET", "/key", &[], at, expires);
        client.send_as_is("GET", &uri, &[], "").await
    };
    let now = SystemTime::now();
    let ahead = Script::from_json(r#"{"rules": [], "clock_offset_s": 7200}"#).unwrap();
    server.faults().play(ahead).unwrap();
    get(now, HOUR).await.expect_error(403, "AccessDenied");
    get(now, 3 * HOUR).await.expect(200);
    get(now + 2 * HOUR, MINUTE).await.expect(200);

    let behind = Script::from_json(r#"{"rules": [], "clock_offset_s": -7200}"#).unwrap();
    server.faults().play(behind).unwrap();
    get(now, HOUR).await.expect_error(403, "AccessDenied");
    get(now - 2 * HOUR, MINUTE).await.expect(200);
    let uri = client.presign("GET", "/key", &[], now - 2 * HOUR, MINUTE);
    client
        .send_as_is("GET", &uri.replace("/key", "/other"), &[], "")
        .await
        .expect_error(403, "SignatureDoesNotMatch");
    let put = client.presign("PUT", "/new", &[], now - 2 * HOUR, MINUTE);
    client
        .send_as_is("PUT", &put, &[], "hello")
        .await
        .expect(200);
    assert_eq!(server.object_bytes(BUCKET, "new").unwrap(), b"hello");
}

#[tokio::test]
async fn a_url_that_says_too_little_or_too_much_is_refused() {
    let (_server, client) = server().await;
    let now = SystemTime::now();
    let week = client.presign("GET", "/key", &[], now, 7 * 24 * HOUR);
    client
        .send_as_is("GET", &week, &[], "")
        .await
        .expect_error(404, "NoSuchKey");
    let expires = |value: &str| week.replace("Expires=604800", value);
    for tampered in [
        expires("Expires=604801"),
        expires("Expires=-1"),
        expires("Expires=soon"),
        expires("Other=1"),
        week.replace("X-Amz-SignedHeaders", "X-Amz-Other"),
    ] {
        client
            .send_as_is("GET", &tampered, &[], "")
            .await
            .expect_error(400, "AuthorizationQueryParametersError");
    }
    let path = week.strip_prefix("/bucket").unwrap();
    client.get(path).await.expect_error(400, "InvalidArgument");
}
