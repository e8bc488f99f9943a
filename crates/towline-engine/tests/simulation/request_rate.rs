//! A cap on requests a second. T69.

use std::num::NonZeroU32;

use towline_core::{Direction, TransferOptions, UploadMode};
use towline_testkit::simulation::SimulatedS3;

use crate::scene::{STORE, Scene, secs};

/// Over which a cap is to hold.
const WHILE: u64 = 10;

/// Requests that began in the next seconds are what a cap allows, or a tenth more
/// or less.
async fn assert_held(s3: &SimulatedS3, rate: u32) {
    let begun = s3.history().len();
    tokio::time::sleep(secs(WHILE)).await;
    let sent = (s3.history().len() - begun) as u64;
    let allowed = u64::from(rate) * WHILE;
    let off = sent.abs_diff(allowed);
    assert!(off * 10 <= allowed, "{sent} requests for {allowed}");
}

fn cap(rate: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(rate)
}

#[tokio::test(start_paused = true)]
async fn t69_a_cap_on_requests_holds_within_a_tenth_and_changes_while_they_are_sent() {
    for (direction, mode) in [
        (Direction::Upload, UploadMode::Auto),
        (Direction::Upload, UploadMode::Multipart),
        (Direction::Download, UploadMode::Auto),
    ] {
        let scene = Scene::with(|config| {
            config.requests = Some(32);
            config.request_rate = cap(20);
        })
        .await;
        let mut all = Vec::new();
        for number in 0..1200 {
            let key = format!("object-{number}");
            let set = |options: &mut TransferOptions| options.upload_mode = mode;
            all.push(scene.submit(STORE, direction, &key, 1000, set).await);
        }
        tokio::time::sleep(secs(3)).await;
        assert_held(&scene.s3, 20).await;
        scene.engine().set_request_rate(cap(5)).unwrap();
        tokio::time::sleep(secs(3)).await;
        assert_held(&scene.s3, 5).await;
        scene.engine().set_request_rate(cap(40)).unwrap();
        assert_eq!(scene.engine().request_rate(), cap(40));
        tokio::time::sleep(secs(3)).await;
        assert_held(&scene.s3, 40).await;
        scene.engine().set_request_rate(None).unwrap();
        for of in &all {
            scene.completes(of, secs(60)).await;
        }
        let done = scene.engine().statistics();
        assert_eq!((done.stalls, done.failures.len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn t69_what_waits_for_the_lowest_cap_neither_stalls_nor_fails_and_is_paused_at_once() {
    let scene = Scene::with(|config| {
        config.requests = Some(64);
        config.retry_limit = 0;
        config.request_rate = cap(1);
    })
    .await;
    let mut all = Vec::new();
    for number in 0..90 {
        all.push(scene.upload(&format!("object-{number}"), 1000).await);
    }
    tokio::time::sleep(secs(60)).await;
    // One whose turn has not come.
    let mut waits = 0;
    while !scene.requests_of(&all[waits]).is_empty() {
        waits += 1;
    }
    let waits = all.remove(waits);
    let asked = scene.s3.elapsed();
    scene.command(&waits, towline_core::Command::Pause).await;
    assert!(scene.s3.elapsed() - asked < secs(1));
    for of in &all {
        scene.completes(of, secs(300)).await;
    }
    let done = scene.engine().statistics();
    assert_eq!((done.stalls, done.failures.len()), (0, 0));
    scene.assert_nothing_twice();
}
