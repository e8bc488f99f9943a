//! Rights that are partly missing: what can be done without them is done.

use towline::{State, TransferObserver};
use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::{LARGE, SMALL, Scene, failed};

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
        let end = scene.retry(&end).await;
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
async fn f39_without_the_right_to_list_parts_a_lost_complete_is_resolved() {
    for (applied, completes) in [(false, 2), (true, 1)] {
        let scene = Scene::start().await;
        scene.play_all([
            denied(Operation::ListParts),
            lost(Operation::CompleteMultipartUpload, applied),
        ]);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 1);
        assert_eq!(scene.count(Operation::UploadPart), 3);
        assert_eq!(scene.count(Operation::CompleteMultipartUpload), completes);
    }
}

/// Two parts of three are there, and the third hangs.
async fn with_two_parts(scene: &Scene) -> TransferObserver {
    let hangs = Rule::on(Operation::UploadPart).part(3);
    scene.play_all([
        denied(Operation::ListParts),
        hangs.stall(Point::BeforeRead, None),
    ]);
    let observer = scene.begin_upload(LARGE).await;
    scene.two_parts_landed().await;
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_list_parts_what_is_recorded_is_believed_after_a_pause() {
    let scene = Scene::start().await;
    let observer = with_two_parts(&scene).await;
    observer.pause().await.unwrap();
    scene.play(denied(Operation::ListParts));
    observer.resume().await.unwrap();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    scene.two_parts_went_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_without_the_right_to_list_parts_a_cancel_leaves_nothing() {
    let scene = Scene::start().await;
    let observer = with_two_parts(&scene).await;
    observer.cancel().await.unwrap();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Canceled);
    scene.nothing_is_left();
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
async fn f39_without_the_right_to_look_a_lost_complete_is_made_good_by_another_upload() {
    let scene = Scene::start().await;
    scene.play_all([
        lost(Operation::CompleteMultipartUpload, true),
        denied(Operation::HeadObject),
        denied(Operation::GetObject),
    ]);
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
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
