//! What S3 refuses for good, and what nobody knows.

use towline::State;
use towline_testserver::{Answer, Operation, Rule};

use crate::{BUCKET, LARGE, SMALL, Scene, failed};

#[tokio::test(flavor = "multi_thread")]
async fn f7_f8_what_s3_refuses_for_good_is_asked_once() {
    for (status, code) in [
        (400, "InvalidArgument"),
        (400, "EntityTooLarge"),
        (400, "InvalidStorageClass"),
        (400, "KeyTooLongError"),
        (404, "NoSuchBucket"),
    ] {
        let scene = Scene::start().await;
        // A store that has shown a checksum does not refuse for it.
        let known = scene.dir.path().join("known");
        std::fs::write(&known, b"known").unwrap();
        let known = scene.utility.upload(BUCKET, "known", known).await.unwrap();
        assert_eq!(known.finished().await.unwrap().state, State::Completed);
        scene.server.history().clear();
        let refused = Answer::error(status, code);
        scene.play(Rule::on(Operation::PutObject).answer(refused));
        let end = scene.upload(SMALL).await;
        scene.failed_and_left_nothing(&end, code);
        assert_eq!(scene.count(Operation::PutObject), 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_what_cannot_be_cut_into_parts_is_refused_before_any_request() {
    let scene = Scene::start().await;
    let nothing = tokio::io::empty();
    let request = scene.utility.upload_stream(BUCKET, "key", nothing);
    let refused = request.length(60 << 40).await.unwrap_err();
    assert!(refused.to_string().contains("10,000 parts"), "{refused}");
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_knows_is_tried_a_few_times_and_then_named() {
    for (status, code) in [(418, "SomethingNew"), (400, "AnotherNewCode")] {
        let scene = Scene::start().await;
        let unknown = Answer::error(status, code);
        scene.play(Rule::on(Operation::PutObject).answer(unknown.clone()));
        let end = scene.upload(SMALL).await;
        failed(&end, code);
        assert_eq!(scene.count(Operation::PutObject), 4);
        let scene = Scene::with_object(LARGE).await;
        scene.play(
            Rule::on(Operation::GetObject)
                .first(3)
                .answer(unknown.clone()),
        );
        let end = scene.download().await;
        scene.was_fetched(&end);
        let scene = Scene::start().await;
        scene.play(Rule::on(Operation::CompleteMultipartUpload).answer(unknown));
        let end = scene.upload(LARGE).await;
        failed(&end, code);
        assert_ne!(end.state, State::Completed);
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
    }
}
