//! Where a connection is cut, and by what.

use towline_testserver::{Apply, By, Operation, Point, Rule};

use super::{End, get, hear, is_stored, playing, put, with_object};
use crate::client::{BUCKET, MIB, bytes};

const EACH: [(By, End); 2] = [(By::Fin, End::Fin), (By::Rst, End::Rst)];

fn on_put(at: Point, by: By) -> Rule {
    Rule::on(Operation::PutObject).cut(at, by)
}

fn on_get(at: Point, by: By) -> Rule {
    Rule::on(Operation::GetObject).cut(at, by)
}

#[tokio::test]
async fn a_cut_before_reading_reads_no_byte_of_the_body() {
    for (by, end) in EACH {
        let (server, client) = playing(on_put(Point::BeforeRead, by)).await;
        let mut stream = client.begin_put("/key", MIB, &bytes(1000)).await;
        let heard = hear(&mut stream).await;
        assert_eq!((heard.head.as_str(), heard.end), ("", end));
        assert_eq!(server.history().bytes_received(), 0);
        assert!(!is_stored(&server));
    }
}

#[tokio::test]
async fn a_cut_in_the_request_reads_exactly_so_many_bytes() {
    for (by, end) in EACH {
        let (server, client) = playing(on_put(Point::RequestBytes(100_001), by)).await;
        let mut stream = client.begin_put("/key", 3 * MIB, &bytes(200_000)).await;
        let heard = hear(&mut stream).await;
        assert_eq!((heard.head.as_str(), heard.end), ("", end));
        assert_eq!(server.history().bytes_received(), 100_001);
        assert!(!is_stored(&server));
    }
}

#[tokio::test]
async fn a_cut_at_the_last_byte_of_the_request_still_applies_nothing() {
    let (server, client) = playing(on_put(Point::RequestBytes(1000), By::Fin)).await;
    let heard = put(&client, &bytes(1000)).await;
    assert_eq!((heard.head.as_str(), heard.end), ("", End::Fin));
    assert_eq!(server.history().bytes_received(), 1000);
    assert!(!is_stored(&server));
}

#[tokio::test]
async fn a_cut_after_the_request_hides_whether_it_was_applied() {
    for (by, end) in EACH {
        for apply in [Apply::Yes, Apply::No] {
            let (server, client) = playing(on_put(Point::AfterRequest, by).apply(apply)).await;
            let heard = put(&client, b"hello").await;
            assert_eq!((heard.head.as_str(), heard.end), ("", end));
            assert_eq!(is_stored(&server), apply == Apply::Yes);
            let request = &server.history().requests()[0];
            assert_eq!((request.received_whole, request.status), (true, None));
        }
    }
}

#[tokio::test]
async fn a_cut_after_the_headers_sends_them_and_no_more() {
    for (by, end) in EACH {
        let (_server, client) = with_object(5000, on_get(Point::AfterHeaders, by)).await;
        let heard = get(&client, &[]).await;
        assert_eq!(heard.header("content-length"), Some("5000"));
        assert!(heard.head.ends_with("\r\n\r\n"));
        assert_eq!((heard.body.len(), heard.end), (0, end));
    }
}

#[tokio::test]
async fn a_cut_in_the_answer_sends_exactly_so_many_bytes() {
    for (by, end) in EACH {
        for at in [1, 4999, 300_000] {
            let rule = on_get(Point::ResponseBytes(at as u64), by);
            let (_server, client) = with_object(2 * MIB, rule).await;
            let heard = get(&client, &[]).await;
            assert_eq!((heard.status(), heard.end), (200, end));
            assert_eq!(heard.body, bytes(2 * MIB)[..at]);
        }
    }
}

#[tokio::test]
async fn a_cut_after_the_answer_sends_all_of_it() {
    for (by, end) in EACH {
        let (server, client) = with_object(300_000, on_get(Point::AfterResponse, by)).await;
        let heard = get(&client, &[]).await;
        assert_eq!((heard.status(), heard.end), (200, end));
        assert_eq!(heard.body, bytes(300_000));
        assert!(server.history().requests()[0].completed);
        drop(server);
    }
}

#[tokio::test]
async fn a_cut_answer_without_a_body_is_cut_too() {
    let (server, client) = playing(on_put(Point::AfterHeaders, By::Rst)).await;
    let heard = put(&client, b"hello").await;
    assert_eq!((heard.status(), heard.end), (200, End::Rst));
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn without_a_cut_the_connection_stands() {
    let (_server, client) = with_object(
        5000,
        Rule::on(Operation::HeadObject).answer(towline_testserver::Answer::status(500)),
    )
    .await;
    let heard = get(&client, &[]).await;
    assert_eq!((heard.body.len(), heard.end), (5000, End::Silent));
}
