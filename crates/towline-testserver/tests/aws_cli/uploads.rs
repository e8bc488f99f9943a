//! 40 MiB up, one fault each.

use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::aws::{MIB, SIZE, Scene, bytes, code_is, exits};

fn first_complete() -> Rule {
    Rule::on(Operation::CompleteMultipartUpload).first(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_complete_whose_response_is_lost_is_called_failed_though_the_object_is_whole() {
    let scene = Scene::start().await;
    let source = scene.source();
    scene.play(first_complete().cut(Point::AfterRequest, By::Fin));
    let said = exits(scene.upload(), 1);
    assert!(said.contains("NoSuchUpload"), "{said}");
    assert_eq!(scene.stored(), Some(source));
    assert_eq!(scene.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_an_error_after_white_space_is_retried() {
    let scene = Scene::start().await;
    let source = scene.source();
    let answer = Answer::error(200, "InternalError").white_space(Duration::from_secs(1));
    scene.play(first_complete().answer(answer));
    exits(scene.upload(), 0);
    assert_eq!(scene.stored(), Some(source));
    assert_eq!(scene.open_uploads(), 0);
}

const CUT_XML: &str =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult><Bucket>buc";

#[tokio::test(flavor = "multi_thread")]
async fn good_xml_cut_off_is_retried_when_nothing_was_applied() {
    let scene = Scene::start().await;
    let source = scene.source();
    let answer = Answer::status(200).body(CUT_XML, "application/xml");
    scene.play(first_complete().answer(answer));
    exits(scene.upload(), 0);
    assert_eq!(scene.stored(), Some(source));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_xml_cut_off_is_called_failed_though_the_object_is_whole() {
    let scene = Scene::start().await;
    let source = scene.source();
    let answer = Answer::status(200).body(CUT_XML, "application/xml");
    scene.play(first_complete().answer(answer).apply(Apply::Yes));
    let said = exits(scene.upload(), 1);
    assert!(said.contains("NoSuchUpload"), "{said}");
    assert_eq!(scene.stored(), Some(source));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_an_empty_200_for_complete_is_a_silent_loss() {
    let scene = Scene::start().await;
    scene.source();
    scene.play(first_complete().answer(Answer::status(200)));
    exits(scene.upload(), 0);
    assert_eq!(scene.stored(), None, "there is no object");
    assert_eq!(scene.open_uploads(), 1, "and its upload is an orphan");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_create_whose_response_is_lost_leaves_an_orphan() {
    let scene = Scene::start().await;
    let source = scene.source();
    scene.play(
        Rule::on(Operation::CreateMultipartUpload)
            .first(1)
            .cut(Point::AfterRequest, By::Fin),
    );
    exits(scene.upload(), 0);
    assert_eq!(scene.stored(), Some(source));
    assert_eq!(scene.open_uploads(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_killed_upload_is_sent_again_whole_and_its_orphan_stays() {
    for signal in ["-KILL", "-TERM"] {
        let scene = Scene::start().await;
        let source = scene.source();
        scene.server.faults().bandwidth(20 << 20);
        let mut child = scene.start_until(scene.upload(), 20 << 20);
        let mut kill = Command::new("kill");
        let kill = kill.args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        child.wait().unwrap();
        assert_eq!(scene.open_uploads(), 1, "{signal}");
        scene.server.faults().clear();
        scene.server.history().clear();
        exits(scene.upload(), 0);
        assert_eq!(scene.stored(), Some(source));
        assert_eq!(scene.open_uploads(), 1, "the first is still there");
        assert!(scene.server.history().bytes_received() >= SIZE as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_source_rewritten_in_place_becomes_a_torn_object() {
    let scene = Scene::start().await;
    let old = scene.source();
    let new = bytes(SIZE, 3);
    // Between two parts; within one, the signed hash of its bytes would tell.
    let second = Rule::on(Operation::UploadPart).part(2);
    scene.play(second.stall(Point::AfterRequest, Some(Duration::from_secs(2))));
    let child = scene.start_until(scene.upload(), 16 << 20);
    let file = std::fs::File::options()
        .write(true)
        .open(scene.path("source"));
    file.unwrap().write_all_at(&new, 0).unwrap();
    code_is(&child.wait_with_output().unwrap(), 0);
    let stored = scene.stored().unwrap();
    assert!(stored[..16 * MIB] == old[..16 * MIB] && stored[16 * MIB..] == new[16 * MIB..]);
}

/// The CLI gives up each of its attempts only at its read time-out; with the
/// default of 60 s and 5 attempts this takes the 316 s of the table.
#[tokio::test(flavor = "multi_thread")]
async fn bad_a_truncated_source_is_tried_until_every_attempt_has_timed_out() {
    let scene = Scene::start().await;
    scene.source();
    scene.server.faults().bandwidth(20 << 20);
    let mut upload = scene.upload();
    upload.args(["--cli-read-timeout", "3"]);
    let child = scene.start_until(upload, 12 << 20);
    let file = std::fs::File::options()
        .write(true)
        .open(scene.path("source"))
        .unwrap();
    file.set_len(20 << 20).unwrap();
    scene.server.faults().clear();
    let start = std::time::Instant::now();
    code_is(&child.wait_with_output().unwrap(), 1);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert_eq!(scene.stored(), None);
}
