//! Connections that move no byte, or few.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use towline_testserver::{Operation, Point, Rule};

use super::{End, eventually, get, hear, is_stored, playing, put, with_object};
use crate::client::{MIB, bytes};

/// Shorter than `hear` is patient.
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_stalled_answer_stops_at_the_byte() {
    for (at, arrives) in [
        (Point::AfterHeaders, 0),
        (Point::ResponseBytes(70_000), 70_000),
    ] {
        let rule = Rule::on(Operation::GetObject).stall(at, None);
        let (_server, client) = with_object(MIB, rule).await;
        let heard = get(&client, &[]).await;
        assert_eq!((heard.status(), heard.end), (200, End::Silent), "{at:?}");
        assert_eq!(heard.body, bytes(MIB)[..arrives], "{at:?}");
    }
}

#[tokio::test]
async fn a_stall_before_the_answer_is_silent() {
    for (at, stored) in [
        (Point::BeforeRead, false),
        (Point::RequestBytes(500), false),
        (Point::AfterRequest, true),
    ] {
        let rule = Rule::on(Operation::PutObject).stall(at, None);
        let (server, client) = playing(rule).await;
        let heard = put(&client, &bytes(1000)).await;
        assert_eq!(
            (heard.head.as_str(), heard.end),
            ("", End::Silent),
            "{at:?}"
        );
        assert_eq!(is_stored(&server), stored, "{at:?}");
    }
}

#[tokio::test]
async fn a_stalled_request_is_read_to_the_byte_and_its_sender_blocks() {
    let rule = Rule::on(Operation::PutObject).stall(Point::RequestBytes(70_000), None);
    let (server, client) = playing(rule).await;
    // Far more than the socket buffers hold.
    let body = bytes(64 * MIB);
    let send = client.begin_put("/key", body.len(), &body);
    assert!(tokio::time::timeout(SHORT * 3, send).await.is_err());
    assert_eq!(server.history().bytes_received(), 70_000);
}

#[tokio::test]
async fn a_stall_that_ends_delays_and_spoils_nothing() {
    for at in [
        Point::BeforeRead,
        Point::AfterRequest,
        Point::AfterHeaders,
        Point::ResponseBytes(1000),
    ] {
        let rule = Rule::on(Operation::GetObject).stall(at, Some(SHORT));
        let (_server, client) = with_object(5000, rule).await;
        let start = Instant::now();
        let mut stream = client.connect().await;
        client.say(&mut stream, "GET", "/key", &[], b"").await;
        let mut all = vec![0; 5000];
        while !all.ends_with(&bytes(5000)) {
            let read = stream.read_buf(&mut all).await.unwrap();
            assert!(read > 0, "{at:?}: it ended");
        }
        assert!(start.elapsed() >= SHORT, "{at:?}: {:?}", start.elapsed());
    }
    let rule = Rule::on(Operation::PutObject).stall(Point::RequestBytes(1000), Some(SHORT));
    let (server, client) = playing(rule).await;
    let start = Instant::now();
    assert_eq!(put(&client, &bytes(5000)).await.status(), 200);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(server.history().bytes_received(), 5000);
}

#[tokio::test]
async fn an_answer_drips_at_its_rate() {
    let rule = Rule::on(Operation::GetObject).drip(4000);
    let (_server, client) = with_object(4000, rule).await;
    let start = Instant::now();
    let mut stream = client.connect().await;
    client.say(&mut stream, "GET", "/key", &[], b"").await;
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "it begins at once"
    );
    let heard = hear(&mut stream).await;
    assert_eq!(heard.body, bytes(4000));
    // The head is longer than 200 bytes; the end was told by silence.
    let took = start.elapsed() - super::SILENCE;
    assert!(took >= Duration::from_millis(1000), "{took:?}");
    assert!(took <= Duration::from_millis(4000), "{took:?}");
}

#[tokio::test]
async fn a_request_is_read_at_its_rate() {
    let rule = Rule::on(Operation::PutObject).read_slowly(2 * MIB as u64);
    let (server, client) = playing(rule).await;
    let start = Instant::now();
    let body = bytes(MIB);
    let _stream = client.begin_put("/key", body.len(), &body).await;
    eventually(|| is_stored(&server)).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(350), "{took:?}");
    assert!(took <= Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_delay_comes_before_everything() {
    let (server, client) = playing(Rule::on(Operation::PutObject).delay(SHORT)).await;
    let start = Instant::now();
    assert_eq!(put(&client, b"hello").await.status(), 200);
    assert!(start.elapsed() >= SHORT);
    assert!(is_stored(&server));
}
