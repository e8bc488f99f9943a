//! PutObject: one object, one version, and no other's overwritten by a guess.

use std::time::Duration;

use towline::{Config, Outcome, State};
use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::{BUCKET, SMALL, Scene, failed, until};

fn put() -> Rule {
    Rule::on(Operation::PutObject)
}

fn first() -> Rule {
    put().first(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_put_that_was_done_is_not_sent_again_to_a_versioned_bucket() {
    for rule in [
        first().cut(Point::AfterRequest, By::Rst),
        first()
            .apply(Apply::Yes)
            .answer(Answer::error(500, "InternalError")),
        first().apply(Apply::Yes).answer(Answer::status(502)),
        first().apply(Apply::Yes).answer(Answer::status(504)),
    ] {
        let scene = Scene::versioned().await;
        scene.play(rule);
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::PutObject), 1);
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_put_that_was_not_done_is_sent_again() {
    for rule in [
        first().apply(Apply::No).cut(Point::AfterRequest, By::Rst),
        first().cut(Point::RequestBytes(50_000), By::Rst),
        first().answer(Answer::error(500, "InternalError")),
    ] {
        let scene = Scene::versioned().await;
        scene.play(rule);
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::PutObject), 2);
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_put_that_arrives_damaged_every_time_fails_and_leaves_what_stood_there() {
    let scene = Scene::start().await;
    scene.put(b"before").await;
    scene.play(put().flip_request(500, 2));
    let end = scene.upload(SMALL).await;
    scene.failed_and_left_nothing(&end, "BadDigest");
    assert_eq!(scene.count(Operation::PutObject), 4);
    assert_eq!(scene.object(), b"before");
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_a_condition_that_failed_because_of_our_own_lost_success_is_success() {
    for rule in [
        first().cut(Point::AfterRequest, By::Rst),
        first()
            .apply(Apply::Yes)
            .answer(Answer::error(412, "PreconditionFailed")),
        first().duplicate(Duration::from_millis(1)),
    ] {
        let scene = Scene::start().await;
        scene.play(rule);
        let end = scene.upload_if_absent(SMALL).await;
        scene.arrived(&end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_a_condition_that_failed_because_of_another_object_is_a_conflict() {
    let scene = Scene::start().await;
    scene.put(b"somebody else's").await;
    let end = scene.upload_if_absent(SMALL).await;
    assert_eq!(
        (end.state, end.outcome),
        (State::Failed, Some(Outcome::Conflict))
    );
    assert_eq!(scene.object(), b"somebody else's");
    assert_eq!(scene.count(Operation::PutObject), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_a_put_in_conflict_with_another_is_sent_again() {
    for code in ["ConditionalRequestConflict", "OperationAborted"] {
        let scene = Scene::start().await;
        scene.play(first().answer(Answer::error(409, code)));
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::PutObject), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_put_that_is_applied_after_its_retry_leaves_the_same_bytes() {
    let scene = Scene::versioned().await;
    scene.play(
        first()
            .cut(Point::AfterRequest, By::Rst)
            .apply(Apply::LateMs(800)),
    );
    let end = scene.upload(SMALL).await;
    scene.arrived(&end);
    until("the late one is applied", || {
        scene.server.versions(BUCKET, "key").len() == 2
    })
    .await;
    scene.arrived(&end);
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_a_store_that_keeps_other_bytes_is_found_out() {
    const SUM: &str = "x-amz-checksum-crc64nvme";
    let wrong = || put().set_header(SUM, "AAAAAAAAAAA=");
    let scene = Scene::start().await;
    scene.play(wrong().first(1));
    let end = scene.upload(SMALL).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::PutObject), 2);
    let scene = Scene::start().await;
    scene.play(wrong());
    let end = scene.upload(SMALL).await;
    failed(&end, "StoredWrong");
    assert_eq!(scene.count(Operation::PutObject), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_f28_a_put_answered_without_an_etag_or_with_another_is_looked_at() {
    for rule in [
        put().drop_header("etag"),
        put().set_header("etag", "\"00000000000000000000000000000000\""),
    ] {
        let scene = Scene::start().await;
        let no_sum = rule.drop_header("x-amz-checksum-crc64nvme");
        scene.play(no_sum.drop_header("x-amz-checksum-type"));
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::HeadObject), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_a_store_that_knows_no_checksums_is_sent_md5_from_then_on() {
    let refusals = || {
        let words = "<Error><Code>InvalidArgument</Code><Message>Unsupported x-amz-checksum-type</Message></Error>";
        [
            Answer::error(501, "NotImplemented"),
            Answer::status(400).body(words, "application/xml"),
        ]
    };
    for (len, operation) in [
        (SMALL, Operation::PutObject),
        (crate::LARGE, Operation::CreateMultipartUpload),
        (crate::LARGE, Operation::UploadPart),
    ] {
        for answer in refusals() {
            let mut one_by_one = Config::default();
            one_by_one.parts_per_transfer = Some(1);
            let scene = Scene::with(one_by_one).await;
            // CRC-64/NVME, then CRC-32C.
            scene.play(Rule::on(operation).first(2).of_all().answer(answer));
            let end = scene.upload(len).await;
            scene.arrived(&end);
            scene.server.history().clear();
            let other = scene.dir.path().join("other");
            std::fs::write(&other, b"other").unwrap();
            let other = scene.utility.upload(BUCKET, "other", other).await.unwrap();
            assert_eq!(other.finished().await.unwrap().state, State::Completed);
            let requests = scene.server.history().requests();
            let put = requests
                .iter()
                .find(|it| it.operation == Operation::PutObject);
            assert!(put.unwrap().header("content-md5").is_some());
            assert!(put.unwrap().header("x-amz-checksum-crc64nvme").is_none());
        }
    }
    let scene = Scene::start().await;
    scene.play(put().answer(Answer::error(501, "NotImplemented")));
    let end = scene.upload(SMALL).await;
    scene.failed_and_left_nothing(&end, "NotImplemented");
    assert_eq!(
        scene.count(Operation::PutObject),
        3,
        "it is tried once with a weaker checksum and once without"
    );
}
