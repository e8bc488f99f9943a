//! Finding transfers: by id, direction, states, bucket and key, in pages. T24.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use towline::{
    Command, Direction, Error, Query, State, StoreError, Transfer, TransferId, TransferRequest,
    TransferUtility,
};

use crate::{BUCKET, Scene, content, until};

const MIB: usize = 1 << 20;

/// All pages of a query. Every page keeps to its limit, its order and its states.
async fn all(utility: &TransferUtility, query: Query) -> Vec<Transfer> {
    let mut query = Query { limit: 7, ..query };
    let mut found: Vec<Transfer> = Vec::new();
    loop {
        let (page, next) = utility.find(query.clone()).await.unwrap();
        assert!(page.len() <= 7);
        for transfer in &page {
            let fits = query.states.is_empty() || query.states.contains(&transfer.state);
            assert!(fits, "{:?} gave {transfer:?}", query.states);
        }
        found.extend(page);
        match next {
            Some(_) => query.after = next,
            None => break,
        }
    }
    let in_order = |pair: &[Transfer]| match query.newest_first {
        true => pair[0].id > pair[1].id,
        false => pair[0].id < pair[1].id,
    };
    assert!(found.windows(2).all(in_order));
    found
}

fn ids(found: &[Transfer]) -> BTreeSet<TransferId> {
    found.iter().map(|transfer| transfer.id).collect()
}

/// Transfers that stay as they are, three of each kind, by what they are.
async fn lasting(scene: &Scene) -> Vec<(Direction, State, TransferId)> {
    let utility = &scene.utility;
    let path = scene.file("lasting", &content(6 * MIB));
    scene.upload("there", &path).await;
    let mut lasting = Vec::new();
    for n in 0..3 {
        let up = scene.upload(&format!("lasting-{n}"), &path).await;
        lasting.push((Direction::Upload, State::Completed, up.id));
        let down = scene.download("there", &format!("lasting-{n}")).await;
        lasting.push((Direction::Download, State::Completed, down.id));
        let up = utility.upload("no-such-bucket", format!("{n}"), &path);
        let up = up.await.unwrap();
        assert_eq!(up.finished().await.unwrap().state, State::Failed);
        lasting.push((Direction::Upload, State::Failed, up.id()));
    }
    scene.server.faults().bandwidth(256 << 10);
    for n in 0..3 {
        let up = utility.upload(BUCKET, format!("paused-{n}"), &path);
        let up = up.await.unwrap();
        assert!(up.pause().await.unwrap());
        lasting.push((Direction::Upload, State::Paused, up.id()));
        let path = scene.dir.path().join(format!("canceled-{n}"));
        let down = utility.download(BUCKET, "there", path).await.unwrap();
        assert!(down.cancel().await.unwrap());
        let ended = down.finished().await.unwrap();
        assert_eq!(ended.state, State::Canceled);
        lasting.push((Direction::Download, State::Canceled, down.id()));
    }
    scene.server.faults().bandwidth(0);
    lasting
}

/// Uploads small and large files and removes most of their records, until told
/// to stop. Gives the ids of those that were left.
async fn churn(
    utility: TransferUtility,
    paths: [std::path::PathBuf; 2],
    task: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> Vec<TransferId> {
    let mut left = Vec::new();
    for n in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let key = format!("churn-{task}-{n}");
        let upload = utility.upload(BUCKET, key, &paths[n % 2]);
        let observer = upload.await.unwrap();
        if n % 3 == 0 {
            observer.pause().await.unwrap();
            observer.resume().await.unwrap();
        }
        if n % 5 == 4 {
            observer.cancel().await.unwrap();
        }
        observer.finished().await.unwrap();
        if n % 4 == 0 {
            left.push(observer.id());
        } else {
            utility.remove(observer.id()).await.unwrap();
        }
        done.fetch_add(1, Relaxed);
    }
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_queries_give_the_right_sets_while_transfers_come_and_go() {
    let mut scene = Scene::start().await;
    let lasting = lasting(&scene).await;
    let paths = [
        scene.file("small", &content(1000)),
        scene.file("large", &content(6 * MIB)),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (utility, paths) = (scene.utility.clone(), paths.clone());
            tokio::spawn(churn(utility, paths, task, stop.clone(), done.clone()))
        })
        .collect();
    until("it is busy", || done.load(Relaxed) > 8).await;

    let utility = &scene.utility;
    let mut rounds = 0;
    while rounds < 10 || done.load(Relaxed) < 60 {
        rounds += 1;
        for state in [
            State::Completed,
            State::Failed,
            State::Paused,
            State::Canceled,
            State::InProgress,
            State::Waiting,
            State::WaitingForNetwork,
        ] {
            let states = vec![state];
            for direction in [None, Some(Direction::Upload), Some(Direction::Download)] {
                let query = Query {
                    direction,
                    states: states.clone(),
                    newest_first: rounds % 2 == 0,
                    ..Query::default()
                };
                let found = all(utility, query).await;
                let wanted = |way: Direction| direction.is_none_or(|wanted| wanted == way);
                assert!(found.iter().all(|transfer| wanted(transfer.direction)));
                let found = ids(&found);
                for (way, is, id) in &lasting {
                    let belongs = *is == state && wanted(*way);
                    assert_eq!(found.contains(id), belongs, "{id} {is} {way:?}: {state}");
                }
            }
        }
        let several = Query {
            states: vec![State::Failed, State::Paused],
            ..Query::default()
        };
        let found = ids(&all(utility, several).await);
        for (_, is, id) in &lasting {
            let belongs = [State::Failed, State::Paused].contains(is);
            assert_eq!(found.contains(id), belongs);
        }
        let by_key = Query {
            bucket: Some(BUCKET.into()),
            key: Some("paused-1".into()),
            ..Query::default()
        };
        let found = all(utility, by_key).await;
        assert_eq!(found.len(), 1);
        let paused = utility.get(found[0].id).await.unwrap();
        assert_eq!(paused, found[0]);
        // Whole transfers, never their parts: one row of each.
        let everything = all(utility, Query::default()).await;
        assert_eq!(everything.len(), ids(&everything).len());
    }
    stop.store(true, Relaxed);
    let mut left: BTreeSet<TransferId> = lasting.iter().map(|(_, _, id)| *id).collect();
    for task in tasks {
        left.extend(task.await.unwrap());
    }
    // And the upload that the downloads were made from, the first of all.
    let found = ids(&all(utility, Query::default()).await);
    left.insert(*found.first().unwrap());
    assert_eq!(found, left);
    scene.reopen().await;
    assert_eq!(ids(&all(&scene.utility, Query::default()).await), found);
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_bulk_commands_do_not_stumble_over_transfers_that_are_removed_meanwhile() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(1000));
    scene.server.faults().offline(true);
    let request = |n| TransferRequest::upload(BUCKET, format!("{n}"), &path);
    let ids = scene.utility.submit((0..400).map(request).collect()).await;
    let ids = ids.unwrap();
    scene.utility.pause_all(None).await.unwrap();
    scene.server.faults().offline(false);
    let removing: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let utility = scene.utility.clone();
            tokio::spawn(async move { utility.remove(id).await })
        })
        .collect();
    while !removing.iter().all(|task| task.is_finished()) {
        scene.utility.pause_all(None).await.unwrap();
        scene.utility.resume_all(None).await.unwrap();
        scene.utility.cancel_all(None).await.unwrap();
        scene.utility.remove_all(Query::default()).await.unwrap();
    }
    for task in removing {
        if let Err(error) = task.await.unwrap() {
            assert_eq!(error.code(), "UnknownTransfer", "{error}");
        }
    }
    assert!(all(&scene.utility, Query::default()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_a_transfer_is_found_by_its_id_and_an_unknown_one_is_not() {
    let scene = Scene::start().await;
    let path = scene.file("source", b"source");
    let transfer = scene.upload("key", &path).await;
    let found = scene.utility.get(transfer.id).await.unwrap();
    assert_eq!(found.with_store_answered(true), transfer);
    let never = TransferId::new(99);
    let error = scene.utility.get(never).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Unknown(id)) if id == never));
    assert_eq!(error.code(), "UnknownTransfer");
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_a_group_is_found_and_steered_as_one_and_is_gone_with_its_last_transfer() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    scene.server.faults().offline(true);
    let mut of_group = Vec::new();
    for n in 0..6 {
        let upload = scene.utility.upload(BUCKET, format!("key-{n}"), &source);
        let upload = if n % 2 == 0 {
            upload.group("photos")
        } else {
            upload
        };
        let observer = upload.await.unwrap();
        if n % 2 == 0 {
            assert_eq!(observer.transfer().group.as_deref(), Some("photos"));
            of_group.push(observer.id());
        }
    }
    let group = || Query {
        group: Some("photos".into()),
        ..Query::default()
    };
    let (found, _) = scene.utility.find(group()).await.unwrap();
    let found: Vec<_> = found.iter().map(|transfer| transfer.id).collect();
    assert_eq!(found, of_group);
    let steer = |command| scene.utility.steer_all(command, group());
    assert_eq!(steer(Command::Pause).await.unwrap(), of_group);
    let (all, _) = scene.utility.find(Query::default()).await.unwrap();
    let paused = all
        .iter()
        .filter(|transfer| transfer.state == State::Paused);
    assert_eq!(paused.count(), 3, "the others go on");
    assert_eq!(steer(Command::Cancel).await.unwrap(), of_group);
    scene.server.faults().clear();
    for id in &of_group {
        let observer = scene.utility.observe(*id).await.unwrap();
        observer.finished().await.unwrap();
    }
    assert_eq!(scene.utility.remove_all(group()).await.unwrap(), of_group);
    let (found, _) = scene.utility.find(group()).await.unwrap();
    assert!(found.is_empty());
}
