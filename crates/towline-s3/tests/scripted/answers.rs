//! Answers that are wrong in what they say.

use std::time::Duration;

use futures_util::StreamExt;
use towline_core::{ListObjects, S3, S3ErrorKind};

use super::server::{Script, Step, http};
use super::{client, complete, deletion, object, put, upload};

#[tokio::test]
async fn an_error_under_status_200_of_complete_is_an_error() {
    let xml = "<?xml version=\"1.0\"?>\n   \n<Error><Code>InternalError</Code><Message>m</Message></Error>";
    let server = Script::answering(http("200 OK", "x-amz-request-id: R\r\n", xml)).await;
    let error = complete(&client(&server.endpoint)).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Answer);
    assert_eq!((error.status, error.code()), (Some(200), "InternalError"));
    assert_eq!(error.request_id.as_deref(), Some("R"));
    assert!(error.request_sent);
}

#[tokio::test]
async fn what_is_no_answer_to_complete_is_malformed() {
    let deep = "<a>".repeat(40);
    let long = format!(
        "<CompleteMultipartUploadResult><ETag>{}",
        "x".repeat(70_000)
    );
    for body in [
        "",
        "   ",
        "OK",
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag>",
        "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
        "<ListPartsResult/>",
        "<html><body>Please log in</body></html>",
        "<!DOCTYPE html><html></html>",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><CompleteMultipartUploadResult><ETag>&e;</ETag></CompleteMultipartUploadResult>",
        &deep,
        &long,
    ] {
        let server = Script::answering(http("200 OK", "", body)).await;
        let error = complete(&client(&server.endpoint)).await.unwrap_err();
        assert_eq!(error.kind, S3ErrorKind::Malformed, "{body:.60}");
        assert_eq!(error.status, Some(200));
        assert!(error.request_sent);
    }
}

#[tokio::test]
async fn an_answer_of_complete_that_breaks_off_is_a_transport_error() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<?xml version=\"1.0\"?>  ";
    let server = Script::play(vec![Step::AnswerAndClose(answer.to_vec())]).await;
    let error = complete(&client(&server.endpoint)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.status),
        (S3ErrorKind::Transport, Some(200))
    );
    assert!(error.request_sent);
}

#[tokio::test]
async fn an_empty_etag_of_complete_is_no_etag() {
    let xml = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
    let server = Script::answering(http("200 OK", "x-amz-version-id: v\r\n", xml)).await;
    let stored = complete(&client(&server.endpoint)).await.unwrap();
    assert_eq!(
        (stored.etag, stored.version_id.as_deref()),
        (None, Some("v"))
    );
}

#[tokio::test]
async fn an_error_of_head_has_no_body_and_leaves_the_connection_usable() {
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 300\r\nx-amz-request-id: R\r\n\r\n";
    let found = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"e\"\r\n\r\n";
    let server = Script::play(vec![Step::Answer(head.into()), Step::Answer(found.into())]).await;
    let client = client(&server.endpoint);
    let error = client.head_object(object()).await.unwrap_err();
    assert!(error.is_not_found() && error.code.is_none() && !error.reused_connection);
    assert_eq!(
        client.head_object(object()).await.unwrap().size,
        Some(12_345)
    );
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let xml = "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.evil.test</Endpoint></Error>";
    let headers = "x-amz-bucket-region: eu-west-1\r\nLocation: http://evil.test/\r\n";
    let server = Script::answering(http("301 Moved Permanently", headers, xml)).await;
    let error = client(&server.endpoint)
        .get_object(object())
        .await
        .unwrap_err();
    assert_eq!(
        (error.status, error.code()),
        (Some(301), "PermanentRedirect")
    );
    assert_eq!(error.region.as_deref(), Some("eu-west-1"));
    assert_eq!(error.location.as_deref(), Some("http://evil.test/"));
    assert!(!error.location_is_of_endpoint && error.message.contains("redirect refused"));
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_time_says_how_much() {
    let headers = "Retry-After: 7\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\n";
    let answer = http(
        "503 Slow Down",
        headers,
        "<Error><Code>SlowDown</Code></Error>",
    );
    let server = Script::answering(answer).await;
    let error = put(&client(&server.endpoint), 1).await.unwrap_err();
    assert_eq!((error.status, error.code()), (Some(503), "SlowDown"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.server_date.unwrap().as_millis(), 1_369_353_600_000);
    assert_eq!((error.body_sent, error.request_sent), (65_536, true));
}

#[tokio::test]
async fn an_error_page_that_is_not_s3s_has_a_status_and_no_code() {
    let html = format!("<html>{}</html>", "x".repeat(200_000));
    let server = Script::answering(http("502 Bad Gateway", "", &html)).await;
    let error = put(&client(&server.endpoint), 1).await.unwrap_err();
    assert_eq!((error.kind, error.status), (S3ErrorKind::Answer, Some(502)));
    assert_eq!(error.code, None);
}

#[tokio::test]
async fn the_page_of_a_captive_portal_is_no_success_of_any_operation() {
    let page = || {
        http(
            "200 OK",
            "Content-Type: text/html\r\n",
            "<html>Log in</html>",
        )
    };
    let foreign = Some(S3ErrorKind::Foreign);
    let server = Script::play(vec![Step::Answer(page()); 8]).await;
    let client = client(&server.endpoint);
    let kind = |error: towline_core::S3Error| error.kind;
    assert_eq!(put(&client, 1).await.map_err(kind).err(), foreign);
    assert_eq!(complete(&client).await.map_err(kind).err(), foreign);
    assert_eq!(
        client.get_object(object()).await.map_err(kind).err(),
        foreign
    );
    let aborted = client.abort_multipart_upload(&upload()).await;
    assert_eq!(aborted.map_err(kind).err(), foreign);
    assert_eq!(
        client.list_parts(&upload(), None).await.map_err(kind).err(),
        foreign
    );
    let deleted = client.delete_object(deletion("bucket", "key")).await;
    assert_eq!(deleted.map_err(kind).err(), foreign);
}

#[tokio::test]
async fn a_redirect_that_is_not_s3s_is_somebody_elses() {
    let portal = "Content-Type: text/html\r\nLocation: http://portal.test/\r\n";
    for (status, headers, body, kind) in [
        ("302 Found", portal, "<html></html>", S3ErrorKind::Foreign),
        (
            "511 Network Authentication Required",
            "",
            "",
            S3ErrorKind::Foreign,
        ),
        (
            "407 Proxy Authentication Required",
            "",
            "<html></html>",
            S3ErrorKind::Foreign,
        ),
        (
            "307 Temporary Redirect",
            portal,
            "<Error><Code>TemporaryRedirect</Code></Error>",
            S3ErrorKind::Answer,
        ),
        (
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-west-1\r\n",
            "",
            S3ErrorKind::Answer,
        ),
        ("403 Forbidden", "", "<html></html>", S3ErrorKind::Answer),
        (
            "503 Service Unavailable",
            "",
            "<html></html>",
            S3ErrorKind::Answer,
        ),
    ] {
        let server = Script::answering(http(status, headers, body)).await;
        let error = put(&client(&server.endpoint), 1).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_port_is_not_followed_even_if_that_is_asked_for() {
    let found = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"e\"\r\n\r\n";
    let there = Script::play(vec![Step::Answer(found.into())]).await;
    let xml = "<Error><Code>TemporaryRedirect</Code></Error>";
    let location = format!("Location: {}/bucket/key\r\n", there.endpoint);
    let here = Script::play(vec![
        Step::Answer(http(
            "307 Temporary Redirect",
            &location,
            xml
        ));
        2
    ])
    .await;
    let client = client(&here.endpoint);
    let error = client.get_object(object()).await.unwrap_err();
    assert!(
        !error.location_is_of_endpoint,
        "another port is another endpoint"
    );
    client.set_redirect(error.location.as_deref().unwrap());
    assert!(
        client.get_object(object()).await.is_err(),
        "what was refused is not followed"
    );
    assert!(there.heads().is_empty());
}

#[tokio::test]
async fn answers_over_a_limit_are_malformed() {
    let many: String = (0..150).map(|i| format!("x-{i}: v\r\n")).collect();
    let large: String = (0..9)
        .map(|i| format!("x-{i}: {}\r\n", "v".repeat(8000)))
        .collect();
    let huge = format!("x: {}\r\n", "v".repeat(2 << 20));
    for headers in [many, large, huge] {
        let answer = http("200 OK", &format!("{headers}ETag: \"e\"\r\n"), "");
        let server = Script::answering(answer).await;
        let error = put(&client(&server.endpoint), 1).await.unwrap_err();
        assert_eq!(error.kind, S3ErrorKind::Malformed, "{error}");
    }
}

#[tokio::test]
async fn an_endless_page_ends_at_its_limit() {
    let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    let server = Script::play(vec![Step::Flood(first.into(), chunk.into())]).await;
    let error = client(&server.endpoint)
        .list_objects(ListObjects {
            bucket: "bucket".into(),
            ..ListObjects::default()
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Malformed);
}

#[tokio::test]
async fn endless_informational_answers_end_at_their_limit() {
    let again = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(8);
    let server = Script::play(vec![Step::Flood(Vec::new(), again)]).await;
    let error = put(&client(&server.endpoint), 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Malformed);
    let few = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(3);
    let answer = [few, http("200 OK", "ETag: \"e\"\r\n", "")].concat();
    let server = Script::answering(answer).await;
    assert!(put(&client(&server.endpoint), 1).await.is_ok());
}

#[tokio::test]
async fn ranges_that_do_not_add_up_are_malformed() {
    for head in [
        "206 Partial Content\r\nContent-Length: 10",
        "206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-99/100",
        "206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/5",
        "206 Partial Content\r\nContent-Length: 10\r\nContent-Type: multipart/byteranges; boundary=x",
        "200 OK\r\nTransfer-Encoding: chunked",
        "204 No Content",
    ] {
        let answer = format!("HTTP/1.1 {head}\r\nETag: \"e\"\r\n\r\n0123456789");
        let server = Script::answering(answer).await;
        let error = client(&server.endpoint)
            .get_object(object())
            .await
            .unwrap_err();
        assert_eq!(error.kind, S3ErrorKind::Malformed, "{head}");
    }
}

#[tokio::test]
async fn an_object_longer_than_its_range_ends_with_an_error() {
    let answer = "HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/100\r\n\
        Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n";
    let server = Script::answering(answer).await;
    let object = client(&server.endpoint).get_object(object()).await.unwrap();
    let frames: Vec<_> = object.stream.collect().await;
    assert_eq!(frames.len(), 1);
    assert!(frames[0].is_err());
}
