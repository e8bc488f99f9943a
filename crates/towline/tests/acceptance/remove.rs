//! Remove: the record and what was left of the work go, what was done stays. T23.

use towline::{Error, Query, State, StoreError, TransferId, TransferUtility};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, content, names, until};

const MIB: usize = 1 << 20;

async fn is_forgotten(utility: &TransferUtility, id: TransferId) {
    for error in [
        utility.get(id).await.map(drop).unwrap_err(),
        utility.observe(id).await.map(drop).unwrap_err(),
        utility.remove(id).await.unwrap_err(),
    ] {
        let unknown = matches!(error, Error::Store(StoreError::Unknown(unknown)) if unknown == id);
        assert!(unknown, "{error}");
    }
    let (found, _) = utility.find(Query::default()).await.unwrap();
    assert!(found.iter().all(|transfer| transfer.id != id));
    assert!(utility.incidents(id).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_a_removed_upload_is_canceled_first_and_nothing_of_it_is_left() {
    for paused in [false, true] {
        let mut scene = Scene::start().await;
        let path = scene.file("source", &content(40 * MIB));
        scene.server.faults().bandwidth(10 << 20);
        let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
        until("parts are there", || {
            scene.server.history().bytes_received() > 15 * MIB as u64
        })
        .await;
        if paused {
            assert!(observer.pause().await.unwrap());
        }
        let (_, cursor) = scene.utility.changes(None, 1).await.unwrap();
        scene.utility.remove(observer.id()).await.unwrap();
        assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
        assert_eq!(scene.server.versions(BUCKET, "key").len(), 0);
        assert!(path.exists());
        is_forgotten(&scene.utility, observer.id()).await;
        assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
        let (changes, _) = scene.utility.changes(Some(cursor), 10).await.unwrap();
        let removed = |change: &towline::TransferChange| matches!(change, towline::TransferChange::Removed(id) if *id == observer.id());
        assert!(changes.len() == 1 && removed(&changes[0]), "{changes:?}");
        scene.reopen().await;
        is_forgotten(&scene.utility, observer.id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_a_removed_download_leaves_no_temporary_file() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(40 * MIB));
    scene.upload("key", &path).await;
    scene.server.faults().bandwidth(10 << 20);
    let dir = scene.dir.path().join("down");
    std::fs::create_dir(&dir).unwrap();
    let target = dir.join("target");
    let observer = scene.utility.download(BUCKET, "key", &target);
    let observer = observer.await.unwrap();
    until("some of it came", || {
        scene.server.history().bytes_sent() > 12 * MIB as u64
    })
    .await;
    assert_eq!(names(&dir).len(), 1);
    scene.utility.remove(observer.id()).await.unwrap();
    assert_eq!(names(&dir).len(), 0);
    is_forgotten(&scene.utility, observer.id()).await;
    scene.reopen().await;
    is_forgotten(&scene.utility, observer.id()).await;
    assert_eq!(names(&dir).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_a_removed_failed_upload_takes_the_parts_that_were_kept_with_it() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    let operation = Operation::CompleteMultipartUpload;
    scene
        .server
        .faults()
        .fail_next(operation, 1, 403, "AccessDenied");
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Failed);
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1, "parts kept");
    scene.utility.remove(observer.id()).await.unwrap();
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
    is_forgotten(&scene.utility, observer.id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_what_a_removed_completed_transfer_made_stays() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(6 * MIB));
    let up = scene.upload("key", &path).await;
    let down = scene.download("key", "target").await;
    let requests = scene.server.history().requests().len();
    scene.utility.remove(up.id).await.unwrap();
    scene.utility.remove(down.id).await.unwrap();
    is_forgotten(&scene.utility, up.id).await;
    is_forgotten(&scene.utility, down.id).await;
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content(6 * MIB));
    assert!(std::fs::read(&down.path).unwrap() == content(6 * MIB));
    assert_eq!(scene.server.history().requests().len(), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_remove_all_takes_final_ones_only() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(10 * MIB));
    let done = scene.upload("done", &path).await;
    scene.server.faults().bandwidth(1 << 20);
    let paused = scene.utility.upload(BUCKET, "paused", &path).await.unwrap();
    assert!(paused.pause().await.unwrap());
    let running = scene.utility.upload(BUCKET, "runs", &path).await.unwrap();
    let canceled = scene.utility.upload(BUCKET, "gone", &path).await.unwrap();
    assert!(canceled.cancel().await.unwrap());
    assert_eq!(canceled.finished().await.unwrap().state, State::Canceled);
    let mut removed = scene.utility.remove_all(Query::default()).await.unwrap();
    removed.sort();
    assert_eq!(removed, [done.id, canceled.id()]);
    assert_eq!(paused.state(), State::Paused);
    assert!(!running.state().is_final());
    let (left, _) = scene.utility.find(Query::default()).await.unwrap();
    let left: Vec<_> = left.iter().map(|transfer| transfer.id).collect();
    assert_eq!(left, [paused.id(), running.id()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t23_a_transfer_that_is_revived_while_it_is_removed_harms_no_other() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(100));
    for round in 0..40 {
        let upload = scene.utility.upload(BUCKET, format!("{round}"), &path);
        let observer = upload.await.unwrap();
        let id = observer.id();
        observer.cancel().await.unwrap();
        observer.finished().await.unwrap();
        let commands: Vec<_> = (0..8)
            .map(|n| {
                let utility = scene.utility.clone();
                tokio::spawn(async move {
                    match n % 4 {
                        0 => utility.remove(id).await,
                        1 => utility.cancel(id).await.map(drop),
                        _ => utility.retry(id).await.map(drop),
                    }
                })
            })
            .collect();
        for command in commands {
            if let Err(error) = command.await.unwrap() {
                assert_eq!(error.code(), "UnknownTransfer", "{error}");
            }
        }
    }
    scene.upload("another", &path).await;
}
