//! Row 61: the disk of the state is full, or fails.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use towline::{Error, State, TransferObserver};
use towline_testserver::Operation;

use crate::{BUCKET, MIB, Scene, builder, completed, content, open, until};
use towline_testkit::small_disk::{SmallDisk, succeeds, unmount};

/// For this long a busy machine may leave what was sent unread.
const QUIET: Duration = Duration::from_secs(1);

/// A scene whose state is on a disk of its own.
async fn scene_on(disk: &SmallDisk) -> Scene {
    Scene::with_state(tempfile::tempdir().unwrap(), &disk.path("state")).await
}

/// An upload of 60 MiB that has sent some parts and is far from its end.
async fn under_way(scene: &Scene) -> TransferObserver {
    let source = scene.file("source", &content(60 * MIB));
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.upload("key", &source).await;
    until("parts are recorded", || {
        observer.bytes_transferred() > 12 * MIB
    })
    .await;
    observer
}

/// Nothing is told of it any more, as nothing can be recorded; and nothing more
/// is asked of S3.
async fn stops(scene: &Scene, observer: &TransferObserver) {
    let ended = observer.finished().await;
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    let history = scene.server.history();
    let running = |request: &towline_testserver::Request| {
        !request.completed && request.status.is_none() && request.fault.is_none()
    };
    scene.server.faults().clear();
    // What was written to a socket before the end is read by the server after it.
    let (mut before, mut quiet_since) = (0, Instant::now());
    until("what was under way has ended", || {
        let now = history.requests().len();
        let under_way = history.count_where(|request| running(request) && request.received_whole);
        if now != std::mem::replace(&mut before, now) || under_way > 0 {
            quiet_since = Instant::now();
        }
        quiet_since.elapsed() > QUIET
    })
    .await;
    assert_eq!(history.count(Operation::CompleteMultipartUpload), 0);
    let refused = scene
        .utility
        .upload(BUCKET, "other", scene.path("source"))
        .await;
    assert!(refused.is_err());
    assert_eq!(history.requests().len(), before);
}

/// The next process finishes it and sends only what was not confirmed.
async fn goes_on(scene: &mut Scene, state: PathBuf, id: towline::TransferId) {
    drop(scene.utility.close().await); // it has nothing good to say
    scene.utility = open(&scene.server, &state).await;
    let observer = scene.utility.observe(id).await.unwrap();
    let done = completed(&observer).await;
    assert_eq!(done.generation, 1);
    assert!(scene.stored("key").unwrap() == content(60 * MIB));
    assert_eq!(scene.server.open_uploads(BUCKET), []);
    // At most the five parts that were under way.
    let requests = scene.server.history().requests();
    let its = requests.iter().filter(|r| r.key.as_deref() == Some("key"));
    let received: u64 = its.map(|request| request.bytes_received).sum();
    assert!(received <= (60 + 6 * 5) * MIB, "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_a_full_disk_below_the_state_refuses_submits_stops_the_work_and_a_restart_recovers() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let mut scene = scene_on(&disk).await;
    let observer = under_way(&scene).await;
    let id = observer.id();
    let filler = disk.fill();
    let refused = scene
        .utility
        .upload(BUCKET, "other", scene.path("source"))
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "StoreFull", "{error}");
    let said = format!("no space left for {}", disk.path("state").display());
    assert!(error.to_string().starts_with(&said), "{error}");
    stops(&scene, &observer).await;
    drop(observer);

    std::fs::remove_file(filler).unwrap();
    goes_on(&mut scene, disk.path("state"), id).await;
    let (found, _) = scene.utility.find(towline::Query::default()).await.unwrap();
    assert_eq!(found.len(), 1, "what was refused is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_who_waits_for_a_group_hears_that_its_state_cannot_be_written() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let scene = scene_on(&disk).await;
    let dir = scene.path("files");
    std::fs::create_dir(&dir).unwrap();
    scene.server.faults().offline(true);
    std::fs::write(dir.join("file"), b"bytes").unwrap();
    let request = scene.utility.upload_directory(&dir, BUCKET, "p/");
    let group = request.await.unwrap();
    // So that it has no end before.
    assert!(scene.utility.pause_group(group.id()).await.unwrap());
    scene.server.faults().offline(false);
    let observer = under_way(&scene).await;
    let _filler = disk.fill();
    stops(&scene, &observer).await;
    let waited = tokio::time::timeout(Duration::from_secs(60), group.finished()).await;
    let error = waited.expect("it waits for ever").unwrap_err();
    assert_eq!(error.code(), "Closed", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_a_state_on_a_disk_that_is_still_full_is_not_harmed_by_trying() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let mut scene = scene_on(&disk).await;
    let observer = under_way(&scene).await;
    let id = observer.id();
    let filler = disk.fill();
    stops(&scene, &observer).await;
    drop(observer);
    drop(scene.utility.close().await);
    for _ in 0..3 {
        let state = disk.path("state");
        match builder(scene.server.endpoint(), &state).open().await {
            Err(error) => assert_eq!(error.code(), "StoreFull", "{error}"),
            Ok(utility) => {
                let transfer = utility.get(id).await.unwrap();
                assert!(!transfer.state.is_final(), "{transfer:?}");
                drop(utility.close().await);
            }
        }
    }
    std::fs::remove_file(filler).unwrap();
    goes_on(&mut scene, disk.path("state"), id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_a_state_that_a_full_disk_did_not_let_be_made_can_be_made_later() {
    for room in [0, 8 << 10, 32 << 10, 64 << 10, 128 << 10] {
        let Some(disk) = SmallDisk::mount(4 * MIB) else {
            return;
        };
        let filler = disk.fill();
        let file = std::fs::File::options().write(true).open(&filler).unwrap();
        let len = file.metadata().unwrap().len();
        file.set_len(len - room).unwrap();
        drop(file);
        let scene = Scene::start().await;
        let state = disk.path("state");
        match builder(scene.server.endpoint(), &state).open().await {
            Err(error) => {
                let code = error.code();
                assert!(
                    ["StoreFull", "StoreFailed"].contains(&code),
                    "{room}: {error:?}"
                );
            }
            Ok(utility) => drop(utility.close().await),
        }
        std::fs::remove_file(filler).unwrap();
        let utility = open(&scene.server, &state).await;
        let source = scene.file("source", b"bytes");
        let upload = utility.upload(BUCKET, "key", &source).await.unwrap();
        assert_eq!(
            upload.finished().await.unwrap().state,
            State::Completed,
            "{room}"
        );
        utility.close().await.unwrap();
    }
}

/// An ext4 on a device that claims to be larger than what is below it: what does
/// not fit there fails with EIO when it is synced, as on thin volumes and disks
/// that die.
struct ThinDisk {
    below: SmallDisk,
    mounted: tempfile::TempDir,
}

impl ThinDisk {
    fn mount() -> Option<Self> {
        let below = SmallDisk::mount(16 * MIB)?;
        let image = below.path("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(128 * MIB).unwrap();
        let mounted = tempfile::tempdir().unwrap();
        let mut make = Command::new("mkfs.ext4");
        let mut mount = Command::new("mount");
        let made = succeeds(make.args(["-q", "-O", "^has_journal"]).arg(&image))
            && succeeds(mount.args(["-o", "loop"]).arg(&image).arg(mounted.path()));
        made.then_some(Self { below, mounted })
    }
}

impl Drop for ThinDisk {
    fn drop(&mut self) {
        unmount(self.mounted.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_a_failing_disk_below_the_state_stops_the_work_and_a_restart_recovers() {
    let Some(disk) = ThinDisk::mount() else {
        return;
    };
    let state = disk.mounted.path().join("state");
    let mut scene = Scene::with_state(tempfile::tempdir().unwrap(), &state).await;
    let observer = under_way(&scene).await;
    let id = observer.id();
    let filler = disk.below.fill();
    // Some commits may still fit into what is there; one of these does not.
    let mut refused = None;
    let small = scene.file("small", b"bytes");
    for n in 0..1000 {
        let key = format!("{n}");
        match scene.utility.upload(BUCKET, &key, &small).await {
            Ok(another) => drop(another.pause().await),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let error = refused.expect("the disk fails");
    assert!(
        ["StoreFailed", "Closed"].contains(&error.code()),
        "{error:?}"
    );
    stops(&scene, &observer).await;
    drop(observer);
    std::fs::remove_file(filler).unwrap();
    goes_on(&mut scene, state, id).await;
}
