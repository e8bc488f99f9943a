//! The same request twice is one transfer; two never write one target. T67.

use towline::{Bandwidth, Direction, Query};

use super::{BUCKET, MIB, Scene, completed, content, moved, rate};

async fn transfers(scene: &Scene) -> usize {
    let everything = Query {
        limit: 1000,
        ..Query::default()
    };
    scene.utility.find(everything).await.unwrap().0.len()
}

fn cap(scene: &Scene, bytes_per_second: Option<usize>) {
    for direction in [Direction::Upload, Direction::Download] {
        let cap = bytes_per_second.and_then(rate);
        scene.utility.set_bandwidth(direction, cap).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_request_twice_is_one_transfer_on_seaweedfs() {
    let mut scene = Scene::start().await;
    let bytes = content(20 * MIB, 1);
    let source = scene.file("source", &bytes);
    let other = scene.file("other", b"other bytes");
    let target = scene.path("target");
    completed(scene.upload("there", &source).await);
    completed(scene.upload("other-there", &other).await);

    cap(&scene, Some(MIB));
    let up = scene.utility.upload(BUCKET, "key", &source).await.unwrap();
    let down = scene.utility.download(BUCKET, "there", &target);
    let down = down.await.unwrap();
    let ids = (up.id(), down.id());
    moved(&up, 1).await;
    let before = transfers(&scene).await;
    for _ in 0..2 {
        let again = scene.utility.upload(BUCKET, "key", &source).await.unwrap();
        let down_again = scene.utility.download(BUCKET, "there", &target);
        let down_again = down_again.await.unwrap();
        assert_eq!((again.id(), down_again.id()), ids);
        let another_source = scene.utility.upload(BUCKET, "key", &other).await;
        assert_eq!(another_source.unwrap_err().code(), "TargetTaken");
        let another_object = scene.utility.download(BUCKET, "other-there", &target);
        assert_eq!(another_object.await.unwrap_err().code(), "TargetTaken");
        assert_eq!(transfers(&scene).await, before, "nothing was recorded");
        assert_eq!(scene.open_uploads(), 1);
        // In a later process too.
        scene.reopen().await;
        cap(&scene, Some(MIB));
    }
    cap(&scene, None);
    assert_eq!(scene.utility.bandwidth(), Bandwidth::NONE);
    for id in [ids.0, ids.1] {
        let observer = scene.utility.observe(id).await.unwrap();
        let ended = completed(observer.finished().await.unwrap());
        assert_eq!(ended.generation, 1);
    }
    assert!(scene.stored("key").await == bytes);
    assert!(std::fs::read(&target).unwrap() == bytes);
    assert_eq!(scene.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_token_is_the_same_transfer_also_once_it_is_done_on_seaweedfs() {
    let mut scene = Scene::start().await;
    let source = scene.file("source", b"first");
    let asked = |scene: &Scene| scene.utility.upload(BUCKET, "key", &source).token("job");
    let first = asked(&scene).await.unwrap();
    completed(first.finished().await.unwrap());
    let id = first.id();
    drop(first);
    // Sent again, this would take its place.
    let put = "s3.put_object(Bucket='bucket', Key='key', Body=b'of somebody else')";
    scene.told(put);
    for _ in 0..2 {
        let again = asked(&scene).await.unwrap();
        assert_eq!(again.id(), id);
        completed(again.finished().await.unwrap());
        drop(again);
        scene.reopen().await;
    }
    let other = scene.utility.upload(BUCKET, "other", &source).token("job");
    assert_eq!(other.await.unwrap_err().code(), "TokenTaken");
    assert_eq!(transfers(&scene).await, 1);
    assert_eq!(scene.stored("key").await, b"of somebody else");
}
