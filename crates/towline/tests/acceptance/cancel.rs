//! Cancel: nothing of it is left, and what stood there before is untouched. T17 to T19, T22.

use std::time::{Duration, Instant};

use towline::{Command, Config, Query, State, TransferObserver};
use towline_testserver::{Operation, TestServer};

use crate::seen::Seen;
use crate::{BUCKET, Scene, completed, content, names, until};

const MIB: usize = 1 << 20;

/// Cancels, and looks that it ends canceled, once, with nothing left; also
/// after reopening.
async fn ends_canceled_once(mut scene: Scene, observer: &TransferObserver) {
    let id = observer.id();
    let seen = Seen::of(observer);
    assert!(observer.cancel().await.unwrap());
    let transfer = observer.finished().await.unwrap();
    assert_eq!(transfer.state, State::Canceled);
    seen.comes(State::Canceled).await;
    assert!(!observer.cancel().await.unwrap(), "a second time");
    assert_eq!(seen.count(State::Canceled), 1);
    assert_eq!(seen.states().last(), Some(&State::Canceled));
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
    let requests = scene.server.history().requests().len();

    let before = scene.utility.get(id).await.unwrap();
    scene.server.faults().clear();
    scene.reopen().await;
    assert_eq!(scene.utility.get(id).await.unwrap(), before);
    let small = scene.file("small", b"small");
    scene.upload("another", &small).await;
    assert_eq!(scene.utility.get(id).await.unwrap(), before);
    let of_it = scene.server.history().requests().split_off(requests);
    let of_it = of_it
        .iter()
        .filter(|request| request.key.as_deref() == Some("key"));
    assert_eq!(of_it.count(), 0, "something went on");
}

/// An upload in parts, some confirmed and some under way.
async fn running_upload(scene: &Scene) -> TransferObserver {
    let path = scene.file("source", &content(40 * MIB));
    scene.server.faults().bandwidth(10 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    until("some of it is there", || {
        scene.server.history().bytes_received() > 15 * MIB as u64
    })
    .await;
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_cancel_of_a_queued_transfer() {
    let mut config = Config::default();
    config.window = 1;
    let scene = Scene::with(config).await;
    let big = scene.file("big", &content(8 * MIB));
    scene.server.faults().bandwidth(1 << 20);
    let first = scene.utility.upload(BUCKET, "first", &big).await.unwrap();
    until("the first one runs", || {
        scene.server.history().bytes_received() > 0
    })
    .await;
    let queued = scene.utility.upload(BUCKET, "key", &big).await.unwrap();
    assert_eq!(queued.state(), State::Waiting);
    scene.server.faults().bandwidth(0);
    let canceled = queued.cancel().await.unwrap();
    assert!(canceled);
    assert_eq!(queued.finished().await.unwrap().state, State::Canceled);
    completed(first.finished().await.unwrap());
    let of_it = |request: &towline_testserver::Request| request.key.as_deref() == Some("key");
    assert_eq!(scene.server.history().count_where(of_it), 0);
    let mut scene = scene;
    scene.reopen().await;
    let again = scene.utility.get(queued.id()).await.unwrap();
    assert_eq!(again.state, State::Canceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_cancel_of_a_running_transfer() {
    let scene = Scene::start().await;
    let observer = running_upload(&scene).await;
    ends_canceled_once(scene, &observer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_cancel_of_a_paused_transfer() {
    let scene = Scene::start().await;
    let observer = running_upload(&scene).await;
    assert!(observer.pause().await.unwrap());
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
    ends_canceled_once(scene, &observer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_cancel_of_a_transfer_between_two_attempts() {
    let scene = Scene::start().await;
    let slow_down = Operation::UploadPart;
    let faults = scene.server.faults();
    faults.fail_next(slow_down, 1000, 503, "SlowDown");
    let path = scene.file("source", &content(10 * MIB));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let backs_off = || observer.transfer().reason == Some(towline::Reason::BackingOff);
    until("it backs off", backs_off).await;
    assert_eq!(observer.state(), State::Waiting);
    ends_canceled_once(scene, &observer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t17_cancel_of_a_transfer_that_waits_for_the_network() {
    let storage = tempfile::tempdir().unwrap();
    let server = |port| {
        let builder = TestServer::builder().directory(storage.path());
        builder.bucket(BUCKET).port(port).start()
    };
    let mut scene = Scene::on(server(0).await.unwrap(), Config::default()).await;
    let observer = running_upload(&scene).await;
    let port = scene.server.port();
    // Nobody listens: the store cannot be reached.
    let nobody = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    std::mem::replace(&mut scene.server, nobody)
        .shutdown()
        .await;
    let seen = Seen::of(&observer);
    seen.comes(State::WaitingForNetwork).await;
    let canceling = observer.cancel().await.unwrap();
    assert!(canceling);
    assert_eq!(observer.state(), State::InProgress, "not proven yet");

    scene.server = server(port).await.unwrap();
    let transfer = observer.finished().await.unwrap();
    assert_eq!(transfer.state, State::Canceled);
    seen.comes(State::Canceled).await;
    assert_eq!(seen.count(State::Canceled), 1);
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
    let before = scene.utility.get(observer.id()).await.unwrap();
    scene.reopen().await;
    let again = scene.utility.get(observer.id()).await.unwrap();
    assert_eq!(again, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn t18_a_canceled_upload_leaves_no_open_upload_with_parts_in_flight_too() {
    let scene = Scene::start().await;
    let delay = Duration::from_millis(700);
    scene.server.faults().delay(Operation::UploadPart, delay);
    let path = scene.file("source", &content(20 * MIB));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let history = scene.server.history();
    until("parts are under way", || {
        history.count(Operation::UploadPart) >= 3
    })
    .await;
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
    assert!(observer.cancel().await.unwrap());
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    let canceled = Instant::now();
    // None when it is canceled, and none comes back when the late parts land.
    while canceled.elapsed() < delay + Duration::from_millis(300) {
        assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(history.count(Operation::AbortMultipartUpload) >= 1);
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t19_a_canceled_download_leaves_no_file_and_the_target_as_it_was() {
    for (there, pause) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut scene = Scene::start().await;
        let path = scene.file("source", &content(40 * MIB));
        scene.upload("key", &path).await;
        scene.server.faults().bandwidth(10 << 20);
        let dir = scene.dir.path().join("down");
        std::fs::create_dir(&dir).unwrap();
        let target = dir.join("target");
        if there {
            std::fs::write(&target, "what was there").unwrap();
        }
        let observer = scene
            .utility
            .download(BUCKET, "key", &target)
            .await
            .unwrap();
        until("some of it came", || {
            scene.server.history().bytes_sent() > 12 * MIB as u64
        })
        .await;
        assert_eq!(names(&dir).len(), usize::from(there) + 1, "temporary file");
        if pause {
            assert!(observer.pause().await.unwrap());
        }
        assert!(observer.cancel().await.unwrap());
        assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
        let expected = there.then(|| "target".to_owned());
        assert_eq!(names(&dir), Vec::from_iter(expected.clone()));
        if there {
            assert_eq!(std::fs::read(&target).unwrap(), b"what was there");
        }
        scene.reopen().await;
        let again = scene.utility.get(observer.id()).await.unwrap();
        assert_eq!(again.state, State::Canceled);
        assert_eq!(names(&dir), Vec::from_iter(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_cancel_by_bucket_and_key_hits_all_that_match_and_no_other() {
    let server = TestServer::builder().bucket(BUCKET).bucket("other-bucket");
    let scene = Scene::on(server.start().await.unwrap(), Config::default()).await;
    let path = scene.file("source", &content(6 * MIB));
    scene.upload("key", &path).await;
    scene.server.faults().bandwidth(256 << 10);
    let utility = &scene.utility;
    let target = |name: &str| scene.dir.path().join(name);
    let up = utility.upload(BUCKET, "key", &path).await.unwrap();
    let down = utility.download(BUCKET, "key", target("a")).await.unwrap();
    let paused = utility.download(BUCKET, "key", target("b")).await.unwrap();
    assert!(paused.pause().await.unwrap());
    let mut others = vec![
        utility.upload(BUCKET, "key2", &path).await.unwrap(),
        utility.upload(BUCKET, "ke", &path).await.unwrap(),
        utility.upload("other-bucket", "key", &path).await.unwrap(),
    ];
    let other_paused = utility.upload(BUCKET, "Key", &path).await.unwrap();
    assert!(other_paused.pause().await.unwrap());

    let query = Query {
        bucket: Some(BUCKET.into()),
        key: Some("key".into()),
        ..Query::default()
    };
    let mut hit = utility.steer_all(Command::Cancel, query).await.unwrap();
    hit.sort();
    assert_eq!(hit, [up.id(), down.id(), paused.id()]);
    scene.server.faults().bandwidth(0);
    for observer in [&up, &down, &paused] {
        let transfer = observer.finished().await.unwrap();
        assert_eq!(transfer.state, State::Canceled);
    }
    assert_eq!(other_paused.state(), State::Paused);
    assert!(other_paused.resume().await.unwrap());
    others.push(other_paused);
    for observer in others {
        completed(observer.finished().await.unwrap());
    }
    assert_eq!(
        scene.server.versions(BUCKET, "key").len(),
        1,
        "the one before"
    );
}
