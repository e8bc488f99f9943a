//! The refusals and oddities of S3 that a transfer goes through. The numbers are
//! those of FAILURES.md, section 4.

use std::time::Duration;

use towline_testserver::{Answer, By, Event, Operation, Point, Rule, Script, WrongRegion};

use crate::common::Scene;
use crate::downloads::third_range;
use crate::scene::{
    completed, download, faults, is_downloaded, is_uploaded, object, play, source, upload,
};

/// Up and down through everything that the script does, in one generation.
async fn goes_through(script: Script) {
    let scene = Scene::start().await;
    source(&scene);
    scene.server.faults().play(script.clone()).unwrap();
    let row = completed(&upload(&scene).output().unwrap());
    assert_eq!(row["generation"], 1, "{row}");
    is_uploaded(&scene);
    assert!(faults(&scene) > 0, "there was a fault on the way up");
    let before = faults(&scene);
    scene.server.faults().play(script).unwrap();
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["generation"], 1, "{row}");
    is_downloaded(&scene);
    assert!(faults(&scene) > before, "there was a fault on the way down");
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_clock_that_differs_is_learned() {
    goes_through(Script::new().clock_offset(3600)).await;
    goes_through(Script::new().clock_offset(-7200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_another_region_is_learned() {
    for answer in [WrongRegion::Malformed, WrongRegion::Redirect] {
        goes_through(Script::new().region("eu-west-1", answer)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_slow_down_is_waited_out() {
    let slow_down = Answer::error(503, "SlowDown");
    goes_through(Script::new().rule(Rule::on_any().first(1).answer(slow_down))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_dead_keep_alive_is_replaced() {
    let dead = Rule::on_any().reused(true).first(1);
    goes_through(Script::new().rule(dead.cut(Point::BeforeRead, By::Rst))).await;
}

async fn goes_up_through(rule: Rule, generation: u64) -> Scene {
    let scene = Scene::start().await;
    source(&scene);
    play(&scene, rule);
    let row = completed(&upload(&scene).output().unwrap());
    assert_eq!(row["generation"], generation, "{row}");
    is_uploaded(&scene);
    assert!(faults(&scene) > 0, "there was a fault");
    scene
}

fn third_part() -> Rule {
    Rule::on(Operation::UploadPart).part(3).first(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn f47_an_answer_in_the_middle_of_a_part_is_read_before_the_reset() {
    let early = Answer::error(503, "SlowDown").early(100_000);
    let rule = third_part()
        .answer(early)
        .cut(Point::AfterResponse, By::Rst);
    goes_up_through(rule, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f05_an_upload_aborted_by_someone_else_starts_anew() {
    goes_up_through(third_part().event(Event::AbortUpload), 2).await;
    let complete = Rule::on(Operation::CompleteMultipartUpload).first(1);
    goes_up_through(complete.event(Event::AbortUpload), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_an_invalid_part_is_looked_up_and_completed_again() {
    let complete = Rule::on(Operation::CompleteMultipartUpload).first(1);
    goes_up_through(complete.answer(Answer::error(400, "InvalidPart")), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f28_f38_a_part_without_its_etag_or_with_another_is_no_success() {
    goes_up_through(third_part().drop_header("etag"), 1).await;
    goes_up_through(third_part().set_header("etag", "\"0123\""), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_parts_that_land_twice_do_no_harm() {
    let twice = Rule::on(Operation::UploadPart).duplicate(Duration::from_millis(50));
    goes_up_through(twice, 1).await;
}

async fn goes_down_through(rule: Rule) {
    let scene = Scene::start().await;
    object(&scene).await;
    play(&scene, rule);
    let row = completed(&download(&scene).output().unwrap());
    assert_eq!(row["generation"], 1, "{row}");
    is_downloaded(&scene);
    assert_eq!(faults(&scene), 1, "the fault was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_f24_a_body_of_another_length_is_not_believed() {
    for rule in [
        third_range().cut(Point::ResponseBytes(1_000_000), By::Fin),
        third_range().cut(Point::ResponseBytes(1_000_000), By::Rst),
        third_range().truncate(1_000_000),
        third_range().extend(1000),
        third_range().extend(1000).keep_length(),
    ] {
        goes_down_through(rule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t61_f31_a_page_of_html_is_no_object() {
    let page = Answer::status(200).body("<html>Log in</html>", "text/html");
    goes_down_through(third_range().answer(page)).await;
}
