//! Caps on how fast bytes move, on real sockets. T69. The machine is shared, so
//! only what is too fast fails; that a cap is used is shown in simulated time.

use std::time::{Duration, Instant};

use towline::{Bandwidth, Config, Direction, Rate};

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;

fn rate(bytes_per_second: u64) -> Option<Rate> {
    Some(Rate::from_bytes_per_second(bytes_per_second).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_no_more_bytes_a_second_than_allowed_go_over_real_sockets() {
    const LEN: usize = 24 * MIB;
    let mut config = Config::default();
    config.bandwidth = Bandwidth {
        upload: rate(4 << 20),
        download: rate(4 << 20),
    };
    // Both kinds of bodies: kept in memory, and read twice.
    config.byte_budget = 6 * MIB;
    let scene = Scene::with(config).await;
    let bytes = content(LEN);
    let object = scene.server.put_object(BUCKET, "there", bytes.clone());
    object.await.unwrap();
    let source = scene.file("source", &bytes);
    let begun = Instant::now();
    let (up, down) = tokio::join!(
        async {
            scene.upload("key", &source).await;
            begun.elapsed()
        },
        async {
            scene.download("there", "target").await;
            begun.elapsed()
        },
    );
    // 6 s, less what may come at once.
    let least = Duration::from_millis(5500);
    assert!(up >= least && down >= least, "{up:?} {down:?}");
    let sent = scene.server.object_bytes(BUCKET, "key").unwrap();
    assert!(sent == bytes, "other bytes");
    assert!(std::fs::read(scene.dir.path().join("target")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_a_cap_that_is_lifted_lets_the_rest_go_at_once_and_what_is_set_can_be_read() {
    let scene = Scene::start().await;
    assert_eq!(scene.utility.bandwidth(), Bandwidth::NONE);
    let low = rate(16 << 10); // 6 MiB would take 6 minutes
    let source = scene.file("source", &content(6 * MIB));
    let upload = scene.utility.upload(BUCKET, "key", &source).group("group");
    let group = |cap| {
        let utility = &scene.utility;
        utility.set_group_bandwidth("group", Direction::Upload, cap)
    };
    group(low).unwrap();
    let set = scene.utility.group_bandwidth();
    assert_eq!((set.len(), set["group"].upload), (1, low));
    let upload = upload.await.unwrap();
    crate::until("it is under way", || upload.bytes_transferred() > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(upload.bytes_transferred() < 1 << 20);
    group(None).unwrap();
    assert!(scene.utility.group_bandwidth().is_empty());
    let lifted = Instant::now();
    completed(upload.finished().await.unwrap());
    assert!(lifted.elapsed() < Duration::from_secs(60));
    scene.utility.close().await.unwrap();
    let closed = scene.utility.set_bandwidth(Direction::Upload, None);
    assert_eq!(closed.unwrap_err().code(), "Closed");
}
