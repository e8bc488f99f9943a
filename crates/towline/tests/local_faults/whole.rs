//! Rows 67 and 74: files with holes, and files without bytes.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use towline_testserver::Operation;

use crate::{BUCKET, MIB, Scene, completed, content};
use towline_testkit::small_disk::SmallDisk;

#[tokio::test(flavor = "multi_thread")]
async fn f67_the_holes_of_a_sparse_source_arrive_as_zeros() {
    let scene = Scene::start().await;
    let source = scene.path("sparse");
    let file = File::create(&source).unwrap();
    file.set_len(64 * MIB + 1).unwrap();
    // Across the border of two parts, and in the last one.
    file.write_all_at(&content(MIB), 8 * MIB - 1000).unwrap();
    file.write_all_at(b"end", 64 * MIB - 2).unwrap();
    assert!(
        file.metadata().unwrap().blocks() * 512 < 4 * MIB,
        "it has holes"
    );
    completed(&scene.upload("key", &source).await).await;
    assert!(scene.stored("key").unwrap() == std::fs::read(&source).unwrap());
    let target = scene.path("target");
    completed(&scene.download("key", &target).await).await;
    assert!(std::fs::read(&target).unwrap() == std::fs::read(&source).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn f67_a_sparse_source_larger_than_any_object_is_refused_before_any_request() {
    let Some(disk) = SmallDisk::mount(MIB) else {
        return;
    };
    let scene = Scene::start().await;
    let source = disk.path("huge");
    let file = File::create(&source).unwrap();
    file.set_len(60 << 40).unwrap(); // 60 TiB
    let refused = scene.utility.upload(BUCKET, "key", &source).await;
    assert_eq!(refused.unwrap_err().code(), "TooLarge");
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f74_a_file_without_bytes_is_one_put_of_none_and_comes_back_as_a_file() {
    let scene = Scene::start().await;
    let source = scene.file("empty", b"");
    let done = completed(&scene.upload("key", &source).await).await;
    assert_eq!(done.bytes_total, Some(0));
    let history = scene.server.history();
    assert_eq!(history.count(Operation::PutObject), 1);
    assert_eq!(history.count(Operation::CreateMultipartUpload), 0);
    assert_eq!(scene.stored("key"), Some(Vec::new()));
    let target = scene.path("target");
    completed(&scene.download("key", &target).await).await;
    assert_eq!(std::fs::metadata(&target).unwrap().len(), 0);
}
