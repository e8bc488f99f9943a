//! CompleteMultipartUpload: success only when it is shown, and never twice.

use std::time::Duration;

use towline::{Config, Outcome, State};
use towline_testserver::{Answer, Apply, By, Event, Operation, Point, Rule};

use crate::{BUCKET, LARGE, Scene, failed, until};

fn complete() -> Rule {
    Rule::on(Operation::CompleteMultipartUpload)
}

fn first() -> Rule {
    complete().first(1)
}

/// Goes up whole through this, in one generation and as one version.
async fn goes_through(rule: Rule) -> Scene {
    let scene = Scene::versioned().await;
    scene.play(rule);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.faults(), 1, "the fault was there");
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
    assert_eq!(scene.count(Operation::UploadPart), 3, "no part went twice");
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_an_error_under_status_200_is_no_success_whether_it_was_applied_or_not() {
    for code in ["InternalError", "SlowDown"] {
        for apply in [Apply::Yes, Apply::No] {
            let error = Answer::error(200, code).white_space(Duration::from_millis(300));
            goes_through(first().answer(error).apply(apply)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_a_refusal_under_status_200_is_one() {
    let scene = Scene::start().await;
    scene.play(complete().answer(Answer::error(200, "AccessDenied")));
    let end = scene.upload(LARGE).await;
    failed(&end, "AccessDenied");
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
    assert_eq!(
        scene.server.open_uploads(BUCKET).len(),
        1,
        "kept for a retry"
    );
    scene.utility.remove(end.id).await.unwrap();
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_a_success_that_is_empty_cut_off_or_no_xml_is_none() {
    for body in [
        "",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult><Buck",
        "{\"ETag\": \"e\"}",
        "<ListPartsResult></ListPartsResult>",
        "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
    ] {
        for apply in [Apply::Yes, Apply::No] {
            let answer = Answer::status(200).body(body, "application/xml");
            goes_through(first().answer(answer).apply(apply)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_lost_answer_is_found_out_about() {
    for by in [By::Fin, By::Rst] {
        let scene = goes_through(first().cut(Point::AfterRequest, by)).await;
        assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
        let lost = first().cut(Point::AfterRequest, by).apply(Apply::No);
        let scene = goes_through(lost).await;
        assert_eq!(scene.count(Operation::CompleteMultipartUpload), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_complete_that_is_applied_late_is_not_sent_twice_for_nothing() {
    let late = first().cut(Point::AfterRequest, By::Rst);
    let scene = Scene::versioned().await;
    scene.play(late.apply(Apply::LateMs(1500)));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_no_such_upload_may_be_our_own_success() {
    let gone = Answer::error(404, "NoSuchUpload");
    let scene = goes_through(first().answer(gone).apply(Apply::Yes)).await;
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_some_stores_call_a_missing_upload_a_missing_key() {
    let gone = Answer::error(404, "NoSuchKey");
    goes_through(first().answer(gone).apply(Apply::Yes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_an_upload_that_somebody_aborted_is_opened_anew_at_once() {
    let scene = Scene::start().await;
    scene.play(first().event(Event::AbortUpload));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
    assert_eq!(end.error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_parts_that_s3_does_not_find_are_looked_up_a_few_times() {
    let invalid = || Answer::error(400, "InvalidPart");
    goes_through(first().answer(invalid())).await;
    let scene = Scene::start().await;
    scene.play(complete().answer(invalid()));
    let end = scene.upload(LARGE).await;
    scene.failed_and_left_nothing(&end, "InvalidPart");
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_plan_that_s3_refuses_is_never_sent_again() {
    for code in ["InvalidPartOrder", "EntityTooSmall", "MalformedXML"] {
        let scene = Scene::start().await;
        scene.play(complete().answer(Answer::error(400, code)));
        let end = scene.upload(LARGE).await;
        scene.failed_and_left_nothing(&end, code);
        assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_a_condition_that_failed_because_of_our_own_lost_success_is_success() {
    let scene = Scene::start().await;
    scene.play(
        first()
            .answer(Answer::error(412, "PreconditionFailed"))
            .apply(Apply::Yes),
    );
    let end = scene.upload_if_absent(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_a_condition_that_failed_because_of_another_object_is_a_conflict() {
    let scene = Scene::start().await;
    scene.put(b"somebody else's").await;
    let end = scene.upload_if_absent(LARGE).await;
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.outcome, Some(Outcome::Conflict));
    assert_eq!(scene.object(), b"somebody else's");
    scene.nothing_is_left();
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_a_conflict_of_requests_opens_the_upload_anew() {
    for code in ["ConditionalRequestConflict", "OperationAborted"] {
        let scene = Scene::start().await;
        scene.play(first().answer(Answer::error(409, code)));
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 2, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_complete_that_arrives_twice_does_no_harm() {
    let scene = Scene::start().await;
    scene.play(first().duplicate(Duration::from_millis(50)));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
}

/// Its answer is lost, it is not applied, and the upload is gone all the same.
fn lost_and_gone() -> Rule {
    let lost = first().cut(Point::AfterRequest, By::Rst);
    lost.event(Event::AbortUpload)
}

fn looking_for(limit: Duration) -> Config {
    let mut config = Config::default();
    config.late_answer_limit = limit;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_what_never_came_is_sent_anew_once_it_was_looked_for_long_enough() {
    let scene = Scene::with(looking_for(Duration::from_secs(2))).await;
    scene.play(lost_and_gone());
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
    let looks = scene.count(Operation::ListParts);
    assert!((4..=8).contains(&looks), "{looks} looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_while_it_is_looked_for_nobody_waits_and_no_request_is_held() {
    let mut config = looking_for(Duration::from_secs(600));
    config.requests = Some(1);
    let scene = Scene::with(config).await;
    scene.play(lost_and_gone());
    let observer = scene.begin_upload(LARGE).await;
    until("it is looked for", || {
        scene.count(Operation::ListParts) >= 2
    })
    .await;
    // The only slot is free for others.
    let other = scene.dir.path().join("other");
    std::fs::write(&other, b"other").unwrap();
    let other = scene.utility.upload(BUCKET, "other", other).await.unwrap();
    assert_eq!(other.finished().await.unwrap().state, State::Completed);
    let asked = std::time::Instant::now();
    observer.pause().await.unwrap();
    observer.resume().await.unwrap();
    observer.cancel().await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?} of ten minutes");
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_strangers_newer_object_is_a_conflict_and_stays() {
    let scene = Scene::start().await;
    scene.play(lost_and_gone().apply(Apply::No));
    let observer = scene.begin_upload(LARGE).await;
    until("the answer is lost", || scene.faults() > 0).await;
    // S3 tells the time in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    scene.put(b"a stranger's").await;
    let end = observer.finished().await.unwrap();
    assert_eq!(
        (end.state, end.outcome),
        (State::Failed, Some(Outcome::Conflict))
    );
    assert_eq!(scene.object(), b"a stranger's");
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_an_object_of_which_nobody_can_tell_whose_it_is_is_no_conflict() {
    let scene = Scene::start().await;
    let opaque = Rule::on(Operation::HeadObject).set_header("etag", "\"opaque\"");
    let opaque = opaque.drop_header("x-amz-checksum-crc64nvme");
    let opaque = opaque.drop_header("x-amz-checksum-type");
    scene.play_all([first().cut(Point::AfterRequest, By::Rst), opaque]);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2, "it was sent again, to be sure");
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_an_object_that_stood_there_before_is_replaced() {
    let scene = Scene::with(looking_for(Duration::from_secs(1))).await;
    scene.put(b"an old one").await;
    tokio::time::sleep(Duration::from_millis(2100)).await; // S3 tells the time in seconds
    scene.play(lost_and_gone().apply(Apply::No));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn t46_a_resumed_upload_whose_object_is_there_is_completed() {
    let scene = Scene::start().await;
    scene.play(first().stall(Point::AfterRequest, None));
    let observer = scene.begin_upload(LARGE).await;
    until("it is applied", || {
        !scene.server.versions(BUCKET, "key").is_empty()
    })
    .await;
    observer.pause().await.unwrap();
    scene.server.faults().clear();
    observer.resume().await.unwrap();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.count(Operation::UploadPart), 3);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t46_f5_a_resumed_upload_that_is_gone_is_opened_anew() {
    let scene = Scene::start().await;
    let stalled = Rule::on(Operation::UploadPart).part(3);
    scene.play(stalled.stall(Point::AfterRequest, None));
    let observer = scene.begin_upload(LARGE).await;
    scene.two_parts_landed().await;
    observer.pause().await.unwrap();
    let gone = Rule::on(Operation::ListParts).first(1);
    scene.play(gone.event(Event::AbortUpload));
    observer.resume().await.unwrap();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_an_error_under_status_200_is_sent_again_until_it_is_one_no_more() {
    let scene = Scene::start().await;
    scene.play(
        complete()
            .first(3)
            .answer(Answer::error(200, "InternalError")),
    );
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 4);
}
