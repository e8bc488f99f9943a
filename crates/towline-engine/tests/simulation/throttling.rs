//! A store that is asked too much is asked less, and more again later.

use std::time::Duration;

use towline_core::Direction;
use towline_testkit::simulation::{End, Request, SimulatedS3};

use crate::scene::{MIB, Moved, OTHER_STORE, STORE, Scene, secs};

async fn uploads(scene: &Scene, store: &str, name: &str, count: u32, len: u64) -> Vec<Moved> {
    let mut all = Vec::new();
    for number in 0..count {
        let key = format!("{name}-{number}");
        let submitted = scene.submit(store, Direction::Upload, &key, len, |_| ());
        all.push(submitted.await);
    }
    all
}

fn throttled(all: &[Request]) -> usize {
    let slow_down = |r: &&Request| matches!(r.end, End::Refused(503, _));
    all.iter().filter(slow_down).count()
}

/// The most requests under way at one time since a time.
fn most_at_one_time(s3: &SimulatedS3, since: Duration) -> usize {
    let all = s3.history();
    let its: Vec<_> = all.iter().filter(|r| r.at >= since).collect();
    let under_way = |at| {
        let is = |r: &&&Request| r.at <= at && r.ended.is_none_or(|ended| ended > at);
        its.iter().filter(is).count()
    };
    its.iter().map(|r| under_way(r.at)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_three_requests_is_found_out_and_asked_no_more_than_it_takes() {
    let scene = Scene::with(|config| {
        config.requests = Some(12);
        config.retry_limit = 0;
    })
    .await;
    scene.s3.set_bandwidth(Some(3 * MIB));
    scene.s3.throttle_above(Some(3));
    let all = uploads(&scene, STORE, "object", 200, MIB).await;
    for of in &all {
        scene.completes(of, secs(300)).await;
    }
    let took = scene.s3.elapsed();
    let history = scene.s3.history();
    let refused = throttled(&history);
    println!("{refused} of {} throttled, {took:?}", history.len());
    assert!(
        refused * 10 <= history.len(),
        "{refused} of {}",
        history.len()
    );
    // 200 MiB at 3 MiB/s take 67 s: what is lost to waiting is little.
    assert!(took <= secs(100), "{took:?}");

    scene.s3.throttle_above(None);
    let lifted = scene.s3.elapsed();
    let all = uploads(&scene, STORE, "later", 200, MIB).await;
    let is_back = async || most_at_one_time(&scene.s3, lifted) >= 12;
    scene
        .until("all requests are used again", secs(60), is_back)
        .await;
    println!("all used again after {:?}", scene.s3.elapsed() - lifted);
    for of in &all {
        scene.completes(of, secs(300)).await;
    }
    assert_eq!(throttled(&scene.s3.history()), refused);
}

#[tokio::test(start_paused = true)]
async fn one_store_that_throttles_does_not_slow_another() {
    let scene = Scene::with(|config| config.requests = Some(12)).await;
    scene.s3.set_bandwidth(Some(MIB));
    scene.other.set_bandwidth(Some(8 * MIB));
    scene.s3.throttle_above(Some(1));
    let slow = uploads(&scene, STORE, "slow", 40, MIB).await;
    tokio::time::sleep(secs(5)).await;
    let since = scene.other.elapsed();
    let quick = uploads(&scene, OTHER_STORE, "quick", 80, MIB).await;
    for of in &quick {
        scene.completes(of, secs(60)).await;
    }
    // 80 MiB at 8 MiB/s take 10 s.
    let took = scene.other.elapsed() - since;
    println!("beside a throttled store: {took:?}");
    assert!(took <= secs(15), "{took:?}");
    assert!(most_at_one_time(&scene.other, since) >= 10);
    for of in &slow {
        scene.completes(of, secs(200)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hours_of_throttling_spend_no_attempt() {
    let scene = Scene::with(|config| {
        config.retry_limit = 0;
        config.progress_interval = secs(5);
    })
    .await;
    scene.s3.throttle_above(Some(0));
    let all = uploads(&scene, STORE, "object", 20, 6 * MIB).await;
    tokio::time::sleep(secs(3 * 3600)).await;
    let asked = scene.s3.history().len();
    println!("{asked} requests in three hours of 20 throttled transfers");
    assert!(asked <= 20 * 3 * 3600 / 10, "{asked}");
    scene.s3.throttle_above(None);
    for of in &all {
        scene.completes(of, secs(120)).await;
    }
    scene.assert_nothing_twice();
}
