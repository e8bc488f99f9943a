//! Uploads that others lose, tear or orphan.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::common::{BUCKET, Scene, bytes};
use crate::scene::{
    IN_FLIGHT, SIZE, completed, faults, is_uploaded, play, source, start_until, upload,
};

fn first_complete() -> Rule {
    Rule::on(Operation::CompleteMultipartUpload).first(1)
}

pub(crate) async fn uploads_whole_through(rule: Rule) -> Scene {
    let scene = Scene::start().await;
    source(&scene);
    play(&scene, rule);
    let row = completed(&upload(&scene).output().unwrap());
    assert_eq!(row["verified"], "full-object", "{row}");
    is_uploaded(&scene);
    assert_eq!(faults(&scene), 1, "the fault was there");
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_whose_response_is_lost_is_found_to_have_happened() {
    for by in [By::Fin, By::Rst] {
        let scene = uploads_whole_through(first_complete().cut(Point::AfterRequest, by)).await;
        let history = scene.server.history();
        assert_eq!(history.count(Operation::CompleteMultipartUpload), 1);
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_that_is_applied_late_is_waited_for() {
    let late = first_complete()
        .cut(Point::AfterRequest, By::Rst)
        .apply(Apply::LateMs(1500));
    uploads_whole_through(late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_an_error_after_white_space_is_no_success() {
    let answer = Answer::error(200, "InternalError").white_space(Duration::from_secs(1));
    uploads_whole_through(first_complete().answer(answer)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_cut_off_is_no_success_and_no_failure() {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult><Bucket>b";
    for apply in [Apply::Yes, Apply::No] {
        let answer = Answer::status(200).body(xml, "application/xml");
        uploads_whole_through(first_complete().answer(answer).apply(apply)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_200_for_complete_is_no_success() {
    for apply in [Apply::Yes, Apply::No] {
        let empty = first_complete().answer(Answer::status(200)).apply(apply);
        uploads_whole_through(empty).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_response_is_lost_leaves_no_orphan() {
    let create = Rule::on(Operation::CreateMultipartUpload).first(1);
    uploads_whole_through(create.cut(Point::AfterRequest, By::Fin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t58_a_bit_flipped_on_the_way_is_refused_and_the_part_sent_again() {
    let part = Rule::on(Operation::UploadPart).part(3).first(1);
    let scene = uploads_whole_through(part.flip_request(70_000, 2)).await;
    assert_eq!(scene.server.history().times_part_sent("key", 3), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn t58_a_bit_flipped_on_the_way_is_refused_and_the_object_sent_again() {
    let scene = Scene::start().await;
    scene.file("source", 1000, 5);
    let put = Rule::on(Operation::PutObject).first(1);
    play(&scene, put.flip_request(500, 2));
    completed(&upload(&scene).output().unwrap());
    is_uploaded(&scene);
    assert_eq!(scene.server.history().count(Operation::PutObject), 2);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_rewritten_in_place_never_becomes_a_torn_object() {
    let scene = Scene::start().await;
    let path = source(&scene);
    scene.server.faults().bandwidth(20 << 20);
    let child = start_until(&scene, upload(&scene), 12 << 20);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&bytes(SIZE, 3), 0).unwrap();
    scene.server.faults().clear();
    let row = completed(&child.wait_with_output().unwrap());
    assert_eq!(row["generation"], 2, "{row}");
    is_uploaded(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_source_is_uploaded_as_it_is_now() {
    let scene = Scene::start().await;
    let path = source(&scene);
    scene.server.faults().bandwidth(20 << 20);
    let child = start_until(&scene, upload(&scene), 12 << 20);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(20 << 20).unwrap();
    scene.server.faults().clear();
    let start = Instant::now();
    completed(&child.wait_with_output().unwrap());
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    is_uploaded(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_goes_on_and_leaves_no_orphan() {
    let scene = Scene::start().await;
    source(&scene);
    scene.server.faults().bandwidth(20 << 20);
    let mut child = start_until(&scene, upload(&scene), 20 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    scene.server.faults().clear();
    let row = completed(&upload(&scene).output().unwrap());
    assert_eq!(row["generation"], 1, "{row}");
    is_uploaded(&scene);
    let received = scene.server.history().bytes_received();
    assert!(received <= SIZE + IN_FLIGHT, "{received}");
}
