//! Steering many at once: exactly the set that is meant, in every state. T21.

use std::collections::BTreeMap;

use towline::{Config, Direction, State, Transfer, TransferId, UploadMode};
use towline_testserver::{Operation, Request, TestServer};

use crate::{BUCKET, Scene, completed, content, to, until};

const MIB: usize = 1 << 20;

/// Asked less and less, so it has no part in the others' turns.
const SLOW: &str = "slow-bucket";

/// One transfer of each state in each direction, by name.
struct OneOfEach {
    scene: Scene,
    ids: BTreeMap<String, TransferId>,
    /// Where the store stands that cannot be reached.
    port: u16,
}

/// The unfinished ones that are not paused.
const UNFINISHED: [&str; 4] = ["running", "backing-off", "no-network", "queued"];

impl OneOfEach {
    async fn build() -> Self {
        let mut config = Config::default();
        config.window = 4; // running and backing-off; no-network takes no room, the others queue
        let server = TestServer::builder().bucket(BUCKET).bucket(SLOW).start();
        let scene = Scene::on(server.await.unwrap(), config).await;
        let gone = TestServer::builder().start().await.unwrap();
        let port = gone.port();
        let unreachable = to(gone.endpoint());
        gone.shutdown().await;

        let mut ids = BTreeMap::new();
        let (utility, faults) = (&scene.utility, scene.server.faults());
        let big = scene.file("big", &content(5 * MIB));
        let bigger = scene.file("bigger", &content(10 * MIB));
        // No socket takes all of it before the store has read much.
        let endless = scene.file("endless", &content(32 * MIB));
        let target = |name: &str| scene.dir.path().join(name);
        scene.upload("there", &bigger).await;
        let there = utility.upload(SLOW, "there", &bigger).await.unwrap();
        completed(there.finished().await.unwrap());
        let mut note = |name: &str, id| {
            ids.insert(name.to_owned(), id);
        };

        let up = utility.upload(BUCKET, "up-completed", &big).await.unwrap();
        completed(up.finished().await.unwrap());
        note("up-completed", up.id());
        let path = target("down-completed");
        let down = utility.download(BUCKET, "there", path).await.unwrap();
        completed(down.finished().await.unwrap());
        note("down-completed", down.id());

        let up = utility.upload("no-such-bucket", "up-failed", &big);
        let up = up.await.unwrap();
        note("up-failed", up.id());
        let down = utility.download(BUCKET, "not-there", target("down-failed"));
        let down = down.await.unwrap();
        note("down-failed", down.id());
        for failed in [up, down] {
            assert_eq!(failed.finished().await.unwrap().state, State::Failed);
        }

        // So that both run on, and what has no body is still answered soon.
        faults.bandwidth(1 << 20);
        for name in ["canceled", "paused"] {
            let up = utility.upload(BUCKET, format!("up-{name}"), &big);
            let up = up.await.unwrap();
            let down = target(&format!("down-{name}"));
            let down = utility.download(BUCKET, "there", down).await.unwrap();
            for (direction, observer) in [("up", up), ("down", down)] {
                note(&format!("{direction}-{name}"), observer.id());
                if name == "paused" {
                    assert!(observer.pause().await.unwrap());
                } else {
                    assert!(observer.cancel().await.unwrap());
                    let ended = observer.finished().await.unwrap();
                    assert_eq!(ended.state, State::Canceled);
                }
            }
        }

        let gets = scene.server.history().count(Operation::GetObject);
        let puts = scene.server.history().count(Operation::PutObject);
        let up = utility.upload(BUCKET, "up-running", &endless);
        let up = up.mode(UploadMode::Single).await.unwrap();
        note("up-running", up.id());
        let path = target("down-running");
        let down = utility.download(BUCKET, "there", path).await.unwrap();
        note("down-running", down.id());
        until("both run", || {
            let history = scene.server.history();
            history.count(Operation::GetObject) > gets && history.count(Operation::PutObject) > puts
        })
        .await;

        let up = utility.upload(BUCKET, "up-no-network", &big);
        let up = up.connection(unreachable.clone()).await.unwrap();
        let down = utility.download(BUCKET, "there", target("down-no-network"));
        let down = down.connection(unreachable).await.unwrap();
        note("up-no-network", up.id());
        note("down-no-network", down.id());
        until("both lack the network", || {
            let state = State::WaitingForNetwork;
            up.state() == state && down.state() == state
        })
        .await;

        faults.fail_next(Operation::CreateMultipartUpload, 1000, 503, "SlowDown");
        faults.fail_next(Operation::HeadObject, 1000, 503, "SlowDown");
        let up = utility.upload(SLOW, "up-backing-off", &bigger);
        let up = up.await.unwrap();
        let down = target("down-backing-off");
        let down = utility.download(SLOW, "there", down).await.unwrap();
        note("up-backing-off", up.id());
        note("down-backing-off", down.id());
        until("both back off", || {
            up.state() == State::Waiting && down.state() == State::Waiting
        })
        .await;

        let up = utility.upload(BUCKET, "up-queued", &big).await.unwrap();
        let path = target("down-queued");
        let down = utility.download(BUCKET, "there", path).await.unwrap();
        for observer in [&up, &down] {
            let reason = observer.transfer().reason;
            assert_eq!(reason, Some(towline::Reason::Queued));
        }
        note("up-queued", up.id());
        note("down-queued", down.id());
        Self { scene, ids, port }
    }

    fn named(&self, direction: &[&str], names: &[&str]) -> Vec<TransferId> {
        let mut ids: Vec<_> = direction
            .iter()
            .flat_map(|direction| names.iter().map(move |name| format!("{direction}-{name}")))
            .map(|name| self.ids[&name])
            .collect();
        ids.sort();
        ids
    }

    /// Those at rest; they change only when they are meant.
    async fn at_rest(&self, names: &[&str]) -> Vec<Transfer> {
        let mut all = Vec::new();
        for id in self.named(&["up", "down"], names) {
            all.push(self.scene.utility.get(id).await.unwrap());
        }
        all
    }

    async fn states(&self, ids: &[TransferId]) -> Vec<State> {
        let mut states = Vec::new();
        for id in ids {
            states.push(self.scene.utility.get(*id).await.unwrap().state);
        }
        states.dedup();
        states
    }
}

fn sorted(mut ids: Vec<TransferId>) -> Vec<TransferId> {
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_pause_all_and_resume_all_hit_exactly_their_set() {
    let mut all = OneOfEach::build().await;
    let others = ["completed", "failed", "canceled", "paused"];
    let before = all.at_rest(&others).await;
    let utility = all.scene.utility.clone();
    let (up, down) = (Some(Direction::Upload), Some(Direction::Download));

    let hit = utility.pause_all(up).await.unwrap();
    let uploads = all.named(&["up"], &UNFINISHED);
    let downloads = all.named(&["down"], &UNFINISHED);
    assert_eq!(sorted(hit), uploads);
    assert_eq!(all.states(&uploads).await, [State::Paused]);
    assert!(!all.states(&downloads).await.contains(&State::Paused));
    let hit = utility.pause_all(None).await.unwrap();
    assert_eq!(sorted(hit), downloads);
    assert_eq!(all.states(&downloads).await, [State::Paused]);
    assert_eq!(utility.pause_all(None).await.unwrap(), []);
    assert_eq!(all.at_rest(&others).await, before);

    all.scene.reopen().await;
    let utility = all.scene.utility.clone();
    assert_eq!(all.states(&uploads).await, [State::Paused]);
    assert_eq!(all.at_rest(&others).await, before);
    // The faults end, and the store that was gone is back.
    all.scene.server.faults().clear();
    let back = TestServer::builder().bucket(BUCKET).port(all.port);
    let back = back.start().await.unwrap();
    let path = all.scene.file("there", &content(10 * MIB));
    let there = utility.upload(BUCKET, "there", &path);
    let there = there.connection(to(back.endpoint())).await.unwrap();
    completed(there.finished().await.unwrap());

    let with_paused = [&UNFINISHED[..], &["paused"]].concat();
    let hit = utility.resume_all(down).await.unwrap();
    assert_eq!(sorted(hit), all.named(&["down"], &with_paused));
    let still = all.named(&["up"], &with_paused);
    assert_eq!(all.states(&still).await, [State::Paused]);
    let hit = utility.resume_all(None).await.unwrap();
    assert_eq!(sorted(hit), still);
    for id in all.named(&["up", "down"], &with_paused) {
        let observer = utility.observe(id).await.unwrap();
        completed(observer.finished().await.unwrap());
    }
    let untouched = &others[..3];
    assert_eq!(
        all.at_rest(untouched).await,
        before
            .into_iter()
            .filter(|transfer| transfer.state != State::Paused)
            .collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_retry_all_and_cancel_all_hit_exactly_their_set_and_revive_no_canceled_one() {
    let all = OneOfEach::build().await;
    let utility = &all.scene.utility;
    let (up, down) = (Some(Direction::Upload), Some(Direction::Download));
    let canceled = all.at_rest(&["canceled", "completed"]).await;
    let paused = all.at_rest(&["paused"]).await;

    assert_eq!(
        utility.retry_all(up).await.unwrap(),
        all.named(&["up"], &["failed"])
    );
    assert_eq!(
        utility.retry_all(down).await.unwrap(),
        all.named(&["down"], &["failed"])
    );
    assert_eq!(all.at_rest(&["paused"]).await, paused);

    let failed = all.named(&["up", "down"], &["failed"]);
    let with_paused = [&UNFINISHED[..], &["paused"]].concat();
    for (direction, name) in [(down, "down"), (up, "up")] {
        // The retried ones count by what they are by then: waiting, or failed again.
        let hit = sorted(utility.cancel_all(direction).await.unwrap());
        let hit: Vec<_> = hit.into_iter().filter(|id| !failed.contains(id)).collect();
        assert_eq!(hit, all.named(&[name], &with_paused));
    }
    all.scene.server.faults().clear();
    let _back = TestServer::builder().bucket(BUCKET).port(all.port);
    let _back = _back.start().await.unwrap();
    for id in all.named(&["up", "down"], &with_paused) {
        let observer = utility.observe(id).await.unwrap();
        let ended = observer.finished().await.unwrap();
        assert_eq!(ended.state, State::Canceled, "{ended:?}");
    }
    assert_eq!(all.at_rest(&["canceled", "completed"]).await, canceled);
    for bulk in [
        utility.retry_all(None).await.unwrap(),
        utility.resume_all(None).await.unwrap(),
    ] {
        assert!(bulk.iter().all(|id| failed.contains(id)), "{bulk:?}");
    }
    assert_eq!(all.at_rest(&["canceled", "completed"]).await, canceled);
    assert_eq!(all.scene.server.open_uploads(BUCKET).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_parts_done_before_pause_all_are_not_sent_again() {
    let scene = Scene::start().await;
    let keys = ["a", "b", "c"];
    let path = scene.file("source", &content(30 * MIB));
    scene.server.faults().bandwidth(20 << 20);
    let mut observers = Vec::new();
    for key in keys {
        let observer = scene.utility.upload(BUCKET, key, &path).await.unwrap();
        observers.push(observer);
    }
    let history = scene.server.history();
    let done = |request: &Request| request.operation == Operation::UploadPart && request.completed;
    until("half of the parts are there", || {
        history.count_where(done) >= 9
    })
    .await;
    let hit = scene.utility.pause_all(None).await.unwrap();
    assert!(!hit.is_empty());
    let before: Vec<_> = history
        .requests()
        .into_iter()
        .filter(|request| done(request))
        .collect();
    scene.server.faults().bandwidth(0);
    assert_eq!(
        scene.utility.resume_all(None).await.unwrap().len(),
        hit.len()
    );
    for observer in observers {
        completed(observer.finished().await.unwrap());
    }
    for request in before {
        let (key, part) = (request.key.unwrap(), request.part_number.unwrap());
        assert_eq!(history.times_part_sent(&key, part), 1, "{key} {part}");
    }
    for key in keys {
        assert!(scene.server.object_bytes(BUCKET, key).unwrap() == content(30 * MIB));
    }
}
