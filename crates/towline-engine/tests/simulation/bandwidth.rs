//! Caps on how fast bytes move. T69.

use std::collections::BTreeMap;
use std::time::Duration;

use towline_core::{Command, Direction, NetworkClass, State};
use towline_engine::{Bandwidth, Rate};
use towline_testkit::simulation::End;

use crate::scene::{MIB, Moved, STORE, Scene, moves_content, secs};

const KIB: u64 = 1 << 10;
const BOTH: [Direction; 2] = [Direction::Upload, Direction::Download];
/// Over which a cap is to hold.
const WHILE: u64 = 30;

fn rate(bytes_per_second: u64) -> Option<Rate> {
    Some(Rate::from_bytes_per_second(bytes_per_second).unwrap())
}

async fn submit(scene: &Scene, direction: Direction, key: &str, len: u64) -> Moved {
    scene.submit(STORE, direction, key, len, |_| ()).await
}

fn cap(scene: &Scene, direction: Direction, cap: Option<Rate>) {
    scene.engine().set_bandwidth(direction, cap).unwrap();
}

/// Bytes that the engine has let pass until now.
fn passed(scene: &Scene, direction: Direction) -> u64 {
    let done = scene.engine().statistics();
    match direction {
        Direction::Upload => done.bytes_up,
        Direction::Download => done.bytes_down,
        Direction::Copy => 0,
    }
}

/// Bytes of transfers under way that have passed until now.
async fn passed_of(scene: &Scene, its: &[Moved]) -> u64 {
    let under_way = scene.engine().under_way().await.unwrap();
    let bytes = its.iter().map(|of| {
        let seen = under_way.iter().find(|seen| seen.record.id == of.id);
        seen.expect("it is under way").bytes_transferred
    });
    bytes.sum()
}

/// What `count` grows by in half a minute is what a rate allows, or a tenth more
/// or less.
#[track_caller]
fn assert_held(bytes_per_second: u64, moved: u64) {
    let allowed = bytes_per_second * WHILE;
    let off = moved.abs_diff(allowed);
    assert!(off * 10 <= allowed, "{moved} bytes for {allowed}");
}

/// What passes from now on in half a minute.
async fn passes(scene: &Scene, direction: Direction) -> u64 {
    let before = passed(scene, direction);
    tokio::time::sleep(secs(WHILE)).await;
    passed(scene, direction) - before
}

/// No request for bytes was given up, refused or broken.
fn assert_nothing_failed(scene: &Scene) {
    for request in scene.s3.history().iter().filter(|r| moves_content(r)) {
        let fine = matches!(request.end, End::UnderWay | End::Done);
        assert!(fine, "{request:?}");
    }
    let done = scene.engine().statistics();
    assert_eq!((done.stalls, done.failures), (0, BTreeMap::new()));
}

#[tokio::test(start_paused = true)]
async fn t69_a_cap_holds_within_a_tenth_over_30_seconds_in_both_directions() {
    for direction in BOTH {
        for bytes_per_second in [64 * KIB, MIB, 4 * MIB] {
            let scene = Scene::with(|config| {
                let cap = rate(bytes_per_second);
                config.bandwidth = match direction {
                    Direction::Copy => Bandwidth::NONE,
                    Direction::Upload => Bandwidth {
                        upload: cap,
                        download: None,
                    },
                    Direction::Download => Bandwidth {
                        upload: None,
                        download: cap,
                    },
                };
            })
            .await;
            let len = bytes_per_second * (WHILE + 10) + 30 * MIB;
            submit(&scene, direction, "object", len).await;
            let begun = async || passed(&scene, direction) > 0;
            scene.until("it is under way", secs(10), begun).await;
            assert_held(bytes_per_second, passes(&scene, direction).await);
            assert_nothing_failed(&scene);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t69_both_directions_have_caps_of_their_own() {
    let scene = Scene::with(|config| {
        config.requests = Some(12);
        config.bandwidth = Bandwidth {
            upload: rate(256 * KIB),
            download: rate(MIB),
        };
    })
    .await;
    submit(&scene, Direction::Upload, "up", 40 * MIB).await;
    submit(&scene, Direction::Download, "down", 70 * MIB).await;
    tokio::time::sleep(secs(3)).await;
    let up = passes(&scene, Direction::Upload);
    let (up, down) = tokio::join!(up, passes(&scene, Direction::Download));
    assert_held(256 * KIB, up);
    assert_held(MIB, down);
}

#[tokio::test(start_paused = true)]
async fn t69_a_cap_changes_while_bytes_move_and_is_lifted() {
    for direction in BOTH {
        let scene = Scene::new().await;
        cap(&scene, direction, rate(MIB));
        let of = submit(&scene, direction, "object", 150 * MIB).await;
        tokio::time::sleep(secs(3)).await;
        assert_held(MIB, passes(&scene, direction).await);
        cap(&scene, direction, rate(64 * KIB));
        assert_held(64 * KIB, passes(&scene, direction).await);
        cap(&scene, direction, rate(2 * MIB));
        assert_held(2 * MIB, passes(&scene, direction).await);
        cap(&scene, direction, None);
        scene.completes(&of, secs(10)).await;
        assert_nothing_failed(&scene);
        scene.assert_nothing_twice();
    }
}

#[tokio::test(start_paused = true)]
async fn t69_a_group_has_a_cap_within_that_of_all() {
    for direction in BOTH {
        let scene = Scene::with(|config| {
            config.requests = Some(12);
            config.parts_per_transfer = Some(3);
        })
        .await;
        let slow = |cap| {
            let engine = scene.engine();
            engine.set_group_bandwidth("slow", direction, cap).unwrap();
        };
        cap(&scene, direction, rate(MIB));
        slow(rate(256 * KIB));
        let mut its = Vec::new();
        for key in ["one", "two"] {
            its.push(scene.submit_in("slow", direction, key, 40 * MIB).await);
        }
        let others = [submit(&scene, direction, "other", 70 * MIB).await];
        tokio::time::sleep(secs(3)).await;
        let before = passed_of(&scene, &its).await;
        let before_others = passed_of(&scene, &others).await;
        assert_held(MIB, passes(&scene, direction).await);
        assert_held(256 * KIB, passed_of(&scene, &its).await - before);
        assert_held(768 * KIB, passed_of(&scene, &others).await - before_others);

        // One that allows more than all may have allows as much as that.
        slow(rate(8 * MIB));
        assert_held(MIB, passes(&scene, direction).await);
        assert_eq!(scene.engine().group_bandwidth().len(), 1);
        slow(None);
        cap(&scene, direction, None);
        assert!(scene.engine().group_bandwidth().is_empty());
        for of in its.iter().chain(&others) {
            scene.completes(of, secs(10)).await;
        }
        assert_nothing_failed(&scene);
    }
}

#[tokio::test(start_paused = true)]
async fn t69_under_the_lowest_cap_nothing_stalls_or_fails_however_many_wait_for_it() {
    for direction in BOTH {
        let scene = Scene::with(|config| {
            config.requests = Some(64);
            config.retry_limit = 0;
        })
        .await;
        cap(&scene, direction, Some(Rate::MIN));
        let mut all = Vec::new();
        for number in 0..64 {
            let key = format!("object-{number}");
            all.push(submit(&scene, direction, &key, 40 * KIB).await);
        }
        tokio::time::sleep(secs(300)).await;
        // Who is silent after this is asked for again; who waits here is not.
        let network = scene.engine().network_changed(NetworkClass::Unmetered);
        network.unwrap();
        tokio::time::sleep(secs(300)).await;
        let moved = passed(&scene, direction);
        assert!((550 * KIB..=650 * KIB).contains(&moved), "{moved}");
        assert_nothing_failed(&scene);
        cap(&scene, direction, None);
        for of in &all {
            scene.completes(of, secs(10)).await;
        }
        assert_nothing_failed(&scene);
        scene.assert_nothing_twice();
    }
}

#[tokio::test(start_paused = true)]
async fn t69_a_transfer_that_waits_for_a_cap_is_paused_and_canceled_at_once() {
    for direction in BOTH {
        let scene = Scene::new().await;
        cap(&scene, direction, Some(Rate::MIN));
        let of = submit(&scene, direction, "object", 30 * MIB).await;
        for command in [Command::Pause, Command::Cancel] {
            if command == Command::Cancel {
                scene.command(&of, Command::Resume).await;
            }
            let before = passed(&scene, direction);
            let moving = async || passed(&scene, direction) > before + 4 * KIB;
            scene.until("it is under way", secs(60), moving).await;
            let asked = scene.s3.elapsed();
            scene.command(&of, command).await;
            let took = scene.s3.elapsed() - asked;
            assert!(took < Duration::from_secs(1), "{command:?}: {took:?}");
            let stopped = passed(&scene, direction);
            tokio::time::sleep(secs(600)).await;
            assert_eq!(passed(&scene, direction), stopped, "{command:?}");
        }
        assert_eq!(scene.state(&of).await, State::Canceled);
        assert_eq!(scene.s3.open_uploads(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn t69_a_small_transfer_gets_its_share_beside_a_huge_one() {
    for direction in BOTH {
        let scene = Scene::new().await;
        cap(&scene, direction, rate(256 * KIB));
        submit(&scene, direction, "huge", 100 * MIB).await;
        tokio::time::sleep(secs(10)).await;
        for number in 0..5 {
            let key = format!("small-{number}");
            let small = submit(&scene, direction, &key, 20 * KIB).await;
            scene.completes(&small, secs(5)).await;
        }
        assert_held(256 * KIB, passes(&scene, direction).await);
    }
}
