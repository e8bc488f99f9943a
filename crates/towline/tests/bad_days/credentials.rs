//! Credentials and clocks that are wrong for a while.

use towline::{
    Connection, ConnectionSource, Environment, ParkReason, Reason, State, TransferUtility,
};
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::{BUCKET, LARGE, SMALL, Scene, retries, until};

const CODES: [(u16, &str); 5] = [
    (400, "ExpiredToken"),
    (400, "InvalidToken"),
    (400, "TokenRefreshRequired"),
    (403, "InvalidAccessKeyId"),
    (403, "SignatureDoesNotMatch"),
];

#[tokio::test(flavor = "multi_thread")]
async fn f12_credentials_that_s3_does_not_take_are_read_again_and_nothing_is_lost() {
    for (status, code) in CODES {
        let scene = Scene::with(retries(0)).await;
        let refused = Answer::error(status, code);
        scene.play(Rule::on_any().first(1).answer(refused.clone()));
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(end.generation, 1, "{code}");
        scene.play(Rule::on_any().first(1).answer(refused));
        let end = scene.download().await;
        scene.was_fetched(&end);
        assert_eq!(end.generation, 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_credentials_that_stay_bad_park_the_transfer_which_goes_on_with_its_parts() {
    let mut config = retries(0);
    config.parts_per_transfer = Some(1); // so that two are there before the third fails
    let scene = Scene::with(config).await;
    let expired = || Answer::error(400, "ExpiredToken");
    let part = Rule::on(Operation::UploadPart).part(3).answer(expired());
    // Nothing else works either, once the first two parts are there.
    let others = Rule::on(Operation::ListParts).answer(expired());
    scene.play_all([part, others]);
    let observer = scene.begin_upload(LARGE).await;
    until("it waits", || {
        let now = observer.transfer();
        now.state == State::Waiting && now.reason == Some(Reason::Parked(ParkReason::Credentials))
    })
    .await;
    scene.two_parts_landed().await;
    until("it looked again", || scene.count(Operation::ListParts) >= 2).await;
    scene.server.faults().clear();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    scene.two_parts_went_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_credentials_in_a_file_that_are_mended_there_are_noticed() {
    let scene = Scene::start().await;
    let file = scene.dir.path().join("credentials");
    let keys = |secret: &str| {
        let text = format!("[work]\naws_access_key_id = test\naws_secret_access_key = {secret}\n");
        std::fs::write(&file, text).unwrap();
    };
    keys("of-yesterday");
    let name = "AWS_SHARED_CREDENTIALS_FILE";
    let environment = Environment::new([(name, file.display().to_string())], None);
    let utility = TransferUtility::builder()
        .environment(environment)
        .state_dir(scene.dir.path().join("other"))
        .connection(Connection {
            source: ConnectionSource::Profile("work".into()),
            endpoint: Some(scene.server.endpoint()),
            region: Some("us-east-1".into()),
            ..Connection::default()
        });
    let utility = utility.open().await.unwrap();
    let source = scene.source(SMALL);
    let observer = utility.upload(BUCKET, "key", source).await.unwrap();
    until("it waits", || {
        observer.transfer().reason == Some(Reason::Parked(ParkReason::Credentials))
    })
    .await;
    keys("testsecret");
    scene.arrived(&observer.finished().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_clock_that_is_wrong_is_put_right_for_signing() {
    for offset in [3600, -7200] {
        let scene = Scene::with(retries(0)).await;
        let script = Script::new().clock_offset(offset);
        scene.server.faults().play(script).unwrap();
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::CreateMultipartUpload), 2);
        let end = scene.download().await;
        scene.was_fetched(&end);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_clock_that_cannot_be_put_right_parks_the_transfer() {
    let scene = Scene::with(retries(0)).await;
    let skewed = Answer::error(403, "RequestTimeTooSkewed");
    scene.play(Rule::on_any().answer(skewed));
    let observer = scene.begin_upload(SMALL).await;
    until("it waits", || {
        observer.transfer().reason == Some(Reason::Parked(ParkReason::Clock))
    })
    .await;
    scene.server.faults().clear();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
}
