//! Requests through a proxy.

use towline_core::S3ErrorKind;
use towline_s3::Environment;

use super::server::{Script, Step, http};
use super::{client_in, put};

fn through(variable: &str, proxy: &Script) -> Environment {
    let proxy = format!("http://me:canary@127.0.0.1:{}", proxy.port);
    Environment::new([(variable, proxy)], None)
}

#[tokio::test]
async fn plain_http_goes_to_the_proxy_in_absolute_form() {
    let proxy = Script::answering(http("200 OK", "ETag: \"e\"\r\n", "")).await;
    let client = client_in(through("http_proxy", &proxy), "http://store.test:9000");
    put(&client, 1).await.unwrap();
    let head = &proxy.heads()[0];
    assert!(
        head.starts_with("put http://store.test:9000/bucket/key http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nhost: store.test:9000\r\n"));
    assert!(head.contains("\r\nproxy-authorization: basic "), "{head}");
    // Not TLS and not loopback: the bytes are signed.
    assert!(!head.contains("unsigned-payload"));
}

#[tokio::test]
async fn https_asks_the_proxy_for_a_tunnel() {
    let refusal = Step::AnswerAndClose(http("407 Proxy Authentication Required", "", ""));
    let proxy = Script::play(vec![refusal]).await;
    let client = client_in(through("HTTPS_PROXY", &proxy), "https://store.test");
    let error = put(&client, 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Connect);
    assert!(error.message.contains("407"), "{error}");
    assert!(!format!("{error:?}").contains("canary"));
    let head = &proxy.heads()[0];
    assert!(
        head.starts_with("connect store.test:443 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nproxy-authorization: basic "));
    assert!(!head.contains("x-amz"));
}

#[tokio::test]
async fn endless_headers_of_a_proxy_end_at_their_limit() {
    let first = b"HTTP/1.1 200 OK\r\n".to_vec();
    let proxy = Script::play(vec![Step::Flood(first, b"x: y\r\n".repeat(100))]).await;
    let client = client_in(through("https_proxy", &proxy), "https://store.test");
    let error = put(&client, 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Connect);
    assert!(error.message.contains("too long"), "{error}");
}
