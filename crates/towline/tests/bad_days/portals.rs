//! Somebody on the way answers in S3's place.

use towline::State;
use towline_testserver::{Answer, Operation, Rule};

use crate::{LARGE, SMALL, Scene, retries, until};

const PAGE: &str = "<html><body>Please log in</body></html>";
const MARKS: [&str; 4] = [
    "x-amz-request-id",
    "x-amz-id-2",
    "etag",
    "x-amz-checksum-type",
];

/// A log-in page to every request.
fn portal(status: u16) -> Rule {
    let page = Rule::on_any().answer(Answer::status(status).body(PAGE, "text/html"));
    let page = page.set_header("location", "http://portal.test/login");
    MARKS.into_iter().fold(page, Rule::drop_header)
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_a_captive_portal_is_waited_out_like_an_outage_and_costs_no_attempt() {
    for (status, len) in [(200, LARGE), (302, SMALL), (307, LARGE), (511, SMALL)] {
        let scene = Scene::with(retries(0)).await;
        scene.play(portal(status));
        let observer = scene.begin_upload(len).await;
        until("it waits", || observer.state() == State::WaitingForNetwork).await;
        until("it looked again", || scene.faults() >= 2).await;
        scene.server.faults().clear();
        let end = observer.finished().await.unwrap();
        scene.arrived(&end);
        assert_eq!(end.generation, 1);
        let scene = Scene::with(retries(0)).await;
        scene.put(&crate::content(LARGE)).await;
        scene.play(portal(status));
        let observer = scene.begin_download().await;
        until("it waits", || observer.state() == State::WaitingForNetwork).await;
        scene.server.faults().clear();
        let end = observer.finished().await.unwrap();
        scene.was_fetched(&end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_a_portal_that_answers_half_way_keeps_what_was_moved() {
    for operation in [
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::CreateMultipartUpload,
    ] {
        let scene = Scene::with(retries(0)).await;
        let page = Rule::on(operation).first(1).of_all();
        let page = page.answer(Answer::status(200).body(PAGE, "text/html"));
        scene.play(MARKS.into_iter().fold(page, Rule::drop_header));
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 1);
    }
    let scene = Scene::with(retries(0)).await;
    scene.put(&crate::content(LARGE)).await;
    let page = Rule::on(Operation::GetObject).offset(5 << 20).first(1);
    let page = page.answer(Answer::status(200).body(PAGE, "text/html"));
    scene.play(MARKS.into_iter().fold(page, Rule::drop_header));
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert_eq!(end.generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_a_proxys_page_with_a_5xx_is_an_ordinary_5xx() {
    for status in [502, 503, 504] {
        let scene = Scene::start().await;
        let page = Answer::status(status).body(PAGE, "text/html");
        let page = Rule::on_any().first(1).answer(page);
        scene.play(MARKS.into_iter().fold(page, Rule::drop_header));
        let observer = scene.begin_upload(LARGE).await;
        let end = observer.finished().await.unwrap();
        scene.arrived(&end);
        let incidents = scene.utility.incidents(end.id).await.unwrap();
        assert!(
            incidents
                .iter()
                .all(|it| it.error.code == format!("Http{status}")),
            "{incidents:?}"
        );
        let end = scene.download().await;
        scene.was_fetched(&end);
    }
}
