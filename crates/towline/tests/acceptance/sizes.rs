//! Which sizes go in one PUT and which in parts, and that all come back. T1, T2.

use towline::{PartSize, Verified};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, content};

#[tokio::test(flavor = "multi_thread")]
async fn t1_up_to_5_mib_is_one_put_and_one_byte_more_is_two_parts() {
    let scene = Scene::start().await;
    for size in [0, 1, 5_242_879, 5_242_880] {
        scene.server.history().clear();
        let path = scene.file("source", &content(size));
        let transfer = scene.upload(&format!("put-{size}"), &path).await;
        assert_eq!(transfer.verified, Some(Verified::FullObject));
        assert_eq!(
            scene.server.history().count(Operation::PutObject),
            1,
            "{size}"
        );
        assert_eq!(
            scene
                .server
                .history()
                .count(Operation::CreateMultipartUpload),
            0,
            "{size}"
        );
    }
    scene.server.history().clear();
    let path = scene.file("source", &content(5_242_881));
    let transfer = scene.upload("parts", &path).await;
    assert_eq!(transfer.verified, Some(Verified::FullObject));
    assert_eq!(scene.server.history().count(Operation::PutObject), 0);
    let requests = scene.server.history().requests();
    let mut parts: Vec<_> = requests
        .iter()
        .filter(|request| request.operation == Operation::UploadPart)
        .map(|request| (request.part_number, request.content_received()))
        .collect();
    parts.sort();
    assert_eq!(parts, [(Some(1), 5_242_880), (Some(2), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_parts_are_equal_but_for_the_last_and_add_up() {
    let scene = Scene::start().await;
    let size = 21_000_001;
    let path = scene.file("source", &content(size));
    let request = scene.utility.upload(BUCKET, "parts", &path);
    let observer = request
        .part_size(PartSize::from_bytes(6_000_000).unwrap())
        .await
        .unwrap();
    crate::completed(observer.finished().await.unwrap());
    let requests = scene.server.history().requests();
    let mut parts: Vec<u64> = requests
        .iter()
        .filter(|request| request.operation == Operation::UploadPart)
        .map(|request| request.content_received())
        .collect();
    parts.sort();
    assert_eq!(parts, [3_000_001, 6_000_000, 6_000_000, 6_000_000]);
    assert_eq!(
        scene.server.object_bytes(BUCKET, "parts").unwrap(),
        content(size)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_up_comes_down_the_same() {
    let scene = Scene::start().await;
    for size in [0, 1, 5_242_880, 5_242_881, 30_000_000] {
        let path = scene.file("source", &content(size));
        scene.upload("key", &path).await;
        let transfer = scene.download("key", "target").await;
        assert_eq!(transfer.verified, Some(Verified::FullObject), "{size}");
        assert_eq!(
            std::fs::read(&transfer.path).unwrap(),
            content(size),
            "{size}"
        );
        assert_eq!(transfer.bytes_total, Some(size as u64));
    }
    let left = std::fs::read_dir(scene.dir.path()).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
}
