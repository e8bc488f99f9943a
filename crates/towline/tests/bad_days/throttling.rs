//! Too much, too fast, and S3's own trouble.

use std::time::{Duration, Instant};

use towline_testserver::{Answer, Operation, Rule};

use crate::{LARGE, SMALL, Scene, retries};

/// What S3 says when it cannot now.
fn busy() -> [Answer; 9] {
    [
        Answer::error(503, "SlowDown"),
        Answer::error(503, "ServiceUnavailable"),
        Answer::error(429, "TooManyRequests"),
        Answer::status(429),
        Answer::status(503),
        Answer::error(500, "InternalError"),
        Answer::status(502),
        Answer::status(504),
        Answer::status(408),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_every_request_is_sent_again_when_s3_was_busy() {
    for answer in busy() {
        for len in [SMALL, LARGE] {
            let scene = Scene::start().await;
            scene.play(Rule::on_any().first(1).answer(answer.clone()));
            let end = scene.upload(len).await;
            scene.arrived(&end);
            assert_eq!(end.generation, 1);
            let end = scene.download().await;
            scene.was_fetched(&end);
            assert_eq!(end.generation, 1);
            assert!(scene.faults() >= 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_throttling_costs_no_attempt() {
    for code in ["SlowDown", "ServiceUnavailable"] {
        let scene = Scene::with(retries(0)).await;
        let slow = || Rule::on_any().first(2).answer(Answer::error(503, code));
        scene.play(slow());
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        scene.play(slow());
        let end = scene.download().await;
        scene.was_fetched(&end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_s3_is_given_the_time_it_asks_for() {
    for (name, value) in [("retry-after", "2"), ("x-amz-retry-after", "2000")] {
        let scene = Scene::start().await;
        let slow = Answer::error(503, "SlowDown");
        scene.play(
            Rule::on(Operation::PutObject)
                .first(1)
                .answer(slow)
                .set_header(name, value),
        );
        let began = Instant::now();
        let end = scene.upload(SMALL).await;
        let took = began.elapsed();
        scene.arrived(&end);
        assert!(took >= Duration::from_secs(2), "{name}: {took:?}");
        let times: Vec<u64> = scene
            .server
            .history()
            .requests()
            .iter()
            .filter(|request| request.operation == Operation::PutObject)
            .map(|request| request.time_ms)
            .collect();
        assert!(times[1] - times[0] >= 1990, "{name}: {times:?}");
    }
}
