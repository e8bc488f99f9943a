//! A huge upload does not starve small ones. T54.

use std::time::{Duration, Instant};

use towline::{Direction, State};

use super::{BUCKET, MIB, Scene, completed, content, rate};

/// The longest that a small upload took beside so many huge ones.
async fn beside(scene: &Scene, huge: usize) -> Duration {
    let mut huge_ones = Vec::new();
    for number in 0..huge {
        let key = format!("huge {huge} {number}");
        let file = std::fs::File::create(scene.path(&key)).unwrap();
        file.set_len(400 * MIB as u64).unwrap();
        let upload = scene.utility.upload(BUCKET, &key, scene.path(&key));
        let upload = upload.await.unwrap();
        super::moved(&upload, 1).await;
        huge_ones.push(upload);
    }
    let mut longest = Duration::ZERO;
    for number in 0..5 {
        let name = format!("small {huge} {number}");
        let source = scene.file(&name, &content(10_000, number));
        let begun = Instant::now();
        completed(scene.upload(&name, &source).await);
        longest = longest.max(begun.elapsed());
        for huge in &huge_ones {
            assert!(!huge.state().is_final(), "it was beside nothing");
        }
        assert!(scene.stored(&name).await == content(10_000, number));
    }
    for huge in huge_ones {
        huge.cancel().await.unwrap();
        assert_eq!(huge.finished().await.unwrap().state, State::Canceled);
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn t54_small_uploads_end_within_seconds_beside_huge_ones_on_seaweedfs() {
    let scene = Scene::start().await;
    scene
        .utility
        .set_bandwidth(Direction::Upload, rate(8 * MIB))
        .unwrap();
    // One leaves room. Four take what requests there are, and a small one waits
    // for the end of one part of theirs at most: 8 MiB, which many share 8 MiB/s for.
    let one = beside(&scene, 1).await;
    let four = beside(&scene, 4).await;
    println!("beside one: {one:?}, beside four: {four:?}");
    assert!(one <= Duration::from_secs(5), "{one:?}");
    assert!(four <= Duration::from_secs(20), "{four:?}");
    assert_eq!(scene.open_uploads(), 0);
    assert!(scene.keys().iter().all(|key| key.starts_with("small")));
}
