//! Copies whose answer was lost, whose upload is gone, that were canceled while the store
//! was at work with them; and what they are told by afterwards.

use std::time::Duration;

use towline::{Config, Outcome, State, TransferObserver};
use towline_testserver::{Answer, Apply, Event, Operation, Point, Rule, TestServer};

use crate::copy::{
    LARGE, MIB, OTHER, SOURCE, arrived, begin, copy, count, five_mib, left_nothing, play,
    stuck_after_the_first_part, tags_of, with_source,
};
use crate::{BUCKET, Scene, completed, content, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_upload_is_gone_begins_anew_whatever_the_store_calls_it() {
    for gone in [
        Answer::error(404, "NoSuchUpload"),
        Answer::error(404, "NoSuchKey"),
        Answer::status(404),
    ] {
        let scene = with_source(LARGE).await;
        let second = Rule::on(Operation::UploadPartCopy).part(2).first(1);
        play(&scene, [second.event(Event::AbortUpload).answer(gone)]);
        let done = copy(&scene).await;
        arrived(&scene, &done, &content(LARGE));
        assert_eq!(done.generation, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_source_is_deleted_on_the_way_fails_and_leaves_nothing() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    scene.utility.delete_object(BUCKET, SOURCE).await.unwrap();
    scene.server.faults().clear();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "NoSuchKey");
    left_nothing(&scene);
    assert!(scene.server.object_bytes(OTHER, "key").is_err());
}

/// A small copy that the store is at work with.
async fn at_work(scene: &Scene, rule: Rule) -> TransferObserver {
    play(scene, [rule]);
    let observer = begin(scene).await;
    let is_asked = || count(scene, Operation::CopyObject) == 1;
    until("it is asked for", is_asked).await;
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_canceled_too_late_is_called_completed() {
    let answered_soon = Rule::on(Operation::CopyObject)
        .stall(Point::AfterRequest, Some(Duration::from_millis(600)));
    let done_later = Rule::on(Operation::CopyObject)
        .apply(Apply::LateMs(1800))
        .stall(Point::AfterRequest, None);
    for rule in [answered_soon, done_later] {
        let scene = with_source(1000).await;
        let observer = at_work(&scene, rule).await;
        assert!(observer.cancel().await.unwrap());
        let end = observer.finished().await.unwrap();
        arrived(&scene, &end, &content(1000));
        assert_eq!(count(&scene, Operation::CopyObject), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_canceled_in_time_leaves_what_stood_there() {
    let scene = with_source(1000).await;
    // The same bytes, so that only its age tells it from the copy.
    let put = scene.server.put_object(OTHER, "key", content(1000));
    put.await.unwrap();
    let put_at = std::time::Instant::now();
    until("it surely is older", || put_at.elapsed().as_millis() > 2100).await;
    let never = Rule::on(Operation::CopyObject).apply(Apply::No);
    let observer = at_work(&scene, never.stall(Point::AfterRequest, None)).await;
    assert!(observer.cancel().await.unwrap());
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Canceled);
    assert_eq!(scene.server.versions(OTHER, "key").len(), 1);
    assert_eq!(tags_of(&scene, "key").await, 0, "it is not the copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_answered_just_after_a_pause_is_not_copied_again() {
    let scene = with_source(LARGE).await;
    let slow = |part| {
        let rule = Rule::on(Operation::UploadPartCopy).part(part).first(1);
        rule.stall(Point::AfterRequest, Some(Duration::from_millis(500)))
    };
    play(&scene, [1, 2, 3, 4].map(slow));
    let observer = begin(&scene).await;
    let all = || count(&scene, Operation::UploadPartCopy) == 4;
    until("all are asked for", all).await;
    assert!(observer.pause().await.unwrap());
    assert!(observer.resume().await.unwrap());
    let done = observer.finished().await.unwrap();
    arrived(&scene, &done, &content(LARGE));
    assert_eq!(count(&scene, Operation::UploadPartCopy), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_only_an_absent_object_allows_knows_its_own_also_after_a_second_request() {
    let scene = with_source(1000).await;
    let lost = Rule::on(Operation::CopyObject).first(1).apply(Apply::Yes);
    // Asked what became of it, the store takes its time and does not see it yet.
    let unseen = Rule::on(Operation::HeadObject).key("key").first(1);
    let slow = unseen.stall(Point::AfterRequest, Some(Duration::from_millis(2600)));
    play(
        &scene,
        [
            lost.answer(Answer::error(500, "InternalError")),
            slow.answer(Answer::status(404)),
        ],
    );
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let done = copy.if_absent(true).await.unwrap().finished().await;
    let done = done.unwrap();
    assert_eq!(done.outcome, Some(Outcome::Transferred), "{:?}", done.error);
    arrived(&scene, &done, &content(1000));
    assert_eq!(count(&scene, Operation::CopyObject), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_itself_is_not_taken_for_its_copy_in_parts() {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    let mut config = Config::default();
    config.late_answer_limit = Duration::from_millis(300);
    let scene = Scene::on(server, config).await;
    let path = scene.file("source", &content(LARGE));
    scene.upload(SOURCE, &path).await;
    let lost = Rule::on(Operation::CompleteMultipartUpload).first(1);
    let lost = lost.event(Event::AbortUpload).apply(Apply::No);
    play(&scene, [lost.answer(Answer::error(500, "InternalError"))]);
    let copy = scene.utility.copy(BUCKET, SOURCE, BUCKET, SOURCE);
    let copy = copy.part_size(five_mib()).tag("new", "tag");
    let done = completed(copy.await.unwrap().finished().await.unwrap());
    assert_eq!(done.generation, 2, "nothing had come of the first");
    let head = scene.utility.head(BUCKET, SOURCE).await.unwrap();
    assert_eq!(head.tag_count, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_callers_own_take_the_place_of_the_sources_also_in_one_request() {
    for len in [1000, 6 * MIB] {
        let scene = with_source(len).await;
        let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
        let copy = copy
            .part_size(five_mib())
            .header("expires", "Thu, 01 Dec 2033 16:00:00 GMT")
            .header("x-amz-tagging", "only=one");
        let done = copy.await.unwrap().finished().await.unwrap();
        arrived(&scene, &done, &content(len));
        let head = scene.utility.head(OTHER, "key").await.unwrap();
        let expires = head.expires.unwrap().as_millis();
        assert_eq!(expires, 2_017_065_600_000);
        assert_eq!(head.tag_count, Some(1));
        assert_eq!(head.metadata["colour"], "blue", "the rest stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_copy_tells_that_it_has_no_tags_and_not_only_the_first() {
    let scene = with_source(1000).await;
    let denied = || Answer::error(403, "AccessDenied");
    for (key, len) in [
        ("one", 1000),
        ("two", 1000),
        ("three", 6 * MIB),
        ("four", 6 * MIB),
    ] {
        let path = scene.file(key, &content(len));
        let upload = scene.utility.upload(BUCKET, key, path).tag("a", "tag");
        completed(upload.await.unwrap().finished().await.unwrap());
        play(
            &scene,
            [
                Rule::on(Operation::CopyObject).first(1).answer(denied()),
                Rule::on(Operation::GetObjectTagging).answer(denied()),
            ],
        );
        let copy = scene.utility.copy(BUCKET, key, OTHER, key);
        let copy = copy.part_size(five_mib()).await.unwrap();
        let done = completed(copy.finished().await.unwrap());
        let incidents = scene.utility.incidents(done.id).await.unwrap();
        let told = |it: &towline::Incident| it.error.message.contains("tags");
        assert!(incidents.iter().any(told), "{key}: {incidents:?}");
    }
}
