//! Rows 70 and 71: where the temporary file is, and a directory that goes, is
//! read-only or may not be written any more.

use towline::State;
use towline_testserver::Operation;

use crate::{MIB, Scene, completed, content, failed, names, parked, until};
use towline_testkit::disk::{Disk, Errno, Health};
use towline_testkit::small_disk::SmallDisk;

#[tokio::test(flavor = "multi_thread")]
async fn f70_a_target_on_another_file_system_has_its_temporary_file_beside_it() {
    let Some(disk) = SmallDisk::mount(32 * MIB) else {
        return;
    };
    let scene = Scene::start().await;
    let bytes = content(12 * MIB);
    scene.object("key", &bytes).await;
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &disk.path("target")).await;
    until("bytes came", || observer.bytes_transferred() > MIB).await;
    let during = names(disk.dir());
    let is_temp = |name: &String| name.starts_with(".towline-") && name.ends_with(".part");
    assert!(during.len() == 1 && is_temp(&during[0]), "{during:?}");
    scene.server.faults().clear();
    completed(&observer).await;
    assert!(std::fs::read(disk.path("target")).unwrap() == bytes);
    assert_eq!(names(disk.dir()), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_a_file_that_cannot_be_made_is_waited_for_before_anything_is_fetched() {
    for errno in [Errno::EROFS, Errno::EACCES, Errno::EPERM] {
        let refusing = Health {
            names: Some(errno),
            ..Health::default()
        };
        let Some(disk) = Disk::mount(refusing) else {
            return;
        };
        let scene = Scene::start().await;
        let bytes = content(12 * MIB);
        scene.object("key", &bytes).await;
        let target = disk.path("target");
        let observer = scene.download("key", &target).await;
        let error = parked(&observer, "read_only").await.error.unwrap();
        assert_eq!(error.code, "TargetUnwritable");
        let said = format!("cannot write {}: ", target.display());
        assert!(error.message.starts_with(&said), "{}", error.message);
        assert_eq!(scene.server.history().count(Operation::GetObject), 0);
        disk.set(|health| health.names = None);
        completed(&observer).await;
        assert!(std::fs::read(&target).unwrap() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_a_name_that_cannot_be_given_is_waited_for_and_nothing_is_fetched_again() {
    for errno in [Errno::EROFS, Errno::EACCES] {
        let Some(disk) = Disk::mount(Health::default()) else {
            return;
        };
        let scene = Scene::start().await;
        let bytes = content(12 * MIB);
        scene.object("key", &bytes).await;
        let target = disk.path("target");
        scene.server.faults().bandwidth(20 << 20);
        let observer = scene.download("key", &target).await;
        until("its file is made", || disk.counts().creates == 1).await;
        disk.set(|health| health.names = Some(errno));
        scene.server.faults().clear();
        parked(&observer, "read_only").await;
        until("it was tried again", || disk.counts().refused_names >= 3).await;
        assert!(!target.exists());
        disk.set(|health| health.names = None);
        let done = completed(&observer).await;
        assert_eq!(done.generation, 1);
        assert!(std::fs::read(&target).unwrap() == bytes);
        assert_eq!(scene.fetched(), 12 * MIB);
        assert_eq!(names(disk.dir()), ["target"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_a_directory_that_is_removed_is_waited_for_and_said() {
    let scene = Scene::start().await;
    let bytes = content(24 * MIB);
    scene.object("key", &bytes).await;
    let dir = scene.path("dir");
    std::fs::create_dir(&dir).unwrap();
    let target = dir.join("target");
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &target).await;
    until("bytes came", || observer.bytes_transferred() > 6 * MIB).await;
    std::fs::remove_dir_all(&dir).unwrap();
    scene.server.faults().clear();
    let error = parked(&observer, "read_only").await.error.unwrap();
    assert_eq!(error.code, "TargetUnwritable");
    assert!(
        error.message.contains(target.to_str().unwrap()),
        "{}",
        error.message
    );
    assert!(!dir.exists(), "it is not made by us");

    std::fs::create_dir(&dir).unwrap();
    completed(&observer).await;
    assert!(std::fs::read(&target).unwrap() == bytes);
    assert_eq!(names(&dir), ["target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_a_download_whose_directory_is_gone_can_be_canceled() {
    let scene = Scene::start().await;
    scene.object("key", &content(24 * MIB)).await;
    let dir = scene.path("dir");
    std::fs::create_dir(&dir).unwrap();
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &dir.join("target")).await;
    until("bytes came", || observer.bytes_transferred() > 6 * MIB).await;
    std::fs::remove_dir_all(&dir).unwrap();
    scene.server.faults().clear();
    parked(&observer, "read_only").await;
    assert!(observer.cancel().await.unwrap());
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_a_disk_that_refuses_a_write_fails_the_download_with_its_path_and_leaves_nothing() {
    let Some(disk) = Disk::mount(Health::default()) else {
        return;
    };
    let scene = Scene::start().await;
    scene.object("key", &content(24 * MIB)).await;
    let target = disk.path("target");
    std::fs::write(&target, b"what was there before").unwrap();
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.download("key", &target).await;
    until("bytes came", || observer.bytes_transferred() > 6 * MIB).await;
    disk.set(|health| health.writes = Some(Errno::EIO));
    let (code, message) = failed(&observer).await;
    assert_eq!(code, "TargetUnwritable");
    let said = format!("cannot write {}: ", target.display());
    assert!(message.starts_with(&said), "{message}");
    assert_eq!(names(disk.dir()), ["target"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"what was there before");
}

#[tokio::test(flavor = "multi_thread")]
async fn f71_what_a_canceled_download_cannot_remove_is_named() {
    let Some(disk) = Disk::mount(Health::default()) else {
        return;
    };
    let scene = Scene::start().await;
    scene.object("key", &content(24 * MIB)).await;
    scene.server.faults().bandwidth(10 << 20);
    let observer = scene.download("key", &disk.path("target")).await;
    until("its file is made", || disk.counts().creates == 1).await;
    disk.set(|health| health.names = Some(Errno::EACCES));
    assert!(observer.cancel().await.unwrap());
    let ended = observer.finished().await.unwrap();
    assert_eq!(ended.state, State::Failed);
    let left = names(disk.dir());
    let error = ended.error.unwrap();
    let said = format!("the temporary file {} cannot be removed", left[0]);
    assert!(error.message.contains(&said), "{}", error.message);
}
