//! Redirects and regions: nobody leads a transfer away from its endpoint.

use towline_testserver::{Answer, Operation, Rule, Script, WrongRegion};

use crate::{LARGE, SMALL, Scene};

fn redirect(location: &str) -> Rule {
    let moved = Answer::error(307, "TemporaryRedirect");
    Rule::on_any()
        .answer(moved)
        .set_header("location", location)
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_redirect_within_the_endpoint_is_followed() {
    let scene = Scene::start().await;
    let here = format!("{}/bucket/key", scene.server.endpoint());
    scene.play(redirect(&here).first(1));
    for len in [SMALL, LARGE] {
        let end = scene.upload(len).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 1);
    }
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert!(scene.faults() > 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_redirect_that_leads_in_circles_is_followed_three_times() {
    let scene = Scene::start().await;
    let here = format!("{}/bucket/key", scene.server.endpoint());
    scene.play(redirect(&here));
    let end = scene.upload(SMALL).await;
    scene.failed_and_left_nothing(&end, "TemporaryRedirect");
    assert_eq!(scene.count(Operation::PutObject), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_redirect_to_anywhere_else_is_refused() {
    let scene = Scene::start().await;
    let port = scene.server.port();
    for location in [
        "http://evil.test/bucket/key".to_owned(),
        format!("http://localhost:{port}/bucket/key"),
        format!("https://127.0.0.1:{port}/bucket/key"),
        "http://127.0.0.1:1/bucket/key".to_owned(),
        "/bucket/key".to_owned(),
    ] {
        scene.play(redirect(&location));
        scene.server.history().clear();
        let end = scene.upload(SMALL).await;
        scene.failed_and_left_nothing(&end, "TemporaryRedirect");
        let words = end.error.unwrap().message;
        assert!(words.contains("redirect refused"), "{words}");
        assert_eq!(scene.count(Operation::PutObject), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_another_region_is_learned_once_for_the_bucket() {
    for answer in [WrongRegion::Malformed, WrongRegion::Redirect] {
        let scene = Scene::start().await;
        let script = Script::new().region("eu-west-1", answer);
        scene.server.faults().play(script).unwrap();
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::CreateMultipartUpload), 2);
        assert_eq!(scene.count(Operation::UploadPart), 3);
        let end = scene.download().await;
        scene.was_fetched(&end);
        let refused =
            |request: &towline_testserver::Request| matches!(request.status, Some(301 | 400));
        assert_eq!(scene.server.history().count_where(refused), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_permanent_redirect_to_nowhere_fails() {
    let scene = Scene::start().await;
    scene.play(Rule::on_any().answer(Answer::error(301, "PermanentRedirect")));
    let end = scene.upload(SMALL).await;
    scene.failed_and_left_nothing(&end, "PermanentRedirect");
    assert_eq!(scene.count(Operation::PutObject), 1);
}
