//! A source that changes between its parts never becomes a mix. T32.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use towline::{Direction, TransferObserver, WhenSourceChanges};

use super::{BUCKET, MIB, Scene, code, completed, content, moved, rate};

const LEN: usize = 16 * MIB;
const OLD: &[u8] = b"what was there before";

/// What it is, how it is done, and the codes with which the transfer may fail.
type Change = (&'static str, fn(&Path), &'static [&'static str]);

const CHANGES: [Change; 4] = [
    (
        "grows",
        |path| {
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(b"more").unwrap();
        },
        &["SourceChanged"],
    ),
    (
        "rewritten, its time set back",
        |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(&content(LEN, 9), 0).unwrap();
            file.set_modified(before).unwrap();
        },
        &["SourceChanged"],
    ),
    (
        "replaced",
        |path| {
            let other = path.with_extension("new");
            std::fs::write(&other, content(LEN, 7)).unwrap();
            std::fs::rename(&other, path).unwrap();
        },
        &["SourceChanged"],
    ),
    (
        "deleted",
        |path| std::fs::remove_file(path).unwrap(),
        // The part under way finds it changed, the next one finds none.
        &["SourceChanged", "SourceMissing"],
    ),
];

/// An upload over an older object, one part at a time: the later ones are read when
/// its first is there, at which it is now.
async fn half_way(
    scene: &Scene,
    key: &str,
    policy: WhenSourceChanges,
) -> (PathBuf, TransferObserver) {
    scene.utility.set_limits(Some(1), Some(1)).unwrap();
    let old = scene.file("old", OLD);
    completed(scene.upload(key, &old).await);
    let source = scene.file(key, &content(LEN, 1));
    scene
        .utility
        .set_bandwidth(Direction::Upload, rate(4 * MIB))
        .unwrap();
    let upload = scene.utility.upload(BUCKET, key, &source);
    let upload = upload.when_source_changes(policy).await.unwrap();
    moved(&upload, 6 * MIB).await;
    (source, upload)
}

fn let_go(scene: &Scene) {
    scene
        .utility
        .set_bandwidth(Direction::Upload, None)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_a_source_that_changes_between_its_parts_fails_and_its_upload_is_aborted_on_seaweedfs()
{
    let scene = Scene::start().await;
    for (what, change, ends) in CHANGES {
        let (source, upload) = half_way(&scene, what, WhenSourceChanges::Fail).await;
        change(&source);
        let_go(&scene);
        let ended = upload.finished().await.unwrap();
        assert!(ends.contains(&code(&ended)), "{what}: {ended:?}");
        assert_eq!(scene.stored(what).await, OLD, "{what}");
        assert_eq!(scene.open_uploads(), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_a_source_that_changes_between_its_parts_is_uploaded_as_it_is_then_on_seaweedfs() {
    let scene = Scene::start().await;
    for (what, change, _) in &CHANGES[..3] {
        let (source, upload) = half_way(&scene, what, WhenSourceChanges::Restart).await;
        change(&source);
        let_go(&scene);
        is_as_it_is_now(&scene, what, &source, &upload).await;
    }
    assert_eq!(scene.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t32_a_source_that_changed_between_two_sessions_is_uploaded_as_it_is_now_on_seaweedfs() {
    let mut scene = Scene::start().await;
    let (what, change, _) = CHANGES[1];
    let (source, upload) = half_way(&scene, what, WhenSourceChanges::Restart).await;
    upload.pause().await.unwrap();
    let id = upload.id();
    drop(upload);
    assert_eq!(scene.open_uploads(), 1);
    scene.reopen().await;
    change(&source);
    let upload = scene.utility.observe(id).await.unwrap();
    upload.resume().await.unwrap();
    is_as_it_is_now(&scene, what, &source, &upload).await;
    assert_eq!(scene.open_uploads(), 0);
}

async fn is_as_it_is_now(scene: &Scene, key: &str, source: &Path, upload: &TransferObserver) {
    let ended = completed(upload.finished().await.unwrap());
    assert_eq!(ended.generation, 2, "{key}");
    let now = std::fs::read(source).unwrap();
    assert!(scene.stored(key).await == now, "{key}");
}
