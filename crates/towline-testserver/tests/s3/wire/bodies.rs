//! Answers other than the store's, and bytes that are not what they were.

use std::time::{Duration, Instant};

use towline_testserver::{Answer, By, Operation, Point, Rule};

use super::{End, get, is_stored, playing, put, with_object};
use crate::client::{BUCKET, MIB, Payload, bytes};

fn on_get() -> Rule {
    Rule::on(Operation::GetObject)
}

#[tokio::test]
async fn an_answer_is_any_status_and_body() {
    let error = Answer::error(503, "SlowDown");
    let html = Answer::status(502).body("<html>Bad Gateway</html>", "text/html");
    let json = Answer::status(400).body("{\"error\": true}", "application/json");
    let xml = Answer::status(200).body(
        "<Error><Code>InternalError</Code></Error>",
        "application/xml",
    );
    for (answer, status, content_type, body) in [
        (error, 503, "application/xml", "<Code>SlowDown</Code>"),
        (html, 502, "text/html", "<html>Bad Gateway</html>"),
        (json, 400, "application/json", "{\"error\": true}"),
        (xml, 200, "application/xml", "<Code>InternalError</Code>"),
    ] {
        let (server, client) = playing(Rule::on(Operation::PutObject).answer(answer)).await;
        let heard = put(&client, b"hello").await;
        assert_eq!(heard.status(), status);
        assert_eq!(heard.header("content-type"), Some(content_type));
        assert!(heard.text().contains(body), "{heard:?}");
        assert!(!is_stored(&server), "an answer of our own applies nothing");
    }
    let (_server, client) = playing(on_get().answer(Answer::status(500))).await;
    let heard = get(&client, &[]).await;
    assert_eq!((heard.status(), heard.body.len()), (500, 0));
    assert_eq!(heard.header("content-length"), Some("0"));
}

#[tokio::test]
async fn white_space_comes_between_the_prolog_and_the_rest() {
    let answer = Answer::error(200, "InternalError").white_space(Duration::from_millis(350));
    let (_server, client) = playing(on_get().answer(answer)).await;
    let start = Instant::now();
    let heard = get(&client, &[]).await;
    assert!(start.elapsed() >= Duration::from_millis(350));
    assert_eq!(heard.header("transfer-encoding"), Some("chunked"));
    let text: String = heard.text().split("\r\n").skip(1).step_by(2).collect();
    assert!(
        text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>    \n<Error>"),
        "{text:?}"
    );
}

#[tokio::test]
async fn an_early_answer_comes_before_the_body_has() {
    let answer = Answer::error(503, "SlowDown").early(100_000);
    let rule = Rule::on(Operation::PutObject)
        .answer(answer)
        .cut(Point::AfterResponse, By::Rst);
    let (server, client) = playing(rule).await;
    let mut stream = client.begin_put("/key", 3 * MIB, &bytes(200_000)).await;
    let heard = super::hear(&mut stream).await;
    assert_eq!((heard.status(), heard.end), (503, End::Rst));
    let request = &server.history().requests()[0];
    assert!(request.bytes_received >= 100_000 && !request.received_whole);
    assert!(!is_stored(&server));
}

#[tokio::test]
async fn headers_are_set_and_dropped() {
    let rule = on_get()
        .set_header("ETag", "\"other\"")
        .set_header("content-range", "bytes 7-9/10")
        .drop_header("Last-Modified");
    let (_server, client) = with_object(100, rule).await;
    let heard = get(&client, &[("range", "bytes=0-9")]).await;
    assert_eq!(heard.status(), 206);
    assert_eq!(heard.header("etag"), Some("\"other\""));
    assert_eq!(heard.header("content-range"), Some("bytes 7-9/10"));
    assert_eq!(heard.header("last-modified"), None);
    assert_eq!(heard.body, bytes(100)[..10]);
}

#[tokio::test]
async fn an_answer_without_content_length_comes_in_chunks() {
    let rule = on_get().drop_header("content-length");
    let (_server, client) = with_object(100, rule).await;
    let heard = get(&client, &[]).await;
    assert_eq!(heard.header("content-length"), None);
    assert_eq!(heard.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        heard.body,
        [b"64\r\n", &bytes(100)[..], b"\r\n0\r\n\r\n"].concat()
    );
}

#[tokio::test]
async fn exactly_one_bit_is_flipped() {
    let (_server, client) = with_object(300_000, on_get().flip(200_001, 6)).await;
    let heard = get(&client, &[]).await;
    let mut expected = bytes(300_000).to_vec();
    expected[200_001] ^= 0b0100_0000;
    assert_eq!(heard.body, expected);
    assert_eq!(heard.header("content-length"), Some("300000"));
}

#[tokio::test]
async fn a_scrambled_range_has_the_right_headers_and_no_right_byte() {
    let (_server, client) = with_object(1000, on_get().scramble()).await;
    let heard = get(&client, &[("range", "bytes=100-199")]).await;
    assert_eq!(heard.header("content-range"), Some("bytes 100-199/1000"));
    let inverted: Vec<u8> = bytes(1000)[100..200].iter().map(|byte| !byte).collect();
    assert_eq!(heard.body, inverted);
}

#[tokio::test]
async fn an_ignored_range_is_answered_with_everything() {
    let (_server, client) = with_object(1000, on_get().ignore_range()).await;
    let heard = get(&client, &[("range", "bytes=100-199")]).await;
    assert_eq!((heard.status(), heard.header("content-range")), (200, None));
    assert_eq!(heard.body, bytes(1000));
}

#[tokio::test]
async fn a_changed_body_fits_its_length_unless_that_is_kept() {
    let all = bytes(1000);
    let longer = [&all[..], b"xxx"].concat();
    for (rule, length, body, end) in [
        (on_get().truncate(10), "10", all[..10].to_vec(), End::Silent),
        (
            on_get().truncate(10).keep_length(),
            "1000",
            all[..10].to_vec(),
            End::Fin,
        ),
        (
            on_get().truncate(0).keep_length(),
            "1000",
            Vec::new(),
            End::Fin,
        ),
        (on_get().extend(3), "1003", longer.clone(), End::Silent),
        (
            on_get().extend(3).keep_length(),
            "1000",
            longer,
            End::Silent,
        ),
        (
            on_get().replace("short"),
            "5",
            b"short".to_vec(),
            End::Silent,
        ),
        (
            on_get().replace("short").keep_length(),
            "1000",
            b"short".to_vec(),
            End::Fin,
        ),
    ] {
        let said = format!("{rule:?}");
        let (_server, client) = with_object(1000, rule).await;
        let heard = get(&client, &[]).await;
        assert_eq!(heard.header("content-length"), Some(length), "{said}");
        assert_eq!((heard.body, heard.end), (body, end), "{said}");
    }
    let (_server, client) = with_object(4, on_get().replace("longer").keep_length()).await;
    let heard = get(&client, &[]).await;
    assert_eq!(heard.header("content-length"), Some("4"));
    assert_eq!(heard.body, b"longer");
}

#[tokio::test]
async fn a_body_that_is_cut_off_was_applied_all_the_same() {
    let rule = Rule::on(Operation::CompleteMultipartUpload).truncate(60);
    let (server, client) = playing(rule).await;
    let upload = crate::client::Upload::create(&client, "key", &[]).await;
    let etag = upload.part(1, "hello").await.expect(200).etag();
    let answer = upload.complete(&[(1, &etag)], &[]).await.expect(200);
    assert_eq!(answer.body.len(), 60);
    assert!(answer.body.starts_with(b"<?xml"));
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn a_bit_flipped_on_the_way_in_is_a_bad_digest_where_there_is_one() {
    let rule = || Rule::on(Operation::PutObject).flip_request(2, 0);
    let (server, client) = playing(rule()).await;
    let heard = put(&client, b"hello").await;
    assert_eq!(heard.status(), 200);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hemlo");

    let (server, client) = playing(rule()).await;
    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    let answer = client
        .try_send("PUT", "/key", &md5, "hello", Payload::Unsigned)
        .await;
    answer.unwrap().expect_error(400, "BadDigest");
    client
        .put("/key", "hello")
        .await
        .expect_error(400, "XAmzContentSHA256Mismatch");
    assert!(!is_stored(&server));
}
