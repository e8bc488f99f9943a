//! Networks that go and come back, and networks that must not be used. T39, T40.

use std::time::{Duration, Instant};

use towline::{NetworkClass, NetworkPolicy, ParkReason, Reason, State, TransferObserver};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

/// Waits until an upload has parts at S3 and more to send.
async fn moving(scene: &Scene, parts: usize) {
    until("parts are there", || {
        scene.server.history().count(Operation::UploadPart) > parts
    })
    .await;
}

async fn waits(observer: &TransferObserver) {
    until("it waits for the network", || {
        observer.state() == State::WaitingForNetwork
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t39_transfers_wait_while_the_link_is_cut_and_go_on_by_themselves() {
    let scene = Scene::start().await;
    let bytes = content(20 * MIB);
    let source = scene.file("source", &bytes);
    scene.upload("there", &source).await;
    let utility = &scene.utility;
    let small = scene.file("small", b"small");
    let failed = utility
        .upload("no-such-bucket", "failed", &small)
        .await
        .unwrap();
    assert_eq!(failed.finished().await.unwrap().state, State::Failed);
    let paused = utility.upload(BUCKET, "paused", &source).await.unwrap();
    paused.pause().await.unwrap();
    let canceled = utility.upload(BUCKET, "canceled", &source).await.unwrap();
    canceled.cancel().await.unwrap();
    assert_eq!(canceled.finished().await.unwrap().state, State::Canceled);

    let before = scene.server.history().count(Operation::UploadPart);
    scene.server.faults().bandwidth(4 << 20);
    let up = utility.upload(BUCKET, "up", &source).await.unwrap();
    let copy = scene.dir.path().join("copy");
    let down = utility.download(BUCKET, "there", &copy).await.unwrap();
    moving(&scene, before).await;
    scene.server.faults().offline(true);
    for observer in [&up, &down] {
        waits(observer).await;
    }
    for (observer, state) in [
        (&failed, State::Failed),
        (&paused, State::Paused),
        (&canceled, State::Canceled),
    ] {
        assert_eq!(observer.state(), state);
    }
    scene.server.faults().clear();
    completed(up.finished().await.unwrap());
    completed(down.finished().await.unwrap());
    assert_eq!(std::fs::read(copy).unwrap(), bytes);
    for (id, state) in [
        (failed.id(), State::Failed),
        (paused.id(), State::Paused),
        (canceled.id(), State::Canceled),
    ] {
        assert_eq!(utility.get(id).await.unwrap().state, state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t39_a_process_that_starts_without_a_network_goes_on_when_it_is_there() {
    let mut scene = Scene::start().await;
    let source = scene.file("source", &content(12 * MIB));
    scene.server.faults().offline(true);
    let up = scene.utility.upload(BUCKET, "up", &source).await.unwrap();
    waits(&up).await;
    let id = up.id();
    drop(up);
    scene.reopen().await;
    let up = scene.utility.observe(id).await.unwrap();
    waits(&up).await;
    scene.server.faults().clear();
    completed(up.finished().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_brings_waiting_transfers_back_at_once() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(MIB));
    scene.server.faults().offline(true);
    let up = scene.utility.upload(BUCKET, "up", &source).await.unwrap();
    waits(&up).await;
    // Asked at 0.5, 1, 2, 4 … s: after 8 s nobody asks for 4 s at least.
    tokio::time::sleep(Duration::from_secs(9)).await;
    scene.server.faults().clear();
    let back = Instant::now();
    scene
        .utility
        .network_changed(NetworkClass::Unknown)
        .unwrap();
    completed(up.finished().await.unwrap());
    assert!(
        back.elapsed() < Duration::from_secs(3),
        "{:?}",
        back.elapsed()
    );
}

const BARRED: Option<Reason> = Some(Reason::Parked(ParkReason::NetworkClass));

#[tokio::test(flavor = "multi_thread")]
async fn t40_a_transfer_for_unmetered_networks_sends_nothing_on_a_metered_one() {
    let mut scene = Scene::start().await;
    let source = scene.file("source", &content(40 * MIB));
    let utility = scene.utility.clone();
    utility.network_changed(NetworkClass::Metered).unwrap();
    let request = utility.upload(BUCKET, "up", &source);
    let up = request.network(NetworkPolicy::Unmetered).await.unwrap();
    let free = utility.upload(BUCKET, "free", &source).await.unwrap();
    waits(&up).await;
    assert_eq!(up.transfer().reason, BARRED);
    completed(free.finished().await.unwrap());
    let of_up = |scene: &Scene| {
        let requests = scene.server.history().requests();
        requests
            .iter()
            .filter(|r| r.key.as_deref() == Some("up"))
            .count()
    };
    assert_eq!(of_up(&scene), 0, "not one request");

    // A live change lets it go, and stops it again.
    scene.server.faults().bandwidth(4 << 20);
    utility.network_changed(NetworkClass::Unmetered).unwrap();
    until("it moves", || up.bytes_transferred() > 6 << 20).await;
    utility.network_changed(NetworkClass::Metered).unwrap();
    waits(&up).await;
    assert_eq!(up.transfer().reason, BARRED);
    let mut received = 0; // what is in the sockets' buffers still comes
    until("nothing is sent any more", || {
        std::thread::sleep(Duration::from_millis(300));
        let before = std::mem::replace(&mut received, scene.server.history().bytes_received());
        before == received
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.server.history().bytes_received(), received);

    // Another process knows it, and what it may use can be changed.
    let id = up.id();
    drop(up);
    scene.reopen().await;
    let utility = &scene.utility;
    utility.network_changed(NetworkClass::Metered).unwrap();
    let up = utility.observe(id).await.unwrap();
    waits(&up).await;
    assert!(up.allow_on(NetworkPolicy::Any).await.unwrap());
    assert!(!up.allow_on(NetworkPolicy::Any).await.unwrap());
    scene.server.faults().bandwidth(0);
    completed(up.finished().await.unwrap());
    assert!(
        !up.allow_on(NetworkPolicy::Metered).await.unwrap(),
        "it is done"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t40_a_running_transfer_stops_when_it_is_told_to_use_other_networks() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(40 * MIB));
    scene.server.faults().bandwidth(4 << 20);
    let up = scene.utility.upload(BUCKET, "up", &source).await.unwrap();
    until("it moves", || up.bytes_transferred() > 0).await;
    up.allow_on(NetworkPolicy::Metered).await.unwrap();
    waits(&up).await;
    scene.server.faults().bandwidth(0);
    up.pause().await.unwrap();
    up.resume().await.unwrap();
    waits(&up).await;
    scene
        .utility
        .network_changed(NetworkClass::Metered)
        .unwrap();
    completed(up.finished().await.unwrap());
}
