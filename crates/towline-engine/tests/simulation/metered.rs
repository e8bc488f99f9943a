//! Transfers that may go on some networks only. T40.

use towline_core::{
    Command, Direction, NetworkClass, NetworkPolicy, Operation, ParkReason, Phase, State,
};
use towline_testkit::simulation::Network;

use crate::scene::{MIB, Moved, STORE, Scene, secs};

const BARRED: Phase = Phase::Parked(ParkReason::NetworkClass);

async fn submit(scene: &Scene, direction: Direction, key: &str, policy: NetworkPolicy) -> Moved {
    let set = |options: &mut towline_core::TransferOptions| options.network = policy;
    scene.submit(STORE, direction, key, 12 * MIB, set).await
}

fn is_now(scene: &Scene, class: NetworkClass) {
    scene.engine().network_changed(class).unwrap();
}

/// Within a second no byte moves any more, nor later.
async fn assert_it_stops(scene: &Scene, of: &Moved) {
    tokio::time::sleep(secs(1)).await;
    let then = scene.bytes_moved();
    let asked = scene.s3.history().len();
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(
        scene.bytes_moved(),
        then,
        "bytes on a network it must not use"
    );
    assert_eq!(scene.s3.history().len(), asked, "requests there");
    assert_eq!(scene.state(of).await, State::WaitingForNetwork);
    assert_eq!(scene.phase(of).await, BARRED);
}

#[tokio::test(start_paused = true)]
async fn t40_a_transfer_for_unmetered_networks_does_not_begin_on_a_metered_one() {
    for direction in [Direction::Upload, Direction::Download] {
        let scene = Scene::new().await;
        is_now(&scene, NetworkClass::Metered);
        let of = submit(&scene, direction, "object", NetworkPolicy::Unmetered).await;
        assert_it_stops(&scene, &of).await;
        assert!(scene.s3.history().is_empty());
        is_now(&scene, NetworkClass::Unmetered);
        scene.completes(&of, secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn t40_a_live_change_of_the_network_stops_the_bytes_within_a_second() {
    for (direction, policy, good, bad) in [
        (
            Direction::Upload,
            NetworkPolicy::Unmetered,
            NetworkClass::Unmetered,
            NetworkClass::Metered,
        ),
        (
            Direction::Download,
            NetworkPolicy::Unmetered,
            NetworkClass::Unknown,
            NetworkClass::Metered,
        ),
        (
            Direction::Upload,
            NetworkPolicy::Metered,
            NetworkClass::Metered,
            NetworkClass::Unmetered,
        ),
    ] {
        let scene = Scene::new().await;
        scene.s3.set_bandwidth(Some(MIB));
        is_now(&scene, good);
        let of = submit(&scene, direction, "object", policy).await;
        for megabytes in [2, 7] {
            let moved = async || scene.bytes_moved() > megabytes * MIB;
            scene.until("it is under way", secs(60), moved).await;
            is_now(&scene, bad);
            assert_it_stops(&scene, &of).await;
            is_now(&scene, good);
        }
        scene.completes(&of, secs(30)).await;
        scene.assert_nothing_twice();
        assert_eq!(scene.record(&of).await.generation, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn t40_the_networks_of_a_transfer_change_while_it_runs() {
    let scene = Scene::new().await;
    scene.s3.set_bandwidth(Some(MIB));
    is_now(&scene, NetworkClass::Metered);
    let of = submit(&scene, Direction::Upload, "object", NetworkPolicy::Any).await;
    let moved = async || scene.bytes_moved() > 2 * MIB;
    scene.until("it is under way", secs(60), moved).await;
    let unmetered = Command::AllowOn(NetworkPolicy::Unmetered);
    scene.command(&of, unmetered).await;
    assert_it_stops(&scene, &of).await;
    scene
        .command(&of, Command::AllowOn(NetworkPolicy::Any))
        .await;
    scene.completes(&of, secs(30)).await;
    scene.assert_nothing_twice();
}

#[tokio::test(start_paused = true)]
async fn t40_a_queued_transfer_lets_others_pass_on_a_network_it_must_not_use() {
    let scene = Scene::with(|config| config.requests = Some(1)).await;
    scene.s3.set_bandwidth(Some(MIB));
    let first = submit(&scene, Direction::Upload, "first", NetworkPolicy::Any).await;
    let barred = submit(
        &scene,
        Direction::Upload,
        "barred",
        NetworkPolicy::Unmetered,
    )
    .await;
    let last = submit(&scene, Direction::Upload, "last", NetworkPolicy::Any).await;
    is_now(&scene, NetworkClass::Metered);
    scene.completes(&first, secs(60)).await;
    scene.completes(&last, secs(60)).await;
    assert_it_stops(&scene, &barred).await;
    is_now(&scene, NetworkClass::Unmetered);
    scene.completes(&barred, secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn t40_a_transfer_that_waits_for_its_store_still_minds_the_network() {
    let scene = Scene::new().await;
    scene.s3.set_bandwidth(Some(MIB));
    scene.s3.set_network(Network::Refused);
    let of = submit(
        &scene,
        Direction::Upload,
        "object",
        NetworkPolicy::Unmetered,
    )
    .await;
    tokio::time::sleep(secs(120)).await;
    assert_eq!(scene.phase(&of).await, Phase::Parked(ParkReason::Network));
    is_now(&scene, NetworkClass::Metered);
    tokio::time::sleep(secs(120)).await;
    scene.s3.set_network(Network::Up);
    tokio::time::sleep(secs(60)).await;
    assert_it_stops(&scene, &of).await;
    scene
        .command(&of, Command::AllowOn(NetworkPolicy::Any))
        .await;
    scene.completes(&of, secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn t40_a_paused_transfer_stays_paused_when_the_network_changes() {
    let scene = Scene::new().await;
    scene.s3.set_bandwidth(Some(MIB));
    let of = submit(
        &scene,
        Direction::Upload,
        "object",
        NetworkPolicy::Unmetered,
    )
    .await;
    scene.command(&of, Command::Pause).await;
    for class in [NetworkClass::Metered, NetworkClass::Unmetered] {
        is_now(&scene, class);
        tokio::time::sleep(secs(60)).await;
        assert_eq!(scene.state(&of).await, State::Paused);
    }
}

#[tokio::test(start_paused = true)]
async fn t40_what_is_canceled_is_removed_on_every_network() {
    let scene = Scene::new().await;
    scene.s3.set_bandwidth(Some(MIB));
    scene.s3.set_latency(secs(2));
    let of = submit(
        &scene,
        Direction::Upload,
        "object",
        NetworkPolicy::Unmetered,
    )
    .await;
    let moved = async || scene.bytes_moved() > 2 * MIB;
    scene.until("it is under way", secs(60), moved).await;
    scene.command(&of, Command::Cancel).await;
    is_now(&scene, NetworkClass::Metered);
    let is_so = async || scene.state(&of).await == State::Canceled;
    scene.until("it is canceled", secs(60), is_so).await;
    assert_eq!(scene.s3.open_uploads(), 0);
    let aborts = scene.requests_of(&of);
    let abort = |r: &&_| {
        matches!(
            r,
            towline_testkit::simulation::Request {
                operation: Operation::AbortMultipartUpload,
                ..
            }
        )
    };
    assert!(aborts.iter().any(|r| abort(&r)));
}
