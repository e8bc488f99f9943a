//! The rows of FAILURES.md, section 3: what other clients get wrong, one fault each.
//!
//! `crates/towline-testserver/tests/aws_cli` shows the standard AWS CLI fail
//! on the same faults.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use common::{BUCKET, Scene, bytes, json_lines, stderr};
use serde_json::Value;
use towline_testserver::{Answer, Apply, By, Event, Operation, Point, Rule, Script};

const MIB: u64 = 1 << 20;
/// Eight parts of 5 MiB.
const SIZE: u64 = 40 * MIB;
/// What may be under way at one time and so be sent again after a kill.
const IN_FLIGHT: u64 = 6 * 5 * MIB;

fn play(scene: &Scene, rule: Rule) {
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
}

fn source(scene: &Scene) -> PathBuf {
    scene.file("source", SIZE, 1)
}

/// An object that came by one PUT, so that its ETag is an MD5.
async fn object(scene: &Scene) -> Vec<u8> {
    let bytes = bytes(SIZE, 2);
    let put = scene.server.put_object(BUCKET, "key", bytes.clone());
    put.await.unwrap();
    bytes
}

fn upload(scene: &Scene) -> Command {
    let source = scene.path("source");
    scene.towline(&[
        "upload",
        source.to_str().unwrap(),
        "s3://bucket/key",
        "--json",
    ])
}

fn download(scene: &Scene) -> Command {
    let target = scene.path("target");
    scene.towline(&[
        "download",
        "s3://bucket/key",
        target.to_str().unwrap(),
        "--json",
    ])
}

#[track_caller]
fn completed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let row = json_lines(output).pop().unwrap();
    assert_eq!(row["state"], "completed", "{row}");
    row
}

/// The object is the source as it is now, and nothing else is left.
#[track_caller]
fn is_uploaded(scene: &Scene) {
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    let source = std::fs::read(scene.path("source")).unwrap();
    assert!(
        stored == source,
        "{} bytes stored of {}",
        stored.len(),
        source.len()
    );
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

/// The file is the object as it is now, and nothing else is left.
#[track_caller]
fn is_downloaded(scene: &Scene) {
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    let target = std::fs::read(scene.path("target")).unwrap();
    assert!(
        stored == target,
        "{} bytes here of {}",
        target.len(),
        stored.len()
    );
    assert_eq!(scene.temporary_files(), [] as [PathBuf; 0]);
}

/// Starts a command, and waits until so many bytes went through the server.
fn start_until(scene: &Scene, mut command: Command, moved: u64) -> Child {
    let history = scene.server.history();
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while history.bytes_received() + history.bytes_sent() < moved {
        assert!(Instant::now() < deadline, "it never moved {moved} bytes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

/// How often the fault was there.
fn faults(scene: &Scene) -> usize {
    scene
        .server
        .history()
        .count_where(|request| request.fault.is_some())
}

fn first_complete() -> Rule {
    Rule::on(Operation::CompleteMultipartUpload).first(1)
}

async fn uploads_whole_through(rule: Rule) -> Scene {
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
async fn an_error_after_white_space_is_no_success() {
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
async fn a_part_with_a_bit_flipped_on_the_way_is_sent_again() {
    let part = Rule::on(Operation::UploadPart).part(3).first(1);
    let scene = uploads_whole_through(part.flip_request(70_000, 2)).await;
    assert_eq!(scene.server.history().times_part_sent("key", 3), 2);
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

async fn downloads_whole_through(rule: Rule, verified: &str) -> Scene {
    let scene = Scene::start().await;
    object(&scene).await;
    play(&scene, rule);
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["verified"], verified, "{row}");
    is_downloaded(&scene);
    scene
}

/// The third range of several.
fn third_range() -> Rule {
    Rule::on(Operation::GetObject).offset(10 * MIB).first(1)
}

/// A store that tells no checksums.
fn without_checksums(rule: Rule) -> Rule {
    rule.drop_header("x-amz-checksum-crc64nvme")
        .drop_header("x-amz-checksum-type")
}

async fn downloads_whole_without_checksums(rule: Rule) {
    let scene = Scene::start().await;
    object(&scene).await;
    let script = Script::new()
        .rule(without_checksums(rule))
        .rule(without_checksums(Rule::on_any()));
    scene.server.faults().play(script).unwrap();
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["verified"], "md5", "{row}");
    is_downloaded(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_range_is_found_by_the_objects_checksum() {
    let scene = downloads_whole_through(third_range().flip(5000, 3), "full-object").await;
    assert_eq!(faults(&scene), 1, "the fault was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_range_is_found_by_the_md5_where_there_is_no_checksum() {
    downloads_whole_without_checksums(third_range().flip(5000, 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_whole_object_is_found_by_its_checksum_and_fetched_again() {
    let scene = Scene::start().await;
    let small = bytes(MIB, 4);
    scene.server.put_object(BUCKET, "key", small).await.unwrap();
    play(
        &scene,
        Rule::on(Operation::GetObject).first(1).flip(5000, 3),
    );
    completed(&download(&scene).output().unwrap());
    is_downloaded(&scene);
    assert_eq!(scene.server.history().count(Operation::GetObject), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_range_is_not_taken_for_it() {
    let scene = downloads_whole_through(third_range().ignore_range(), "full-object").await;
    assert_eq!(faults(&scene), 1, "the fault was there");
    downloads_whole_without_checksums(third_range().ignore_range()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_under_the_right_content_range_are_fetched_again() {
    let scene = downloads_whole_through(third_range().scramble(), "full-object").await;
    assert_eq!(faults(&scene), 1, "the fault was there");
    downloads_whole_without_checksums(third_range().scramble()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_content_range_is_not_believed() {
    let wrong = third_range().set_header("content-range", "bytes 0-5242879/41943040");
    let scene = downloads_whole_through(wrong, "full-object").await;
    assert_eq!(faults(&scene), 1, "the fault was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_replaced_between_ranges_is_fetched_as_it_is_now() {
    let scene = Scene::start().await;
    let old = object(&scene).await;
    play(&scene, third_range().event(Event::ReplaceObject));
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["generation"], 2, "{row}");
    is_downloaded(&scene);
    assert_ne!(scene.server.object_bytes(BUCKET, "key").unwrap(), old);
}

/// The AWS CLI needs its read time-out of 60 s for this.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_body_is_noticed_within_30_seconds() {
    let stall = third_range().stall(Point::ResponseBytes(2 << 20), None);
    let start = Instant::now();
    let scene = downloads_whole_through(stall, "full-object").await;
    assert!(
        start.elapsed() < Duration::from_secs(35),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(faults(&scene), 1, "the fault was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_download_goes_on_and_leaves_no_temporary_file() {
    let scene = Scene::start().await;
    object(&scene).await;
    scene.server.faults().bandwidth(20 << 20);
    let mut child = start_until(&scene, download(&scene), 20 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !scene.path("target").exists(),
        "a final name never shows partial bytes"
    );
    scene.server.faults().clear();
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["generation"], 1, "{row}");
    is_downloaded(&scene);
    let sent = scene.server.history().bytes_sent();
    assert!(sent <= SIZE + IN_FLIGHT, "{sent}");
}
