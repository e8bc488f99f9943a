//! The same request twice is one transfer; two never write one target. T67.

use towline::{Error, PartSize, Query, State, SubmitError, TransferId, TransferRequest};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;

async fn count(scene: &Scene) -> usize {
    let everything = Query {
        limit: 1000,
        ..Query::default()
    };
    scene.utility.find(everything).await.unwrap().0.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_token_is_the_same_transfer_also_once_it_is_done() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(100));
    let asked = |scene: &Scene| scene.utility.upload(BUCKET, "key", &path).token("job-1");
    let first = asked(&scene).await.unwrap();
    completed(first.finished().await.unwrap());
    for _ in 0..2 {
        let again = asked(&scene).await.unwrap();
        assert_eq!(again.id(), first.id());
        assert_eq!(again.finished().await.unwrap().state, State::Completed);
        scene.reopen().await;
    }
    assert_eq!(scene.server.history().count(Operation::PutObject), 1);
    assert_eq!(count(&scene).await, 1);

    let other = scene.utility.upload(BUCKET, "other", &path).token("job-1");
    let refused = other.await.unwrap_err();
    assert_eq!(refused.code(), "TokenTaken", "{refused}");
    assert_eq!(count(&scene).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_target_from_the_same_source_is_the_same_transfer_while_it_lives() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    scene.upload("there", &path).await;
    let other = scene.file("other", &content(10));
    scene.upload("other-there", &other).await;
    scene.server.faults().bandwidth(1 << 20);
    let target = scene.dir.path().join("target");
    let up = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let down = scene.utility.download(BUCKET, "there", &target);
    let down = down.await.unwrap();
    let before = count(&scene).await;

    for round in 0..3 {
        let again = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
        assert_eq!(again.id(), up.id());
        let again = scene.utility.download(BUCKET, "there", &target);
        assert_eq!(again.await.unwrap().id(), down.id());

        let another_source = scene.utility.upload(BUCKET, "key", &other);
        let refused = another_source.await.unwrap_err();
        assert_eq!(refused.code(), "TargetTaken", "{refused}");
        let taken = |error: &Error, by: TransferId| matches!(error, Error::Submit(SubmitError::TargetTaken { id, .. }) if *id == by);
        assert!(taken(&refused, up.id()), "{refused}");
        let another_object = scene.utility.download(BUCKET, "other-there", &target);
        let refused = another_object.await.unwrap_err();
        assert!(taken(&refused, down.id()), "{refused}");
        let other_options = scene.utility.upload(BUCKET, "key", &path);
        let part_size = PartSize::from_bytes(8 << 20).unwrap();
        let refused = other_options.part_size(part_size).await.unwrap_err();
        assert_eq!(refused.code(), "OptionsDiffer", "{refused}");
        assert_eq!(count(&scene).await, before, "nothing recorded");
        if round == 1 {
            scene.reopen().await;
        }
    }
    scene.server.faults().bandwidth(0);
    for id in [up.id(), down.id()] {
        let observer = scene.utility.observe(id).await.unwrap();
        completed(observer.finished().await.unwrap());
    }
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content(20 * MIB));
    assert!(std::fs::read(&target).unwrap() == content(20 * MIB));
    // Done, so it is a new one.
    let third = scene.utility.upload(BUCKET, "key", &other).await.unwrap();
    assert_ne!(third.id(), up.id());
    completed(third.finished().await.unwrap());
    assert_eq!(
        scene.server.object_bytes(BUCKET, "key").unwrap(),
        content(10)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_request_twice_in_one_call_is_one_transfer() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(100));
    let one = || TransferRequest::upload(BUCKET, "key", &path);
    let other = TransferRequest::upload(BUCKET, "other", &path);
    let ids = scene.utility.submit(vec![one(), other, one()]).await;
    let ids = ids.unwrap();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    for id in &ids {
        let observer = scene.utility.observe(*id).await.unwrap();
        completed(observer.finished().await.unwrap());
    }
    assert_eq!(scene.server.history().count(Operation::PutObject), 2);
    assert_eq!(count(&scene).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_two_requests_of_one_call_that_clash_are_refused_and_none_is_recorded() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(100));
    let other = scene.file("other", &content(50));
    let target = scene.dir.path().join("target");
    let calls = [
        vec![
            TransferRequest::upload(BUCKET, "good", &path),
            TransferRequest::upload(BUCKET, "key", &path),
            TransferRequest::upload(BUCKET, "key", &other),
        ],
        vec![
            TransferRequest::download(BUCKET, "a", &target),
            TransferRequest::download(BUCKET, "b", &target),
        ],
    ];
    for call in calls {
        let refused = scene.utility.submit(call).await.unwrap_err();
        assert_eq!(refused.code(), "TargetClash", "{refused}");
    }
    assert_eq!(count(&scene).await, 0);
    scene.upload("later", &path).await;
    let later = scene.server.history().requests();
    assert!(
        later
            .iter()
            .all(|request| request.key.as_deref() == Some("later"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_the_same_request_from_many_at_once_is_one_transfer() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(8 * MIB));
    scene.server.faults().bandwidth(2 << 20);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let upload = scene.utility.upload(BUCKET, "key", &path);
            tokio::spawn(async move { upload.await.unwrap().id() })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(count(&scene).await, 1);
    scene.server.faults().bandwidth(0);
    let observer = scene.utility.observe(ids[0]).await.unwrap();
    completed(observer.finished().await.unwrap());
    let history = scene.server.history();
    assert_eq!(history.count(Operation::CreateMultipartUpload), 1);
}
