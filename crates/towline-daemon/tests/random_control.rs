//! Eight clients steer the same transfers at the same time. T49.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod scene;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use scene::{BUCKET, LONG, Scene};
use tokio::time::timeout;
use towline::{State, TransferId};
use towline_daemon::{Event, Events, Steer, Verb, Which};

const SIZES: [usize; 4] = [10, 1 << 20, 6 << 20, 12 << 20];
const TRANSFERS: usize = 20;
const CLIENTS: u64 = 8;
const COMMANDS: u64 = 125;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_commands_from_eight_clients_at_once_do_no_harm() {
    let scene = Arc::new(Scene::start().await);
    let requests = (0..TRANSFERS).map(|i| scene.upload(&format!("key-{i}"), SIZES[i % 4]));
    scene.s3.faults().bandwidth(64 << 20);
    let (ids, cursor) = scene.submit(requests.collect()).await;
    let watching = tokio::spawn(watch(scene.follow(cursor).await));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| tokio::spawn(steer(Arc::clone(&scene), ids.clone(), seed)))
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    // What was canceled starts anew, and everything arrives.
    scene.s3.faults().bandwidth(0);
    let done = timeout(LONG, to_the_end(&scene, &ids)).await;
    done.expect("something never ended");
    for i in 0..TRANSFERS {
        let object = scene.s3.object_bytes(BUCKET, &format!("key-{i}")).unwrap();
        assert!(object == vec![7; SIZES[i % 4]], "key-{i}");
    }
    assert_eq!(scene.s3.open_uploads(BUCKET).len(), 0);
    watching.abort();
    if let Err(error) = watching.await {
        assert!(error.is_cancelled(), "{error}");
    }
}

async fn steer(scene: Arc<Scene>, ids: Vec<TransferId>, seed: u64) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1);
    for _ in 0..COMMANDS {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let verbs = [Verb::Pause, Verb::Resume, Verb::Cancel, Verb::Resume];
        let verb = verbs[random as usize % 4];
        let mut steer = Steer::default();
        match random >> 8 & 15 {
            // Now and then all of them; cancel only single ones, or nothing
            // would be left.
            0 if verb != Verb::Cancel => steer.all.push(Which::default()),
            _ => steer.ids.push(ids[(random >> 16) as usize % ids.len()]),
        }
        let steered = timeout(LONG, scene.client.steer(verb, &steer)).await;
        let steered = steered.expect("no answer").unwrap();
        for one in steered.transfers {
            assert_eq!(one.problem, None);
        }
    }
}

/// What is shown fits together at every moment.
async fn watch(mut events: Events) {
    let mut last: HashMap<TransferId, State> = HashMap::new();
    while let Ok(Some(event)) = events.next().await {
        let Event::Transfer(now) = event else {
            continue;
        };
        let before = last.insert(now.id, now.state);
        let revived = before == Some(State::Completed) && now.state != State::Completed;
        assert!(!revived, "{} was completed, and is {}", now.id, now.state);
        let total = now.bytes_total.unwrap_or(u64::MAX);
        assert!(now.bytes_transferred <= total, "{now:?}");
        let all = now.bytes_transferred == total;
        assert!(!all || now.state == State::Completed, "{now:?}");
    }
}

async fn to_the_end(scene: &Scene, ids: &[TransferId]) {
    let all = Steer {
        ids: ids.to_vec(),
        ..Steer::default()
    };
    loop {
        let now = scene.list().await;
        assert!(now.iter().all(|t| t.state != State::Failed), "{now:?}");
        if now.iter().all(|t| t.state == State::Completed) {
            return;
        }
        for verb in [Verb::Resume, Verb::Retry] {
            scene.client.steer(verb, &all).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
