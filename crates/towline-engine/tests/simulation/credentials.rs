//! Credentials that expire, come back late or never, and clocks that are wrong.
//! T44, T45.

use std::time::Duration;

use towline_core::{Direction, Operation, ParkReason, Phase, State};
use towline_testkit::simulation::{End, Network, Request};

use crate::scene::{BUCKET, MIB, STORE, Scene, secs};

const MINUTES_15: u64 = 15 * 60;

fn refused(all: &[Request], code: &str) -> usize {
    // HEAD has no code to tell.
    let is_it = |r: &&Request| matches!(&r.end, End::Refused(_, said) if said == code);
    all.iter().filter(is_it).count()
}

/// A transfer of three hours with credentials that live for 15 minutes.
async fn three_hours(direction: Direction, len: u64, bytes_per_second: u64) {
    let scene = Scene::with(|config| {
        config.retry_limit = 0;
        config.parts_per_transfer = Some(1);
        config.progress_interval = secs(5);
    })
    .await;
    scene.s3.set_bandwidth(Some(bytes_per_second));
    let lifetime = secs(MINUTES_15);
    scene.s3.set_lifetime_of_credentials(Some(lifetime));
    let of = scene.submit(STORE, direction, "long", len, |_| ()).await;
    scene.completes(&of, secs(4 * 3600)).await;
    let took = scene.s3.elapsed();
    assert!(took >= secs(3 * 3600), "it took only {took:?}");
    let all = scene.s3.history();
    let expired = refused(&all, "ExpiredToken");
    println!("{direction:?} of {took:?}: {expired} requests had expired credentials");
    let rotations = took.as_secs() / MINUTES_15;
    assert!((5..=rotations as usize + 1).contains(&expired), "{expired}");
    assert_eq!(scene.bytes_moved(), len, "bytes that moved in vain");
    scene.assert_nothing_twice();
}

#[tokio::test(start_paused = true)]
async fn t45_an_upload_of_three_hours_completes_while_credentials_rotate() {
    three_hours(Direction::Upload, 170 * MIB, 16 << 10).await;
}

#[tokio::test(start_paused = true)]
async fn t45_a_download_of_three_hours_completes_while_credentials_rotate() {
    three_hours(Direction::Download, 64 * MIB, 6 << 10).await;
}

#[tokio::test(start_paused = true)]
async fn t45_many_requests_at_one_time_survive_credentials_that_live_for_seconds() {
    let scene = Scene::with(|config| config.retry_limit = 0).await;
    scene.s3.set_bandwidth(Some(MIB));
    scene.s3.set_lifetime_of_credentials(Some(secs(7)));
    let up = scene.upload("up", 40 * MIB).await;
    let down = scene.download("down", 40 * MIB).await;
    scene.completes(&up, secs(300)).await;
    scene.completes(&down, secs(300)).await;
    assert!(refused(&scene.s3.history(), "ExpiredToken") >= 3);
    scene.assert_nothing_twice();
}

#[tokio::test(start_paused = true)]
async fn t44_credentials_that_do_not_come_back_are_waited_for_and_seldom_tried() {
    const DAY: u64 = 24 * 3600;
    let scene = Scene::with(|config| {
        config.retry_limit = 0;
        config.progress_interval = secs(5);
    })
    .await;
    scene.s3.set_bandwidth(Some(MIB));
    scene.s3.set_lifetime_of_credentials(Some(secs(6)));
    scene.s3.give_credentials(false);
    let up = scene.upload("up", 40 * MIB).await;
    let down = scene.download("down", 40 * MIB).await;
    tokio::time::sleep(secs(120)).await;
    let before = scene.s3.history().len();
    tokio::time::sleep(secs(DAY)).await;
    for of in [&up, &down] {
        let phase = scene.phase(of).await;
        assert_eq!(phase, Phase::Parked(ParkReason::Credentials));
        assert_eq!(scene.state(of).await, State::Waiting);
    }
    // Each is tried every 30 to 60 s: once as it is, and once with what is read anew.
    let asked = scene.s3.history().len() - before;
    println!("{asked} requests in a day of two transfers without credentials");
    assert!(asked as u64 <= 2 * 2 * DAY / 30, "{asked}");
    scene.s3.give_credentials(true);
    scene.s3.set_lifetime_of_credentials(Some(secs(60)));
    // Each looks for itself, so the second may begin when the first is done.
    scene.completes(&up, secs(60 + 40)).await;
    scene.completes(&down, secs(60 + 40)).await;
    scene.assert_nothing_twice();
}

#[tokio::test(start_paused = true)]
async fn t44_a_clock_that_is_wrong_or_set_on_the_way_is_put_right_once() {
    for seconds in [3600, -3600, 20 * 365 * 24 * 3600] {
        let scene = Scene::with(|config| config.retry_limit = 0).await;
        scene.s3.set_bandwidth(Some(MIB));
        scene.s3.set_clock_ahead(seconds);
        let up = scene.upload("up", 20 * MIB).await;
        let down = scene.download("down", 20 * MIB).await;
        let moved = async || scene.bytes_moved() > 12 * MIB;
        scene.until("they are under way", secs(60), moved).await;
        scene.s3.set_clock_ahead(-seconds / 2);
        scene.completes(&up, secs(60)).await;
        scene.completes(&down, secs(60)).await;
        let skewed = refused(&scene.s3.history(), "RequestTimeTooSkewed");
        // All those that are under way at one time.
        assert!((1..=2 * 6).contains(&skewed), "{skewed}");
        scene.assert_nothing_twice();
    }
}

/// Found by random worlds: when a Create was asked for was told by our own clock
/// where another transfer had learned S3's.
#[tokio::test(start_paused = true)]
async fn an_upload_whose_name_was_lost_is_found_by_the_clock_that_another_one_learned() {
    for seconds in [3600, -3600] {
        let scene = Scene::new().await;
        scene.s3.set_clock_ahead(seconds);
        let first = scene.upload("first", 12 * MIB).await;
        scene.completes(&first, secs(60)).await;
        scene.s3.set_latency(secs(1));
        let second = scene.upload("second", 12 * MIB).await;
        let opened = async || scene.s3.open_uploads() == 1;
        scene.until("its upload is open", secs(60), opened).await;
        scene.s3.set_network(Network::Reset);
        tokio::time::sleep(secs(2)).await;
        scene.s3.set_network(Network::Up);
        scene.completes(&second, secs(300)).await;
        assert_eq!(scene.s3.opened().len(), 2, "{seconds}");
        assert_eq!(scene.s3.open_uploads(), 0, "{seconds}");
    }
}

/// Found by kills at random on a bad network: a Create that was frozen with its
/// connection arrived after its sender was killed and the next one had looked.
#[tokio::test(start_paused = true)]
async fn an_upload_that_a_lost_create_opens_after_it_was_looked_for_is_looked_for_again() {
    let mut scene = Scene::new().await;
    scene.s3.set_latency(secs(1));
    let upload = scene.upload("up", 12 * MIB).await;
    tokio::time::sleep(Duration::from_millis(300)).await; // Create is on its way
    scene.s3.set_latency(Duration::from_millis(20));
    scene.restart().await;
    let asked = |operation| {
        let history = scene.s3.history();
        let those = history.into_iter().filter(|it| it.operation == operation);
        those.count()
    };
    let looked = async || asked(Operation::ListMultipartUploads) == 1;
    scene.until("it was looked for", secs(120), looked).await;
    tokio::time::sleep(secs(1)).await; // until the answer is there
    assert_eq!(scene.s3.opened().len(), 0);
    scene.s3.open_upload(BUCKET, "up", None);
    scene.completes(&upload, secs(300)).await;
    assert_eq!(asked(Operation::ListMultipartUploads), 2);
    assert_eq!(scene.s3.opened().len(), 1, "what came late is used");
    assert_eq!(scene.s3.open_uploads(), 0);
}
