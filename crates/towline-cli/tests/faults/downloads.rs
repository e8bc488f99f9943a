//! Downloads that others corrupt or leave lying about.

use std::time::{Duration, Instant};

use towline_testserver::{Event, Operation, Point, Rule, Script};

use crate::common::{BUCKET, Scene, bytes};
use crate::scene::{
    IN_FLIGHT, MIB, SIZE, completed, download, faults, is_downloaded, object, play, start_until,
};

pub(crate) async fn downloads_whole_through(rule: Rule, verified: &str) -> Scene {
    let scene = Scene::start().await;
    object(&scene).await;
    play(&scene, rule);
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["verified"], verified, "{row}");
    is_downloaded(&scene);
    scene
}

/// The third range of several.
pub(crate) fn third_range() -> Rule {
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
