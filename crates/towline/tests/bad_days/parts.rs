//! UploadPart: what fails is sent again, and only that.

use std::time::{Duration, Instant};

use towline::{Config, Encryption, State};
use towline_testserver::{Answer, Apply, By, Event, Operation, Point, Rule};

use crate::{BUCKET, LARGE, SMALL, Scene, failed, retries};

fn second_part() -> Rule {
    Rule::on(Operation::UploadPart).part(2)
}

/// Goes up whole through this in one generation; gives how often part 2 was sent.
async fn goes_through(rule: Rule) -> usize {
    let scene = Scene::start().await;
    scene.play(rule);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert!(scene.faults() > 0, "the fault was there");
    let history = scene.server.history();
    assert_eq!(history.times_part_sent("key", 1), 1);
    assert_eq!(history.times_part_sent("key", 3), 1);
    history.times_part_sent("key", 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_a_part_of_an_upload_that_is_gone_starts_a_new_generation() {
    for rule in [
        second_part().first(1).event(Event::AbortUpload),
        second_part()
            .first(1)
            .answer(Answer::error(404, "NoSuchKey")),
    ] {
        let scene = Scene::start().await;
        scene.play(rule);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_late_twin_of_a_part_that_changes_its_etag_is_found_and_completed_with() {
    let scene = Scene::start().await;
    // With KMS the same bytes get another ETag each time.
    let twin = second_part().first(1).duplicate(Duration::from_millis(1));
    // Complete is looked at only when the twin is there, also on a busy machine.
    let complete = Rule::on(Operation::CompleteMultipartUpload).first(1);
    let slow = complete.delay(Duration::from_secs(3));
    scene.play_all([twin, slow]);
    let kms = Encryption::Kms {
        key_id: None,
        context: Default::default(),
        bucket_key: None,
    };
    let path = scene.source(LARGE);
    let request = scene.utility.upload(BUCKET, "key", path).encryption(kms);
    let end = request.await.unwrap().finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 2);
    assert_eq!(scene.count(Operation::UploadPart), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_part_that_s3_found_too_slow_is_sent_again() {
    let answer = Answer::error(400, "RequestTimeout");
    let slow = second_part().first(1).answer(answer);
    assert_eq!(
        goes_through(slow.cut(Point::AfterResponse, By::Fin)).await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_part_that_arrived_damaged_is_sent_again_a_few_times() {
    for code in ["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"] {
        let damaged = second_part().first(1).answer(Answer::error(400, code));
        assert_eq!(goes_through(damaged).await, 2, "{code}");
    }
    let scene = Scene::start().await;
    scene.play(second_part().flip_request(100, 1));
    let end = scene.upload(LARGE).await;
    scene.failed_and_left_nothing(&end, "BadDigest");
    assert_eq!(scene.server.history().times_part_sent("key", 2), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_a_body_that_fell_short_on_the_way_is_sent_again() {
    let short = second_part()
        .first(1)
        .answer(Answer::error(400, "IncompleteBody"));
    assert_eq!(goes_through(short).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f28_an_answer_without_an_etag_is_no_success() {
    assert_eq!(
        goes_through(second_part().first(1).drop_header("etag")).await,
        2
    );
    let never = second_part().drop_header("etag");
    let scene = Scene::start().await;
    scene.play(never);
    let end = scene.upload(LARGE).await;
    failed(&end, "Malformed");
    assert_eq!(scene.server.history().times_part_sent("key", 2), 4);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_part_that_lands_after_its_own_retry_does_no_harm() {
    let late = second_part().first(1).apply(Apply::LateMs(300));
    goes_through(late.cut(Point::AfterRequest, By::Rst)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_a_store_that_keeps_other_bytes_is_found_out() {
    const SUM: &str = "x-amz-checksum-crc64nvme";
    let wrong = || second_part().set_header(SUM, "AAAAAAAAAAA=");
    assert_eq!(goes_through(wrong().first(1)).await, 2);
    let scene = Scene::start().await;
    scene.play(wrong());
    let end = scene.upload(LARGE).await;
    scene.failed_and_left_nothing(&end, "StoredWrong");
    assert_eq!(scene.server.history().times_part_sent("key", 2), 4);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_another_etag_of_a_part_is_looked_up() {
    let other = second_part().first(1).set_header("etag", "\"0123\"");
    goes_through(other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f47_an_answer_in_the_middle_of_the_body_is_read_before_the_connection_breaks() {
    for by in [By::Fin, By::Rst] {
        let early = Answer::error(503, "SlowDown").early(100_000);
        let rule = second_part().first(1).answer(early);
        goes_through(rule.cut(Point::AfterResponse, by)).await;
        let scene = Scene::with(retries(0)).await;
        let denied = Answer::error(403, "AccessDenied").early(100_000);
        scene.play(second_part().answer(denied).cut(Point::AfterResponse, by));
        let end = scene.upload(LARGE).await;
        failed(&end, "AccessDenied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_a_part_that_fails_for_good_stops_the_others_and_keeps_or_removes_the_rest() {
    // A person may mend it: what was sent is kept, and a retry goes on with it.
    let denied = || second_part().answer(Answer::error(403, "AccessDenied"));
    let mut one_by_one = Config::default();
    one_by_one.parts_per_transfer = Some(1);
    let scene = Scene::with(one_by_one).await;
    scene.play(denied());
    let observer = scene.begin_upload(LARGE).await;
    let end = observer.finished().await.unwrap();
    failed(&end, "AccessDenied");
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
    scene.server.faults().clear();
    assert!(observer.retry().await.unwrap());
    let again = scene.utility.observe(end.id).await.unwrap();
    let end = again.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.server.history().times_part_sent("key", 1), 1);

    // Others that would go on for ever do not hold it up.
    let scene = Scene::start().await;
    let stalled = Rule::on(Operation::UploadPart).part(3);
    scene.play_all([denied(), stalled.stall(Point::BeforeRead, None)]);
    let began = Instant::now();
    let end = scene.upload(LARGE).await;
    failed(&end, "AccessDenied");
    assert!(
        began.elapsed() < Duration::from_secs(18),
        "a stall takes 20 s"
    );
    scene.utility.remove(end.id).await.unwrap();
    scene.nothing_is_left();

    // Nobody can mend it: nothing is left.
    let scene = Scene::start().await;
    scene.play(second_part().answer(Answer::error(400, "InvalidRequest")));
    let end = scene.upload(LARGE).await;
    scene.failed_and_left_nothing(&end, "InvalidRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_an_abort_that_is_denied_names_the_upload_that_stays_open() {
    let scene = Scene::start().await;
    let denied = || Answer::error(403, "AccessDenied");
    scene.play_all([
        second_part().answer(Answer::error(400, "InvalidRequest")),
        Rule::on(Operation::AbortMultipartUpload).answer(denied()),
    ]);
    let end = scene.upload(LARGE).await;
    failed(&end, "InvalidRequest");
    let open = scene.server.open_uploads(BUCKET);
    let words = &end.error.as_ref().unwrap().message;
    assert!(
        words.contains(&format!("the upload {} stays open", open[0].upload_id)),
        "{words}"
    );
    scene.server.faults().clear();
    scene.utility.remove(end.id).await.unwrap();
    scene.nothing_is_left();
    assert_eq!(scene.upload(SMALL).await.state, State::Completed);
}
