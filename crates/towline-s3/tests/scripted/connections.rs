//! Connections that break, at every point.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use towline_core::{Body, PutObject, S3, S3Error, S3ErrorKind};

use super::server::{Script, Step, http};
use super::{client, object, put};

#[tokio::test]
async fn an_answer_before_the_body_was_read_is_told_rather_than_the_broken_pipe() {
    for read in [0, 100_000] {
        let xml = "<Error><Code>SlowDown</Code></Error>";
        let answer = http("503 Slow Down", "Connection: close\r\n", xml);
        let server = Script::play(vec![Step::AnswerEarly(read, answer)]).await;
        // 64 MiB do not fit into socket buffers.
        let error = put(&client(&server.endpoint), 1024).await.unwrap_err();
        assert_eq!(
            (error.kind, error.status),
            (S3ErrorKind::Answer, Some(503)),
            "{error:?}"
        );
        assert!(!error.request_sent && error.body_sent < 64 << 20);
    }
}

#[tokio::test]
async fn a_reset_connection_lets_go_of_the_body_that_it_was_sending() {
    let server = Script::play(vec![Step::Reset; 40]).await;
    let client = client(&server.endpoint);
    let held = Arc::new(());
    for _ in 0..40 {
        let keep = Arc::clone(&held);
        let frame = Bytes::from(vec![7; 64 << 10]);
        let frames = futures_util::stream::repeat_with(move || {
            let _held_with_the_body = &keep;
            Ok(frame.clone())
        });
        let body = Body {
            len: 64 << 20,
            stream: Box::pin(frames.take(1024)),
        };
        let request = PutObject {
            bucket: "bucket".into(),
            key: "key".into(),
            ..PutObject::default()
        };
        client.put_object(request, body).await.unwrap_err();
    }
    let released = async {
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let released = tokio::time::timeout(Duration::from_secs(5), released).await;
    let kept = Arc::strong_count(&held) - 1;
    assert!(released.is_ok(), "{kept} bodies are still held");
}

#[tokio::test]
async fn a_request_that_is_given_up_is_reset_and_what_its_socket_holds_does_not_come() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let client = client(&endpoint);
    let giving_up = tokio::spawn(async move { put(&client, 1024).await });
    let (mut stream, _) = server.accept().await.unwrap();
    let mut bytes = vec![0; 1 << 20];
    stream.peek(&mut bytes).await.unwrap();
    giving_up.abort();
    assert!(giving_up.await.unwrap_err().is_cancelled());
    tokio::time::sleep(Duration::from_millis(50)).await;
    // What has come is there to be read, up to the reset.
    let ended = loop {
        match stream.read(&mut bytes).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(ended, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn success_before_the_body_was_sent_is_no_success() {
    let answer = http("200 OK", "ETag: \"e\"\r\n", "");
    let server = Script::play(vec![Step::AnswerEarly(10, answer)]).await;
    let error = put(&client(&server.endpoint), 1024).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Malformed);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_tells_what_was_sent() {
    let server = Script::play(vec![Step::Close]).await;
    let error = put(&client(&server.endpoint), 4).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Transport);
    assert_eq!((error.body_sent, error.status), (4 << 16, None));
    assert!(error.request_sent && !error.reused_connection);
}

#[tokio::test]
async fn a_kept_connection_that_was_dead_is_told_as_reused() {
    let ok = http("200 OK", "ETag: \"e\"\r\n", "");
    let server = Script::play(vec![Step::AnswerAndVanish(ok)]).await;
    let client = client(&server.endpoint);
    put(&client, 1).await.unwrap();
    let error = put(&client, 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Transport, "{error:?}");
    assert!(error.reused_connection);
}

#[tokio::test]
async fn connections_are_kept_and_reset_on_demand() {
    let ok = || Step::Answer(http("200 OK", "ETag: \"e\"\r\n", ""));
    let server = Script::play(vec![ok(), ok(), ok()]).await;
    let client = client(&server.endpoint);
    put(&client, 1).await.unwrap();
    put(&client, 1).await.unwrap();
    client.reset_connections();
    put(&client, 1).await.unwrap();
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn connections_that_were_opened_ahead_are_those_of_the_requests_that_follow() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", server.local_addr().unwrap()));
    client.open_ahead("bucket", 2);
    client.open_ahead("bucket", 2); // they are there already
    let mut opened = Vec::new();
    for _ in 0..2 {
        opened.push(server.accept().await.unwrap().0);
    }
    let ok = http("200 OK", "ETag: \"e\"\r\n", "");
    let answering = async {
        for stream in &mut opened {
            let mut bytes = vec![0; 128 << 10];
            let mut read = 0;
            while read < 64 << 10 {
                read += stream.read(&mut bytes).await.unwrap();
            }
        }
        // Both have been sent, so neither waited for the other's connection.
        for stream in &mut opened {
            stream.write_all(&ok).await.unwrap();
        }
    };
    let (first, second, ()) = tokio::join!(put(&client, 1), put(&client, 1), answering);
    first.unwrap();
    second.unwrap();
    let another = tokio::time::timeout(Duration::from_millis(100), server.accept());
    assert!(another.await.is_err(), "a third connection was opened");
}

#[tokio::test]
async fn a_connection_that_nobody_took_is_closed_and_at_once_when_all_are_reset() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", server.local_addr().unwrap()));
    for is_reset in [true, false] {
        client.open_ahead("bucket", 1);
        let (mut stream, _) = server.accept().await.unwrap();
        let begun = Instant::now();
        if is_reset {
            client.reset_connections();
        }
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed() < Duration::from_secs(1), is_reset);
    }
}

#[tokio::test]
async fn where_nothing_could_be_opened_ahead_the_request_says_why() {
    let client = client("http://127.0.0.1:9"); // nobody listens there
    client.open_ahead("bucket", 1);
    let error = put(&client, 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Connect);
}

#[tokio::test]
async fn an_object_that_breaks_off_ends_with_the_facts() {
    let answer =
        "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 10\r\nx-amz-request-id: R\r\n\r\n012";
    let server = Script::play(vec![Step::AnswerAndClose(answer.into())]).await;
    let object = client(&server.endpoint).get_object(object()).await.unwrap();
    assert_eq!(object.range, 0..10);
    let frames: Vec<_> = object.stream.collect().await;
    assert_eq!(frames[0].as_ref().unwrap(), "012");
    let error = frames[1]
        .as_ref()
        .unwrap_err()
        .downcast_ref::<S3Error>()
        .unwrap();
    assert_eq!(
        (error.kind, error.status),
        (S3ErrorKind::Transport, Some(200))
    );
    assert_eq!(error.request_id.as_deref(), Some("R"));
    assert_eq!(frames.len(), 2);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_a_connect_error() {
    let error = put(&client("http://127.0.0.1:1"), 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Connect, "{error:?}");
    assert!(!error.request_sent && error.body_sent == 0);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_dns_error() {
    let error = put(&client("http://no-such-host.invalid"), 1)
        .await
        .unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Dns, "{error:?}");
    assert!(error.message.contains("no-such-host.invalid"));
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_tls_error() {
    let server = Script::play(vec![]).await;
    // Not TLS: an HTTP server answers a ClientHello with plain text.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let error = put(&client(&format!("https://127.0.0.1:{port}")), 1)
        .await
        .unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Tls, "{error:?}");
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn what_is_no_http_is_malformed() {
    let server = Script::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let error = put(&client(&server.endpoint), 1).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Malformed, "{error:?}");
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    for step in [Step::Close, Step::Answer(http("403 Forbidden", "", ""))] {
        let server = Script::play(vec![step]).await;
        let client = client(&server.endpoint);
        let error = put(&client, 1).await.unwrap_err();
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains("canary"), "{shown}");
        let head = &server.heads()[0];
        assert!(head.contains("x-amz-security-token: canary-token"));
        assert!(!head.contains("canary-secret") && !head.contains("accept-encoding"));
    }
}

#[tokio::test]
async fn multipart_requests_say_so_in_their_user_agent() {
    let server = Script::play(vec![Step::Close, Step::Close]).await;
    let client = client(&server.endpoint);
    let _ = put(&client, 1).await;
    let _ = client.list_parts(&super::upload(), None).await;
    let heads = server.heads();
    let agent = |head: &str| {
        let mut lines = head.lines().map(str::to_owned);
        lines
            .find(|line| line.starts_with("user-agent: towline/"))
            .unwrap()
    };
    assert!(!agent(&heads[0]).contains("md/multipart"));
    assert!(agent(&heads[1]).contains("md/multipart"));
}
