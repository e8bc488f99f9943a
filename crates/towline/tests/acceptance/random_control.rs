//! Hundreds of commands at random, from eight tasks at once: no deadlock, no
//! illegal change of state, and everything that was not canceled arrives. T11.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use towline::{Command, Direction, Error, Query, State, StoreError, TransferId, TransferUtility};

use crate::{BUCKET, Scene, completed, content, names};

const MIB: usize = 1 << 20;
const TASKS: u64 = 8;
const COMMANDS: usize = 300;

/// What docs/states.md lists: which state may become which.
fn is_legal(from: State, to: State) -> bool {
    use State::{Canceled, Completed, Failed, InProgress, Paused, Waiting, WaitingForNetwork};
    match from {
        Waiting => matches!(to, InProgress | Paused | Canceled),
        InProgress => matches!(
            to,
            Waiting | WaitingForNetwork | Paused | Completed | Canceled | Failed
        ),
        WaitingForNetwork => matches!(to, InProgress | Paused | Canceled),
        Paused => matches!(to, Waiting | InProgress | Canceled),
        Failed => matches!(to, Waiting | InProgress),
        Canceled => matches!(to, Waiting),
        Completed => false,
    }
}

/// A watcher may miss states in between: it took legal steps if one or two
/// unseen ones explain what it saw.
fn may_be_seen(from: State, to: State) -> bool {
    let all = [
        State::Waiting,
        State::InProgress,
        State::Paused,
        State::WaitingForNetwork,
    ];
    let between = |from, to| {
        all.iter()
            .any(|between| is_legal(from, *between) && is_legal(*between, to))
    };
    is_legal(from, to) || between(from, to)
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Unknown(_)))
}

/// Watches a transfer through all its lives until it is told to stop or the
/// transfer is removed.
async fn watch(utility: TransferUtility, id: TransferId, stop: Arc<AtomicBool>) -> usize {
    let mut seen = 0;
    while !stop.load(Relaxed) {
        let observer = match utility.observe(id).await {
            Ok(observer) => observer,
            Err(error) if is_unknown(&error) => break,
            Err(error) => panic!("{error}"),
        };
        let mut updates = observer.updates();
        let mut before: Option<(u32, State)> = None;
        while let Some(now) = updates.next().await {
            seen += 1;
            if let Some((generation, state)) = before {
                assert!(now.generation >= generation, "{now:?}");
                let same = state == now.state;
                assert!(
                    same || may_be_seen(state, now.state),
                    "{state}, then {now:?}"
                );
            }
            before = Some((now.generation, now.state));
        }
        // Final; whoever retries it makes it move again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

/// A small generator of our own, so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// One task's share of the commands.
async fn steer(utility: TransferUtility, ids: Vec<TransferId>, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..COMMANDS / TASKS as usize + 1 {
        let id = ids[dice.below(ids.len())];
        let done = match dice.below(20) {
            0..=6 => utility.steer(id, Command::Pause).await.map(drop),
            7..=13 => utility.steer(id, Command::Resume).await.map(drop),
            14..=16 => utility.steer(id, Command::Retry).await.map(drop),
            17 | 18 => utility.steer(id, Command::Cancel).await.map(drop),
            _ => {
                // Somebody may pause or revive it for ever; that is no deadlock.
                let remove = utility.remove(id);
                let limit = Duration::from_secs(2);
                tokio::time::timeout(limit, remove).await.unwrap_or(Ok(()))
            }
        };
        match done {
            Err(error) if !is_unknown(&error) => panic!("{error}"),
            _ => tokio::time::sleep(Duration::from_millis(dice.below(12) as u64)).await,
        }
    }
}

/// Ten small and four large uploads, three small and three large downloads.
async fn twenty(scene: &Scene, targets: &std::path::Path) -> Vec<TransferId> {
    let (utility, mut ids) = (&scene.utility, Vec::new());
    let small: PathBuf = scene.file("small", &content(100_000));
    let large: PathBuf = scene.file("large", &content(12 * MIB));
    scene.upload("small", &small).await;
    scene.upload("large", &large).await;
    scene.server.faults().bandwidth(12 << 20);
    for n in 0..14 {
        let source = if n < 10 { &small } else { &large };
        let upload = utility.upload(BUCKET, format!("up-{n}"), source);
        ids.push(upload.await.unwrap().id());
    }
    for n in 0..6 {
        let key = if n < 3 { "small" } else { "large" };
        let target = targets.join(format!("{n}"));
        let download = utility.download(BUCKET, key, target);
        ids.push(download.await.unwrap().id());
    }
    ids
}

/// Resumes and retries until everything that was not canceled is completed.
async fn finish(utility: &TransferUtility) {
    loop {
        utility.resume_all(None).await.unwrap();
        utility.retry_all(None).await.unwrap();
        let (all, _) = utility.find(Query::default()).await.unwrap();
        let over = |state| matches!(state, State::Completed | State::Canceled);
        if all.iter().all(|transfer| over(transfer.state)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn play(seed: u64) {
    let mut scene = Scene::start().await;
    let targets = scene.dir.path().join("targets");
    std::fs::create_dir(&targets).unwrap();
    let ids = twenty(&scene, &targets).await;
    let stop = Arc::new(AtomicBool::new(false));
    let watchers: Vec<_> = ids
        .iter()
        .map(|id| tokio::spawn(watch(scene.utility.clone(), *id, Arc::clone(&stop))))
        .collect();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let steering = steer(scene.utility.clone(), ids.clone(), seed * TASKS + task);
            tokio::spawn(steering)
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    scene.server.faults().bandwidth(0);
    finish(&scene.utility).await;
    stop.store(true, Relaxed);
    let mut seen = 0;
    for watcher in watchers {
        seen += watcher.await.unwrap();
    }
    assert!(seen > 100, "{seen} updates");

    let (all, _) = scene.utility.find(Query::default()).await.unwrap();
    let mut expected_files = Vec::new();
    for transfer in all.iter().filter(|t| ids.contains(&t.id)) {
        let size = transfer.bytes_total;
        if transfer.state != State::Completed {
            continue;
        }
        let transfer = completed(transfer.clone());
        let bytes = match transfer.direction {
            Direction::Copy => unreachable!("nothing is copied here"),
            Direction::Upload => scene.server.object_bytes(BUCKET, &transfer.key).unwrap(),
            Direction::Download => std::fs::read(&transfer.path).unwrap(),
        };
        assert!(bytes == content(size.unwrap() as usize), "{transfer:?}");
        if transfer.direction == Direction::Download {
            let name = transfer.path.file_name().unwrap();
            expected_files.push(name.to_string_lossy().into_owned());
        }
    }
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    // Files of completed ones that were removed may stand there too; no others.
    for name in names(&targets) {
        assert!(name.len() == 1, "left behind: {name}");
    }
    for name in expected_files {
        assert!(targets.join(name).exists());
    }

    let states = |all: &[towline::Transfer]| -> BTreeMap<TransferId, State> {
        all.iter()
            .map(|transfer| (transfer.id, transfer.state))
            .collect()
    };
    let before = states(&all);
    scene.reopen().await;
    let (all, _) = scene.utility.find(Query::default()).await.unwrap();
    assert_eq!(states(&all), before, "reopened");
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_random_commands_from_many_tasks_never_lock_up_or_lose_a_transfer() {
    for seed in 1..=3 {
        let played = tokio::time::timeout(Duration::from_secs(90), play(seed)).await;
        assert!(played.is_ok(), "seed {seed} does not end");
    }
}
