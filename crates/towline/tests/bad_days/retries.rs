//! How often anything is tried. T42, T43.

use towline::{State, Transfer};
use towline_testserver::{Answer, By, Operation, Point, Rule};

use crate::{LARGE, SMALL, Scene, failed, retries};

fn part() -> Rule {
    Rule::on(Operation::UploadPart).part(2)
}

/// How often part 2 was tried before the transfer failed.
async fn tried(limit: u32, rule: Rule) -> (Transfer, usize) {
    let scene = Scene::with(retries(limit)).await;
    let of_part = |request: &towline_testserver::Request| request.part_number == Some(2);
    let times = || scene.server.history().count_where(of_part);
    // Of a store that has never taken a part a 400 may be for the checksum, or for its
    // place behind the bytes.
    scene.arrived(&scene.upload(LARGE).await);
    scene.arrived(&scene.upload(LARGE).await);
    let before = times();
    scene.play(rule);
    let end = scene.upload(LARGE).await;
    assert_eq!(end.state, State::Failed);
    (end, times() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn t42_what_may_pass_is_tried_up_to_the_limit() {
    let answers = [
        Answer::error(500, "InternalError"),
        Answer::status(502),
        Answer::status(504),
        Answer::error(400, "RequestTimeout"),
        Answer::error(400, "BadDigest"),
    ];
    let mut rules: Vec<Rule> = answers.into_iter().map(|it| part().answer(it)).collect();
    rules.push(part().cut(Point::AfterRequest, By::Rst));
    rules.push(part().cut(Point::AfterRequest, By::Fin));
    for rule in rules {
        let (end, times) = tried(2, rule.clone()).await;
        assert_eq!(times, 3, "{rule:?}");
        assert_eq!(end.error.unwrap().attempts, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t42_what_was_busy_is_no_evidence_and_what_is_refused_is_not_tried_again() {
    let scene = Scene::with(retries(1)).await;
    scene.play(part().first(4).answer(Answer::error(503, "SlowDown")));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    for (status, code) in [
        (403, "AccessDenied"),
        (404, "NoSuchBucket"),
        (400, "InvalidArgument"),
    ] {
        let (end, times) = tried(8, part().answer(Answer::error(status, code))).await;
        failed(&end, code);
        assert_eq!(times, 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t42_waits_grow_and_are_never_the_same() {
    let scene = Scene::with(retries(5)).await;
    let broken = Answer::error(500, "InternalError");
    scene.play(Rule::on(Operation::GetObject).answer(broken));
    scene.put(&crate::content(SMALL)).await;
    let end = scene.download().await;
    failed(&end, "InternalError");
    let requests = scene.server.history().requests();
    let gets = requests
        .iter()
        .filter(|it| it.operation == Operation::GetObject);
    let times: Vec<u64> = gets.map(|it| it.time_ms).collect();
    assert_eq!(times.len(), 6);
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each is drawn between nothing and twice as much as before.
    for (at, wait) in waits.iter().enumerate() {
        assert!(*wait < (200 << at) + 1000, "{waits:?}");
    }
    assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t43_a_limit_of_zero_is_one_attempt_and_each_part_counts_for_itself() {
    let broken = || Answer::error(500, "InternalError");
    for limit in [0, 1, 3] {
        let (end, times) = tried(limit, part().answer(broken())).await;
        failed(&end, "InternalError");
        assert_eq!(times, limit as usize + 1);
    }
    // Every request fails as often as is forgiven, each for itself.
    let scene = Scene::with(retries(2)).await;
    scene.play(Rule::on(Operation::UploadPart).first(2).answer(broken()));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::UploadPart), 9);
}
