//! HeadObject, whose refusals have no body and hence no reason.

use towline_testserver::{Answer, Operation, Rule, TestServer};

use crate::{BUCKET, Config, SMALL, Scene, failed};

fn head(status: u16) -> Rule {
    Rule::on(Operation::HeadObject).answer(Answer::status(status))
}

fn get(status: u16, code: &str) -> Rule {
    Rule::on(Operation::GetObject).answer(Answer::error(status, code))
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_the_reason_of_a_refused_head_is_asked_for_by_a_get_of_one_byte() {
    let scene = Scene::with_object(SMALL).await;
    scene.play_all([head(403), get(403, "AllAccessDisabled")]);
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, "AllAccessDisabled");
    let requests = scene.server.history().requests();
    let ranges: Vec<_> = requests.iter().filter_map(|it| it.range.clone()).collect();
    assert_eq!(ranges, ["bytes=0-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_head_refused_for_what_can_be_put_right_is_put_right() {
    for status in [400, 403] {
        let scene = Scene::with_object(SMALL).await;
        scene.play_all([
            head(status).first(1),
            get(400, "ExpiredToken").first(1).of_all(),
        ]);
        let end = scene.download().await;
        scene.was_fetched(&end);
        assert_eq!(scene.faults(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_f39_where_only_head_is_refused_the_object_is_fetched_all_the_same() {
    for len in [SMALL, 7 << 20] {
        let scene = Scene::with_object(len).await;
        scene.play(head(403));
        let end = scene.download().await;
        scene.was_fetched(&end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_what_is_not_there_fails_by_its_name() {
    let scene = Scene::start().await;
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, "NoSuchKey");
    let server = TestServer::builder().bucket("other").start().await.unwrap();
    let scene = Scene::on(server, Config::default()).await;
    let end = scene.download().await;
    failed(&end, "NoSuchBucket");
    for len in [SMALL, crate::LARGE] {
        let end = scene.upload(len).await;
        failed(&end, "NoSuchBucket");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_delete_marker_is_no_object() {
    let scene = Scene::versioned().await;
    scene.put(b"bytes").await;
    scene.utility.delete_object(BUCKET, "key").await.unwrap();
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, "NoSuchKey");
    let marker = scene.server.versions(BUCKET, "key").pop().unwrap();
    assert!(marker.delete_marker);
    let request = scene.utility.download(BUCKET, "key", scene.target());
    let end = request
        .version_id(&marker.version_id)
        .await
        .unwrap()
        .finished()
        .await
        .unwrap();
    scene.failed_and_left_nothing(&end, "MethodNotAllowed");
}
