//! What the dice have found, each by itself.

use towline::{State, Verified};
use towline_testserver::{Answer, Apply, By, Operation, Point, Rule, Script};

use crate::scene::{BUCKET, MIB, Scene, quick};
use towline_testkit::crash::bytes;

async fn with(rule: Rule) -> Scene {
    let scene = Scene::start(quick()).await;
    let script = Script::new().rule(rule);
    scene.server.faults().play(script).unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_opened_though_the_answer_was_an_error_is_not_opened_twice() {
    for status in [408, 500, 502, 504] {
        let opened = Rule::on(Operation::CreateMultipartUpload).first(1);
        let answer = Answer::status(status);
        let scene = with(opened.answer(answer).apply(Apply::Yes)).await;
        let source = scene.source("source", &bytes(6 * MIB, 1));
        let upload = scene.utility.upload(BUCKET, "key", source).await.unwrap();
        let ended = upload.finished().await.unwrap();
        assert_eq!(ended.state, State::Completed, "{ended:?}");
        let history = scene.server.history();
        assert_eq!(history.count(Operation::CreateMultipartUpload), 1);
        assert_eq!(scene.server.open_uploads(BUCKET), [], "{status}");
    }
}

/// HEAD tells no code, so a GET asks for it; what that gives, is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_refused_by_accident_fails_no_download() {
    for size in [0, 4096] {
        for status in [400, 403, 404] {
            let refused = Rule::on(Operation::HeadObject).first(1);
            let scene = with(refused.answer(Answer::status(status))).await;
            let object = bytes(size, 1);
            let put = scene.server.put_object(BUCKET, "key", object.clone());
            put.await.unwrap();
            let target = scene.target("target");
            let download = scene.utility.download(BUCKET, "key", &target);
            let ended = download.await.unwrap().finished().await.unwrap();
            assert_eq!(ended.state, State::Completed, "{status}: {ended:?}");
            assert!(std::fs::read(target).unwrap() == object);
        }
    }
}

/// Whether a PUT had been carried out was asked by HEAD, which was refused by
/// accident; that the GET in its place found nothing failed the upload.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_was_lost_is_sent_again_also_when_the_question_for_it_is_refused() {
    let scene = Scene::start(quick()).await;
    let lost = Rule::on(Operation::PutObject).first(1);
    let refused = Rule::on(Operation::HeadObject).first(1);
    let script = Script::new()
        .rule(lost.cut(Point::AfterRequest, By::Rst).apply(Apply::No))
        .rule(refused.answer(Answer::status(400)));
    scene.server.faults().play(script).unwrap();
    let upload = scene.utility.upload_data(BUCKET, "key", "bytes");
    let ended = upload.await.unwrap().finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(scene.server.object_bytes(BUCKET, "key").unwrap(), b"bytes");
}

/// It was taken for a store that keeps none, and every later upload for this
/// process cost a request more.
#[tokio::test(flavor = "multi_thread")]
async fn one_checksum_lost_on_the_way_does_not_change_how_later_uploads_are_sent() {
    let lost = Rule::on(Operation::PutObject).key("2");
    let scene = with(lost.drop_header("x-amz-checksum-crc64nvme")).await;
    for key in ["1", "2", "3"] {
        let upload = scene.utility.upload_data(BUCKET, key, "bytes");
        let ended = upload.await.unwrap().finished().await.unwrap();
        assert_eq!(ended.state, State::Completed, "{ended:?}");
    }
    let requests = scene.server.history().requests();
    let third: Vec<_> = requests
        .iter()
        .filter(|it| it.key.as_deref() == Some("3"))
        .collect();
    assert_eq!(third.len(), 1, "{third:?}");
    assert!(third[0].header("x-amz-checksum-crc64nvme").is_some());
}

/// What nothing shows cannot be found out; then it is not claimed either.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_store_shows_no_checksum_the_length_alone_is_proven_and_this_is_said() {
    let bare = |rule: Rule| {
        rule.drop_header("etag")
            .drop_header("x-amz-checksum-crc64nvme")
    };
    let scene = Scene::start(quick()).await;
    let script = Script::new()
        .rule(bare(Rule::on(Operation::GetObject)).flip(100, 3))
        .rule(bare(Rule::on(Operation::HeadObject)));
    scene.server.faults().play(script).unwrap();
    let mut object = bytes(4096, 1);
    let put = scene.server.put_object(BUCKET, "key", object.clone());
    put.await.unwrap();
    let target = scene.target("target");
    let download = scene.utility.download(BUCKET, "key", &target);
    let ended = download.await.unwrap().finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.verified, Some(Verified::SizeOnly));
    object[100] ^= 1 << 3;
    assert!(std::fs::read(target).unwrap() == object);
}
