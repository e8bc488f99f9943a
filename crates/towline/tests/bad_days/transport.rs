//! Connections that die, stall, drip or flood. Rows 40 to 42 and 48.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use towline::{Config, State};
use towline_testserver::{By, Operation, Point, Rule};

use crate::{LARGE, SMALL, Scene, failed, retries, utility_at};

/// A stall is noticed after a second.
fn impatient() -> Config {
    let mut config = retries(1);
    config.stall_timeout = Duration::from_secs(1);
    config.first_byte_timeout = Duration::from_secs(2);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn f40_a_stall_is_noticed_and_the_attempt_repeated_on_another_connection() {
    for rule in [
        Rule::on(Operation::UploadPart)
            .part(2)
            .stall(Point::RequestBytes(100_000), None),
        Rule::on(Operation::UploadPart)
            .part(2)
            .stall(Point::AfterRequest, None),
    ] {
        let scene = Scene::with(impatient()).await;
        scene.play(rule.first(1));
        let began = Instant::now();
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert!(began.elapsed() < Duration::from_secs(20));
        assert_eq!(scene.count(Operation::UploadPart), 4);
    }
    for point in [
        Point::AfterRequest,
        Point::AfterHeaders,
        Point::ResponseBytes(100_000),
    ] {
        let scene = Scene::with(impatient()).await;
        scene.put(&crate::content(LARGE)).await;
        let range = Rule::on(Operation::GetObject).offset(5 << 20).first(1);
        scene.play(range.stall(point, None));
        let end = scene.download().await;
        scene.was_fetched(&end);
        assert_eq!(scene.count(Operation::GetObject), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_what_drips_above_the_floor_is_no_stall() {
    let scene = Scene::with(impatient()).await;
    let slowly = Rule::on(Operation::GetObject).drip(20_000);
    scene.put(&crate::content(SMALL)).await;
    scene.play(slowly);
    let began = Instant::now();
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert!(began.elapsed() > Duration::from_secs(3), "it took its time");
    assert_eq!(scene.count(Operation::GetObject), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_kept_connection_that_died_is_replaced_free_of_charge() {
    for by in [By::Fin, By::Rst] {
        let scene = Scene::with(retries(0)).await;
        let dead = || {
            let reused = Rule::on_any().reused(true).first(1);
            reused.cut(Point::BeforeRead, by)
        };
        scene.put(b"opens a connection").await;
        scene.was_fetched(&scene.download().await);
        scene.play(dead());
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        // A server that goes with FIN takes all of a large part first.
        if by == By::Rst {
            let end = scene.upload(10 << 20).await;
            scene.arrived(&end);
        }
        let end = scene.download().await;
        scene.was_fetched(&end);
        assert!(scene.faults() >= 2, "kept connections were used");
    }
}

/// Answers every request with this, over and over.
async fn flooding(head: &'static str, line: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = [0; 4096];
                let _ = stream.read(&mut read).await;
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(line.as_bytes()).await.is_ok() {}
            });
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn f48_floods_of_headers_and_of_1xx_end_at_their_limits() {
    for (head, line) in [
        (
            "HTTP/1.1 200 OK\r\n",
            "x-a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
        ),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = flooding(head, line).await;
        let utility = utility_at(endpoint, dir.path().join("state"), retries(0)).await;
        let began = Instant::now();
        let observer = utility
            .download("bucket", "key", dir.path().join("target"))
            .await
            .unwrap();
        let end = observer.finished().await.unwrap();
        failed(&end, "Malformed");
        assert_ne!(end.state, State::Completed);
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(!dir.path().join("target").exists());
    }
}
