//! Progress is honest, whatever happens on the way. T49; see also T14 and T15.

use std::time::Duration;

use towline::State;
use towline_testserver::Operation;

use crate::seen::Seen;
use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn t49_progress_holds_over_pauses_failed_attempts_and_lost_answers() {
    for size in [0, 1, 5 * MIB, 30 * MIB + 1] {
        let scene = Scene::start().await;
        let path = scene.file("source", &content(size));
        let faults = scene.server.faults();
        faults.bandwidth(20 << 20);
        faults.fail_next(Operation::UploadPart, 2, 503, "SlowDown");
        faults.drop_response(Operation::UploadPart, 2);
        faults.drop_response(Operation::PutObject, 1);
        faults.fail_next(Operation::PutObject, 1, 500, "InternalError");
        faults.drop_response(Operation::CompleteMultipartUpload, 1);
        faults.delay(Operation::PutObject, Duration::from_millis(50));
        let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
        let seen = Seen::of(&observer);
        for _ in 0..3 {
            let from = observer.bytes_transferred();
            let more = || observer.bytes_transferred() > from || observer.state().is_final();
            until("it moves", more).await;
            if !observer.pause().await.unwrap() {
                break;
            }
            let recorded = scene.utility.get(observer.id()).await.unwrap();
            assert_eq!(observer.bytes_transferred(), recorded.bytes_transferred);
            // Else a pause and what follows may be seen as one.
            let last = || seen.all().last().map(|seen| seen.state);
            until("the pause is seen", || last() == Some(State::Paused)).await;
            let at_pause = seen.all().len();
            assert!(observer.resume().await.unwrap());
            until("it goes on", || seen.all().len() > at_pause).await;
            let first = &seen.all()[at_pause];
            assert!(first.bytes_transferred >= recorded.bytes_transferred);
        }
        completed(observer.finished().await.unwrap());
        seen.comes(State::Completed).await;
        seen.progress_is_honest();
        assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content(size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_a_download_whose_body_fails_half_way_shows_honest_progress() {
    let scene = Scene::start().await;
    let size = 30 * MIB + 1;
    let path = scene.file("source", &content(size));
    scene.upload("key", &path).await;
    let faults = scene.server.faults();
    faults.bandwidth(20 << 20);
    faults.fail_next(Operation::GetObject, 2, 503, "SlowDown");
    faults.drop_response(Operation::GetObject, 2);
    let target = scene.dir.path().join("target");
    let observer = scene.utility.download(BUCKET, "key", &target);
    let observer = observer.await.unwrap();
    let seen = Seen::of(&observer);
    until("it moves", || observer.bytes_transferred() > 8 * MIB as u64).await;
    // Every connection is cut; what was under way is fetched again.
    faults.offline(true);
    tokio::time::timeout(Duration::from_secs(20), async {
        while observer.state() == State::InProgress {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
    faults.offline(false);
    completed(observer.finished().await.unwrap());
    seen.comes(State::Completed).await;
    seen.progress_is_honest();
    assert!(std::fs::read(&target).unwrap() == content(size));
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_reopened_it_starts_at_the_recorded_bytes() {
    let mut scene = Scene::start().await;
    let size = 40 * MIB;
    let path = scene.file("source", &content(size));
    scene.server.faults().bandwidth(10 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let seen = Seen::of(&observer);
    // Five parts at once are 25 MiB: whatever is beyond was recorded.
    until("more moved than can be under way", || {
        observer.bytes_transferred() > 28 * MIB as u64
    })
    .await;
    scene.utility.close().await.unwrap();
    seen.progress_is_honest();
    // As it is recorded, seen without running it.
    let reader = towline::SqliteReader::open(&scene.dir.path().join("state")).unwrap();
    let recorded = reader.get(observer.id()).await.unwrap().unwrap().bytes_done;
    drop(reader);
    assert!(recorded > 0 && recorded < size as u64);

    scene.utility = crate::open(&scene.server, scene.dir.path().join("state")).await;
    let observer = scene.utility.observe(observer.id()).await.unwrap();
    let seen = Seen::of(&observer);
    until("it is seen", || !seen.all().is_empty()).await;
    let first = &seen.all()[0];
    assert!(first.bytes_transferred >= recorded, "{first:?}");
    assert!(first.bytes_transferred < recorded + 5 * MIB as u64);
    scene.server.faults().bandwidth(0);
    completed(observer.finished().await.unwrap());
    seen.comes(State::Completed).await;
    seen.progress_is_honest();
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_a_new_generation_is_flagged_and_counts_from_zero() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(30 * MIB));
    scene.server.faults().bandwidth(10 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let seen = Seen::of(&observer);
    until("some of it moved", || {
        observer.bytes_transferred() > 12 * MIB as u64
    })
    .await;
    let mut changed = content(30 * MIB);
    changed[0] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    until("it starts anew", || observer.transfer().generation > 1).await;
    scene.server.faults().bandwidth(0);
    let transfer = completed(observer.finished().await.unwrap());
    assert!(transfer.generation >= 2);
    seen.comes(State::Completed).await;
    seen.progress_is_honest();
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == changed);
}
