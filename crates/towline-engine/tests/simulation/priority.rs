//! Urgent transfers go ahead, and none waits for ever. T54.

use towline_core::{Command, Direction, Priority};

use crate::scene::{MIB, Moved, STORE, Scene, secs};

const KIB: u64 = 1 << 10;

async fn upload(scene: &Scene, priority: Priority, key: &str, len: u64) -> Moved {
    let set = |options: &mut towline_core::TransferOptions| options.priority = priority;
    scene.submit(STORE, Direction::Upload, key, len, set).await
}

async fn many(scene: &Scene, priority: Priority, count: usize, len: u64) -> Vec<Moved> {
    let mut all = Vec::new();
    for number in 0..count {
        all.push(upload(scene, priority, &format!("{priority}-{number}"), len).await);
    }
    all
}

async fn unfinished(scene: &Scene, all: &[Moved]) -> usize {
    let mut unfinished = 0;
    for of in all {
        unfinished += usize::from(!scene.state(of).await.is_final());
    }
    unfinished
}

/// So few are held that most wait in the store.
async fn small_window() -> Scene {
    Scene::with(|config| config.window = 32).await
}

#[tokio::test(start_paused = true)]
async fn t54_a_small_urgent_one_goes_ahead_of_a_huge_one_and_of_a_thousand_that_wait() {
    for priority in [Priority::Normal, Priority::Low] {
        let scene = small_window().await;
        scene.s3.set_bandwidth(Some(2 * MIB));
        upload(&scene, priority, "huge", 200 * MIB).await;
        let others = many(&scene, priority, 1000, 100 * KIB).await;
        tokio::time::sleep(secs(5)).await;
        let higher = match priority {
            Priority::Low => Priority::Normal,
            _ => Priority::High,
        };
        let urgent = upload(&scene, higher, "urgent", 10 * KIB).await;
        // What is under way ends first; a part takes 15 s when six share 2 MiB/s.
        scene.completes(&urgent, secs(17)).await;
        let left = unfinished(&scene, &others).await;
        println!("before {left} others of {priority} priority");
        assert!(left > 500, "{left}");
    }
}

#[tokio::test(start_paused = true)]
async fn t54_an_urgent_one_is_ahead_after_a_restart_too() {
    let mut scene = small_window().await;
    scene.s3.set_bandwidth(Some(64 * KIB));
    let others = many(&scene, Priority::Normal, 300, 100 * KIB).await;
    let urgent = upload(&scene, Priority::High, "urgent", 100 * KIB).await;
    scene.restart().await;
    let begun = async || !scene.requests_of(&urgent).is_empty();
    scene.until("it is begun with", secs(2), begun).await;
    scene.completes(&urgent, secs(60)).await;
    let left = unfinished(&scene, &others).await;
    assert!(left > 200, "{left}");
}

#[tokio::test(start_paused = true)]
async fn t54_one_that_waits_in_the_store_is_made_urgent() {
    let scene = small_window().await;
    scene.s3.set_bandwidth(Some(64 * KIB));
    let others = many(&scene, Priority::Normal, 300, 100 * KIB).await;
    let last = others.last().unwrap();
    let command = Command::Prioritize(Priority::High);
    assert!(scene.engine().command(last.id, command).await.unwrap());
    assert!(!scene.engine().command(last.id, command).await.unwrap());
    scene.completes(last, secs(60)).await;
    let left = unfinished(&scene, &others).await;
    assert!(left > 200, "{left}");
}

#[tokio::test(start_paused = true)]
async fn t54_nothing_starves_behind_urgent_ones_without_end() {
    let scene = Scene::new().await;
    // Six requests of 20 KiB at one time take a second.
    scene.s3.set_bandwidth(Some(120 * KIB));
    let urgent = many(&scene, Priority::High, 1500, 20 * KIB).await;
    let low = upload(&scene, Priority::Low, "low", 20 * KIB).await;
    let normal = upload(&scene, Priority::Normal, "normal", 20 * KIB).await;
    for (of, limit) in [(&normal, 30), (&low, 150)] {
        scene.completes(of, secs(limit)).await;
        let left = unfinished(&scene, &urgent).await;
        println!(
            "{}: after {:?}, {left} urgent ones left",
            of.key,
            scene.s3.elapsed()
        );
        assert!(left > 128, "there were always more than are held");
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_every_priority_are_done_in_the_end() {
    let scene = small_window().await;
    let mut all = Vec::new();
    for priority in Priority::ALL {
        all.extend(many(&scene, priority, 150, KIB).await);
    }
    for of in &all {
        scene.completes(of, secs(600)).await;
    }
    scene.assert_nothing_twice();
}
