//! Rights that are partly missing: what can be done without them is done.

use towline::State;
use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::{BUCKET, LARGE, SMALL, Scene, failed, until};

fn denied(operation: Operation) -> Rule {
    Rule::on(operation).answer(Answer::error(403, "AccessDenied"))
}

fn lost(operation: Operation, applied: bool) -> Rule {
    let apply = if applied { Apply::Yes } else { Apply::No };
    let rule = Rule::on(operation).first(1).apply(apply);
    rule.cut(Point::AfterRequest, By::Rst)
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_right_that_is_needed_is_named_and_what_was_moved_is_kept() {
    for operation in [Operation::UploadPart, Operation::CreateMultipartUpload] {
        let scene = Scene::start().await;
        scene.play(denied(operation));
        let end = scene.upload(LARGE).await;
        failed(&end, "AccessDenied");
        scene.server.faults().clear();
        assert!(scene.utility.retry(end.id).await.unwrap());
        let observer = scene.utility.observe(end.id).await.unwrap();
        let end = observer.finished().await.unwrap();
        scene.arrived(&end);
        assert_eq!(end.generation, 1);
    }
    let scene = Scene::with_object(LARGE).await;
    scene.play(denied(Operation::GetObject));
    let end = scene.download().await;
    failed(&end, "AccessDenied");
    assert!(!scene.target().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_key_of_kms_that_is_disabled_is_named() {
    let scene = Scene::with_object(SMALL).await;
    let disabled = Answer::error(400, "KMS.DisabledException");
    scene.play(Rule::on(Operation::GetObject).answer(disabled));
    let end = scene.download().await;
    failed(&end, "KMS.DisabledException");
    assert_eq!(scene.count(Operation::GetObject), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_list_parts_an_upload_completes_and_is_canceled() {
    let scene = Scene::start().await;
    scene.play_all([
        denied(Operation::ListParts),
        lost(Operation::CompleteMultipartUpload, false),
    ]);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.count(Operation::UploadPart), 3);

    let scene = Scene::start().await;
    scene.play_all([
        denied(Operation::ListParts),
        lost(Operation::CompleteMultipartUpload, true),
    ]);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);

    let scene = Scene::start().await;
    let stall = Rule::on(Operation::UploadPart).part(3);
    scene.play_all([
        denied(Operation::ListParts),
        stall.stall(Point::BeforeRead, None),
    ]);
    let observer = scene.begin_upload(LARGE).await;
    until("two parts landed", || {
        observer.bytes_transferred() >= 10 << 20
    })
    .await;
    // A pause leaves doubt; without the list, what is recorded is believed.
    observer.pause().await.unwrap();
    scene.play(denied(Operation::ListParts));
    observer.resume().await.unwrap();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    let history = scene.server.history();
    assert_eq!(
        history.times_part_sent("key", 1) + history.times_part_sent("key", 2),
        2
    );

    let scene = Scene::start().await;
    let stall = Rule::on(Operation::UploadPart).part(3);
    scene.play_all([
        denied(Operation::ListParts),
        stall.stall(Point::BeforeRead, None),
    ]);
    let observer = scene.begin_upload(LARGE).await;
    until("two parts landed", || {
        observer.bytes_transferred() >= 10 << 20
    })
    .await;
    observer.cancel().await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_look_a_lost_put_is_sent_again() {
    for applied in [true, false] {
        let scene = Scene::start().await;
        scene.play_all([
            lost(Operation::PutObject, applied),
            denied(Operation::HeadObject),
            denied(Operation::GetObject),
        ]);
        let end = scene.upload(SMALL).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::PutObject), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_look_what_s3_said_is_the_proof() {
    let scene = Scene::start().await;
    let silent = |operation| {
        let rule = Rule::on(operation).drop_header("x-amz-checksum-crc64nvme");
        rule.drop_header("x-amz-checksum-type").drop_header("etag")
    };
    scene.play_all([
        silent(Operation::PutObject),
        denied(Operation::HeadObject),
        denied(Operation::GetObject),
    ]);
    let end = scene.upload(SMALL).await;
    scene.arrived(&end);
    assert_eq!(end.verified, Some(towline::Verified::SizeOnly));
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_list_uploads_a_lost_create_is_sent_again() {
    let scene = Scene::start().await;
    scene.play_all([
        lost(Operation::CreateMultipartUpload, false),
        denied(Operation::ListMultipartUploads),
    ]);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(scene.count(Operation::CreateMultipartUpload), 2);
}
