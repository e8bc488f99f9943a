//! Copies: what is copied may be out of reach where its copy is not.

use towline_core::{Command, Operation, ParkReason, Phase};
use towline_testkit::simulation::{End, Request};

use crate::scene::{MIB, ORIGIN, Scene, secs};

#[tokio::test(start_paused = true)]
async fn a_copy_whose_source_is_out_of_reach_waits_and_keeps_no_other_transfer_from_its_bucket() {
    let scene = Scene::new().await;
    scene.s3.rule(|rules| rules.unknown_bucket = Some(ORIGIN));
    scene.s3.set_bandwidth(Some(MIB));
    let copy = scene.copy("copy", 12 * MIB).await;
    let waits = async || scene.phase(&copy).await == Phase::Parked(ParkReason::Network);
    scene.until("it waits", secs(10), waits).await;
    let upload = scene.upload("upload", 30 * MIB).await;
    let began = scene.s3.elapsed();
    scene.completes(&upload, secs(60)).await;
    let took = scene.s3.elapsed() - began;
    assert!(took < secs(40), "it was held up: {took:?}");
    assert!(waits().await, "it still does");
    tokio::time::sleep(secs(600)).await;
    let asked = scene.requests_of(&copy).len();
    assert_eq!(asked, 0, "the store of the copy is asked nothing meanwhile");
    let generation = scene.record(&copy).await.generation;
    scene.s3.rule(|rules| rules.unknown_bucket = None);
    scene.completes(&copy, secs(60)).await;
    assert_eq!(scene.record(&copy).await.generation, generation);
}

#[tokio::test(start_paused = true)]
async fn a_copy_in_parts_is_of_one_version_also_where_the_store_heeds_no_condition_on_its_source() {
    let scene = Scene::new().await;
    scene.s3.rule(|rules| {
        rules.copies_whatever = true;
        rules.shows_no_checksums = true;
    });
    let copy = scene.copy("copy", 60 * MIB).await;
    let other = vec![7; usize::try_from(copy.len).unwrap()];
    scene.s3.put(ORIGIN, "copy", other);
    let some = async || {
        let requests = scene.requests_of(&copy);
        let is_done = |request: &Request| request.part.is_some() && request.end == End::Done;
        requests.iter().any(is_done)
    };
    scene.until("some parts are copied", secs(10), some).await;
    scene.put_origin(&copy);
    scene.completes(&copy, secs(60)).await;
    assert_eq!(scene.record(&copy).await.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_store_is_not_at_work_with_any_more_is_canceled_without_a_wait() {
    let scene = Scene::new().await;
    scene.s3.deny(&[Operation::CopyObject]);
    let copy = scene.copy("copy", MIB).await;
    let failed = async || scene.phase(&copy).await == Phase::Failed;
    scene.until("it has failed", secs(60), failed).await;
    tokio::time::sleep(secs(10)).await;
    scene.command(&copy, Command::Cancel).await;
    let canceled = async || scene.phase(&copy).await == Phase::Canceled;
    scene.until("it is canceled", secs(1), canceled).await;
}
