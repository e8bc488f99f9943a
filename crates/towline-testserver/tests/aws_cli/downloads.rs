//! 40 MiB down, one fault each.

use std::time::{Duration, Instant};

use towline_testserver::{Event, Operation, Point, Rule};

use crate::aws::{MIB, SIZE, Scene, code_is, exits};

/// The second of the five ranges.
fn second_range() -> Rule {
    Rule::on(Operation::GetObject)
        .offset(8 * MIB as u64)
        .first(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_flipped_bit_in_a_range_is_a_corrupt_file() {
    let scene = Scene::start().await;
    let mut object = scene.object().await;
    scene.play(second_range().flip(5000, 3));
    exits(scene.download(), 0);
    object[8 * MIB + 5000] ^= 1 << 3;
    assert_eq!(scene.target(), object, "exactly that bit is wrong");
}

/// Only a whole object comes with a checksum; the threshold makes it so.
#[tokio::test(flavor = "multi_thread")]
async fn bad_a_flipped_bit_under_a_checksum_fails_instead_of_being_fetched_again() {
    let scene = Scene::start().await;
    scene.source();
    let set = ["configure", "set", "s3.multipart_threshold", "100MB"];
    let whole = |mut command: std::process::Command| {
        exits(scene.aws(&set), 0);
        command.output().unwrap()
    };
    let upload = scene.upload();
    code_is(&whole(upload), 0);
    assert_eq!(scene.server.history().count(Operation::PutObject), 1);
    scene.play(Rule::on(Operation::GetObject).first(1).flip(5000, 3));
    let download = scene.download();
    let said = code_is(&whole(download), 1);
    assert!(said.contains("did not match calculated checksum"), "{said}");
    assert!(!scene.path("target").exists());
    assert_eq!(scene.server.history().count(Operation::GetObject), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_an_ignored_range_is_a_wrong_file() {
    let scene = Scene::start().await;
    let object = scene.object().await;
    scene.play(second_range().ignore_range());
    exits(scene.download(), 0);
    assert_ne!(scene.target(), object);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_wrong_bytes_under_the_right_content_range_are_a_wrong_file() {
    let scene = Scene::start().await;
    let object = scene.object().await;
    scene.play(second_range().scramble());
    exits(scene.download(), 0);
    let target = scene.target();
    assert_eq!(target.len(), SIZE);
    assert_ne!(target, object);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_an_object_replaced_between_ranges_is_noticed() {
    let scene = Scene::start().await;
    scene.object().await;
    scene.play(second_range().event(Event::ReplaceObject));
    let said = exits(scene.download(), 1);
    assert!(said.contains("did not match expected ETag"), "{said}");
    assert!(!scene.path("target").exists());
}

/// The default read time-out is 60 s, which makes the 62 s of the table; here it is 3 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_body_is_noticed_at_the_read_time_out_alone() {
    let scene = Scene::start().await;
    let object = scene.object().await;
    scene.play(second_range().stall(Point::ResponseBytes(4 << 20), None));
    let mut download = scene.download();
    download.args(["--cli-read-timeout", "3"]);
    let start = Instant::now();
    exits(download, 0);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert_eq!(scene.target(), object);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_killed_download_leaves_its_temporary_file_and_starts_anew() {
    let scene = Scene::start().await;
    let object = scene.object().await;
    scene.server.faults().bandwidth(20 << 20);
    let mut child = scene.start_until(scene.download(), 20 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!scene.path("target").exists());
    assert_eq!(scene.leftovers().len(), 1);
    scene.server.faults().clear();
    scene.server.history().clear();
    exits(scene.download(), 0);
    assert_eq!(scene.target(), object);
    assert!(
        scene.server.history().bytes_sent() >= SIZE as u64,
        "nothing was kept"
    );
    assert_eq!(scene.leftovers().len(), 1, "the first is still there");
}
