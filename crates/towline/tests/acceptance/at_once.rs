//! Small objects that a listing told of: one request each, and no file that is not
//! whole and right.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use towline::{Listed, State, Transfer, TransferRequest, Verified};
use towline_testserver::{Operation, Rule, Script};

use crate::{BUCKET, Scene, completed};

const KEY: &str = "small";

/// Stores an object, and gives what a listing tells of it.
async fn put(scene: &Scene, bytes: &[u8]) -> Listed {
    let stored = scene.server.put_object(BUCKET, KEY, bytes.to_vec());
    stored.await.unwrap();
    let page = scene.utility.list(BUCKET).await.unwrap();
    page.objects.first().unwrap().into()
}

fn target(scene: &Scene) -> PathBuf {
    scene.dir.path().join("target").join("file")
}

async fn download(scene: &Scene, listed: Listed) -> Transfer {
    let target = target(scene);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let mut request = TransferRequest::download(BUCKET, KEY, target);
    request.listed = Some(listed);
    let ids = scene.utility.submit(vec![request]).await.unwrap();
    let observer = scene.utility.observe(ids[0]).await.unwrap();
    observer.finished().await.unwrap()
}

fn asked(scene: &Scene) -> [usize; 2] {
    let history = scene.server.history();
    [Operation::HeadObject, Operation::GetObject].map(|operation| history.count(operation))
}

/// The names in the target's directory.
fn names(scene: &Scene) -> Vec<String> {
    let entries = std::fs::read_dir(target(scene).parent().unwrap()).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn a_small_object_that_was_listed_is_one_request_and_its_file_is_right() {
    for bytes in [vec![], vec![7; 1], vec![8; 4096], vec![9; 256 << 10]] {
        let scene = Scene::start().await;
        let listed = put(&scene, &bytes).await;
        let transfer = completed(download(&scene, listed).await);
        assert_eq!(asked(&scene), [0, 1]);
        assert_eq!(std::fs::read(target(&scene)).unwrap(), bytes);
        assert_eq!(names(&scene), ["file"]);
        assert_eq!(transfer.bytes_transferred, bytes.len() as u64);
        assert_eq!(transfer.bytes_total, Some(bytes.len() as u64));
        assert_eq!(transfer.verified, Some(Verified::FullObject));
        let is = target(&scene).metadata().unwrap();
        let stored = listed.last_modified.unwrap().as_millis() / 1000;
        assert_eq!(is.mtime(), stored);
        let beside = scene.file("beside", b"");
        let usual = beside.metadata().unwrap().permissions().mode();
        assert_eq!(is.permissions().mode(), usual);
    }
}

#[tokio::test]
async fn larger_ones_are_found_first_and_come_in_ranges() {
    let scene = Scene::start().await;
    let listed = put(&scene, &vec![1; (256 << 10) + 1]).await;
    completed(download(&scene, listed).await);
    assert_eq!(asked(&scene), [1, 1]);
}

#[tokio::test]
async fn what_changed_since_it_was_listed_is_fetched_as_it_is_now() {
    let scene = Scene::start().await;
    let was = put(&scene, b"as it was listed").await;
    put(&scene, b"longer than when it was listed").await;
    completed(download(&scene, was).await);
    let is = std::fs::read(target(&scene)).unwrap();
    assert_eq!(is, b"longer than when it was listed");

    let mut other_time = put(&scene, b"of the same length").await;
    let earlier = other_time.last_modified.unwrap().plus_secs(-60);
    other_time.last_modified = Some(earlier);
    std::fs::remove_file(target(&scene)).unwrap();
    scene.server.history().clear();
    completed(download(&scene, other_time).await);
    assert_eq!(asked(&scene)[0], 1, "its time is told by two answers");
    let is = std::fs::read(target(&scene)).unwrap();
    assert_eq!(is, b"of the same length");
}

#[tokio::test]
async fn a_file_that_has_the_name_is_replaced_by_a_whole_one() {
    let scene = Scene::start().await;
    let listed = put(&scene, b"new").await;
    std::fs::create_dir_all(target(&scene).parent().unwrap()).unwrap();
    std::fs::write(target(&scene), b"what was there").unwrap();
    completed(download(&scene, listed).await);
    assert_eq!(asked(&scene), [0, 2], "found by the first answer");
    assert_eq!(std::fs::read(target(&scene)).unwrap(), b"new");
    assert_eq!(names(&scene), ["file"]);
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_object_get_no_name() {
    let scene = Scene::start().await;
    let listed = put(&scene, &[5; 5000]).await;
    let lies = Rule::on(Operation::GetObject).flip(1234, 3);
    let faults = scene.server.faults();
    faults.play(Script::new().rule(lies.clone())).unwrap();
    let failed = download(&scene, listed).await;
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    assert_eq!(names(&scene), [] as [&str; 0]);

    faults.play(Script::new().rule(lies.first(1))).unwrap();
    let transfer = completed(download(&scene, listed).await);
    assert_eq!(std::fs::read(target(&scene)).unwrap(), [5; 5000]);
    assert!(transfer.generation > 1, "it was fetched anew");
}

#[tokio::test]
async fn an_upload_that_says_it_was_listed_is_refused_before_any_effect() {
    let scene = Scene::start().await;
    let mut request = TransferRequest::upload(BUCKET, KEY, scene.file("file", b"bytes"));
    let (size, last_modified) = (5, None);
    request.listed = Some(Listed {
        size,
        last_modified,
    });
    let refused = scene.utility.submit(vec![request]).await.unwrap_err();
    assert!(refused.to_string().contains("listed"), "{refused}");
    assert_eq!(scene.server.history().requests().len(), 0);
}
