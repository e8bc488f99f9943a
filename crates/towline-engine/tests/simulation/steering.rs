//! What was steered stays so while the network comes and goes, and so does what
//! another process goes on with. T39.

use std::time::Duration;

use towline_core::{Command, NetworkClass, State};
use towline_testkit::simulation::{End, Network};
use towline_testkit::store_contract::Slow;

use crate::scene::{MIB, Moved, Scene, secs};

async fn until_a_part_is_done(scene: &Scene, of: &Moved) {
    let is_there = async || {
        let requests = scene.requests_of(of);
        let mut done = requests.iter().filter(|r| r.end == End::Done);
        done.any(|r| r.part.is_some() || r.bytes > 0)
    };
    scene.until("a part is done", secs(120), is_there).await;
}

#[tokio::test(start_paused = true)]
async fn t39_paused_failed_and_canceled_transfers_keep_their_state_through_a_flap() {
    for kind in [Network::Refused, Network::Reset, Network::Blackhole] {
        let scene = Scene::new().await;
        scene.s3.set_bandwidth(Some(MIB));
        let failed = scene.download("failed", 100).await;
        scene.s3.delete("bucket", "failed");
        let canceled = scene.upload("canceled", 12 * MIB).await;
        let paused = scene.upload("paused", 12 * MIB).await;
        let running = scene.upload("running", 60 * MIB).await;
        until_a_part_is_done(&scene, &paused).await;
        scene.command(&paused, Command::Pause).await;
        scene.command(&canceled, Command::Cancel).await;
        let is_so = async || {
            let end = scene.state(&canceled).await == State::Canceled;
            end && scene.state(&failed).await == State::Failed
        };
        scene.until("both are over", secs(60), is_so).await;
        let since = scene.s3.elapsed();

        let flap = scene.s3.flap(kind, secs(20), secs(20), 5);
        let hints = async {
            for _ in 0..10 {
                tokio::time::sleep(secs(20)).await;
                let class = NetworkClass::Unknown;
                scene.engine().network_changed(class).unwrap();
            }
        };
        tokio::join!(flap, hints);
        scene.completes(&running, secs(600)).await;
        assert_eq!(scene.state(&paused).await, State::Paused);
        assert_eq!(scene.state(&failed).await, State::Failed);
        assert_eq!(scene.state(&canceled).await, State::Canceled);
        for steered in [&paused, &failed, &canceled] {
            let asked = scene.requests_of(steered);
            // Any object will do to ask whether the store is there.
            let own = asked.iter().find(|r| r.at > since && r.bytes > 0);
            assert!(own.is_none(), "{kind:?}: {own:?}");
        }
        scene.command(&paused, Command::Resume).await;
        scene.completes(&paused, secs(60)).await;
        scene.assert_nothing_twice();
        assert_eq!(scene.record(&running).await.generation, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn t39_a_transfer_outlives_more_short_outages_than_attempts_are_forgiven() {
    for kind in [Network::Refused, Network::Reset] {
        let scene = Scene::with(|config| config.retry_limit = 2).await;
        scene.s3.set_bandwidth(Some(MIB / 4));
        let up = scene.upload("up", 12 * MIB).await;
        let down = scene.download("down", 12 * MIB).await;
        // No part is moved in one piece: each begins anew, again and again.
        scene.s3.flap(kind, secs(3), secs(12), 20).await;
        scene.completes(&up, secs(300)).await;
        scene.completes(&down, secs(300)).await;
        scene.assert_nothing_twice();
    }
}

#[tokio::test(start_paused = true)]
async fn t39_a_process_that_starts_in_an_outage_goes_on_when_it_ends() {
    for kind in [Network::Refused, Network::Reset, Network::Blackhole] {
        let mut scene = Scene::with(|config| config.progress_interval = secs(5)).await;
        scene.s3.set_bandwidth(Some(MIB));
        let up = scene.upload("up", 12 * MIB).await;
        let down = scene.download("down", 12 * MIB).await;
        until_a_part_is_done(&scene, &up).await;
        until_a_part_is_done(&scene, &down).await;
        scene.s3.set_network(kind);
        for _ in 0..3 {
            tokio::time::sleep(secs(300)).await;
            scene.restart().await;
        }
        tokio::time::sleep(secs(3600)).await;
        assert_eq!(scene.state(&up).await, State::WaitingForNetwork, "{kind:?}");
        assert_eq!(scene.state(&down).await, State::WaitingForNetwork);
        scene.s3.set_network(Network::Up);
        scene.completes(&up, secs(40 + 30)).await;
        scene.completes(&down, secs(30)).await;
        scene.assert_nothing_twice();
        assert_eq!(scene.record(&up).await.generation, 1);
        assert_eq!(scene.record(&down).await.generation, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn t39_what_is_canceled_in_an_outage_is_removed_when_it_ends() {
    for kind in [Network::Refused, Network::Reset, Network::Blackhole] {
        let scene = Scene::with(|config| config.retry_limit = 0).await;
        scene.s3.set_bandwidth(Some(MIB));
        let up = scene.upload("up", 12 * MIB).await;
        until_a_part_is_done(&scene, &up).await;
        scene.s3.set_network(kind);
        scene.command(&up, Command::Cancel).await;
        tokio::time::sleep(Duration::from_secs(1800)).await;
        assert!(
            !scene.state(&up).await.is_final(),
            "{kind:?}: nothing is proven"
        );
        scene.s3.set_network(Network::Up);
        let is_so = async || scene.state(&up).await == State::Canceled;
        scene.until("it is canceled", secs(100), is_so).await;
        assert_eq!(scene.s3.open_uploads(), 0, "{kind:?}");
    }
}

/// A page of the backlog that was read before a pause was recorded may come after
/// the paused one was let go.
#[tokio::test(start_paused = true)]
async fn what_was_paused_while_the_backlog_was_read_stays_paused() {
    let scene = Scene::with(|config| config.window = 2).await;
    scene.s3.set_bandwidth(Some(MIB));
    let first = scene.upload("first", 60 * MIB).await;
    let second = scene.upload("second", 60 * MIB).await;
    until_a_part_is_done(&scene, &first).await;
    let queued = scene.upload("queued", 12 * MIB).await;
    scene.be_slow(Slow {
        commit: secs(1),
        page: secs(5),
    });
    let last = async {
        // Recorded when the others have made room, and their backlog is being read.
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.command(&queued, Command::Pause).await;
    };
    tokio::join!(
        scene.command(&first, Command::Pause),
        scene.command(&second, Command::Pause),
        last,
    );
    assert_eq!(scene.state(&queued).await, State::Paused);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(scene.state(&queued).await, State::Paused);
    assert!(scene.requests_of(&queued).is_empty());
}

/// Who is refused, as the transfer has ended, may look at once how.
#[tokio::test(start_paused = true)]
async fn what_can_not_be_paused_any_more_is_recorded_as_ended() {
    let scene = Scene::new().await;
    let one = scene.upload("one", 100).await;
    scene.be_slow(Slow {
        commit: secs(1),
        page: Duration::ZERO,
    });
    let is_sent = async || {
        let requests = scene.requests_of(&one);
        requests.iter().any(|request| request.end == End::Done)
    };
    scene.until("it is sent", secs(60), is_sent).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        !scene.state(&one).await.is_final(),
        "its end is not recorded yet"
    );
    let refused = scene.engine().command(one.id, Command::Pause).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(scene.state(&one).await, State::Completed);
}
