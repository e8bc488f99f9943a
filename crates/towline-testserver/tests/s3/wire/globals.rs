//! What is wrong with the server as a whole.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use towline_testserver::{Offline, Operation, Rule, Script, TestServer, WrongRegion};

use super::{End, eventually, hear};
use crate::client::{Answer, Client, bytes, server};

async fn playing(script: Script) -> (TestServer, Client) {
    let (server, client) = server().await;
    server.faults().play(script).unwrap();
    (server, client)
}

#[tokio::test]
async fn a_refusing_server_has_its_port_closed_and_comes_back_on_it() {
    let (server, client) = server().await;
    let mut open = client.connect().await;
    client.say(&mut open, "GET", "/key", &[], b"").await;
    assert_eq!(hear(&mut open).await.status(), 404);

    server.faults().out_of_reach(Some(Offline::Refuse));
    assert_eq!(hear(&mut open).await.end, End::Rst);
    let error = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

    server.faults().out_of_reach(None);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.get("/key").await.expect(404);
}

#[tokio::test]
async fn a_resetting_server_resets_what_is_open_and_what_comes() {
    let (server, client) = server().await;
    let mut open = client.connect().await;
    client.say(&mut open, "GET", "/key", &[], b"").await;
    assert_eq!(hear(&mut open).await.status(), 404);
    server.faults().offline(true);
    assert_eq!(hear(&mut open).await.end, End::Rst);
    let mut new = client.connect().await;
    assert_eq!(hear(&mut new).await.end, End::Rst);
    server.faults().offline(false);
    client.get("/key").await.expect(404);
}

#[tokio::test]
async fn a_black_hole_takes_everything_and_says_nothing() {
    let (server, client) = server().await;
    client.put("/key", bytes(1000)).await.expect(200);
    let mut open = client.connect().await;
    client.say(&mut open, "GET", "/key", &[], b"").await;
    assert_eq!(hear(&mut open).await.status(), 200);
    server.history().clear();

    server.faults().out_of_reach(Some(Offline::Blackhole));
    let mut new = client.connect().await;
    for stream in [&mut open, &mut new] {
        client.say(stream, "GET", "/key", &[], b"").await;
        let heard = hear(stream).await;
        assert_eq!((heard.head.as_str(), heard.end), ("", End::Silent));
    }
    assert_eq!(server.history().requests().len(), 0);

    server.faults().out_of_reach(None);
    for stream in [&mut open, &mut new] {
        assert_eq!(
            hear(stream).await.body,
            bytes(1000),
            "as after a pause of the network"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_refuses_and_tells_its_time() {
    for (offset, year) in [(400 * 86_400, true), (-3600, false)] {
        let (server, client) = playing(Script::new().clock_offset(offset)).await;
        let answer = client
            .get("/key")
            .await
            .expect_error(403, "RequestTimeTooSkewed");
        let (asked, is) = (answer.tag("RequestTime"), answer.tag("ServerTime"));
        assert_eq!((asked.len(), is.len()), (16, 24), "{asked} {is}");
        assert_eq!(asked[..4] != is[..4], year, "{asked} {is}");
        let digits: String = is.chars().filter(char::is_ascii_digit).collect();
        let asked: String = asked.chars().filter(char::is_ascii_digit).collect();
        assert_ne!(asked[..10], digits[..10], "not the same hour");
        let date = answer.header("date").to_owned();
        let hour = &is[11..16];
        assert!(date.contains(hour), "{date} is not {is}");
        let fault = server.history().requests()[0].fault.clone();
        assert_eq!(fault.as_deref(), Some("refused by the clock"));
    }
    let (_server, client) = playing(Script::new().clock_offset(890)).await;
    client.get("/key").await.expect(404);
}

#[tokio::test]
async fn credentials_expire_when_their_time_has_come() {
    let (_server, client) =
        playing(Script::new().credentials_expire(Duration::from_secs(600))).await;
    client.get("/key").await.expect(404);
    let (server, client) = playing(Script::new().credentials_expire(Duration::ZERO)).await;
    client.get("/key").await.expect_error(400, "ExpiredToken");
    client
        .put("/key", "hello")
        .await
        .expect_error(400, "ExpiredToken");
    assert!(!super::is_stored(&server));
}

#[tokio::test]
async fn expired_credentials_make_room_for_others() {
    let script = Script::new().credentials_change(Duration::ZERO, "test2", "testsecret");
    let (_server, client) = playing(script).await;
    client.get("/key").await.expect_error(400, "ExpiredToken");
    client
        .with_access_key("test2")
        .get("/key")
        .await
        .expect_error(404, "NoSuchKey");
}

#[tokio::test]
async fn a_signature_for_another_region_is_told_the_right_one() {
    let ask = async |answer: WrongRegion| -> Answer {
        let (_server, client) = playing(Script::new().region("eu-west-1", answer)).await;
        client.get("/key").await
    };
    let malformed = ask(WrongRegion::Malformed).await;
    assert_eq!(malformed.tag("Region"), "eu-west-1");
    malformed.expect_error(400, "AuthorizationHeaderMalformed");
    let redirect = ask(WrongRegion::Redirect).await;
    assert_eq!(redirect.header("x-amz-bucket-region"), "eu-west-1");
    assert_eq!(redirect.header("location"), "");
    redirect.expect_error(301, "PermanentRedirect");
    let (_server, client) =
        playing(Script::new().region("us-east-1", WrongRegion::Malformed)).await;
    client.get("/key").await.expect_error(404, "NoSuchKey");
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let time = Duration::from_millis(150);
    let slow = Rule::on(Operation::GetObject).delay(time * 2);
    let (server, client) = playing(Script::new().close_idle(time).rule(slow)).await;
    let mut stream = client.connect().await;
    client.say(&mut stream, "GET", "/key", &[], b"").await;
    let start = Instant::now();
    let heard = hear(&mut stream).await;
    assert_eq!((heard.status(), heard.end), (404, End::Fin));
    assert!(start.elapsed() >= time * 3, "{:?}", start.elapsed());
    eventually(|| server.history().requests()[0].completed).await;
    let mut unused = client.connect().await;
    assert_eq!(hear(&mut unused).await.end, End::Fin);
}

#[tokio::test]
async fn a_rule_may_be_for_reused_connections_alone() {
    let rule = Rule::on_any().reused(true).cut(
        towline_testserver::Point::BeforeRead,
        towline_testserver::By::Rst,
    );
    let (_server, client) = playing(Script::new().rule(rule)).await;
    let mut stream = client.connect().await;
    client.say(&mut stream, "GET", "/key", &[], b"").await;
    assert_eq!(hear(&mut stream).await.status(), 404);
    client.say(&mut stream, "GET", "/key", &[], b"").await;
    let heard = hear(&mut stream).await;
    assert_eq!((heard.head.as_str(), heard.end), ("", End::Rst));
}
