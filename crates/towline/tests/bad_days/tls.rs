//! Certificates that are no good. Row 44.

use towline::{Environment, ParkReason, Reason, State};
use towline_testkit::fault_proxy::{BadCertificate, FaultProxy};

use crate::{BUCKET, SMALL, Scene, retries, until, utility_in};

#[tokio::test(flavor = "multi_thread")]
async fn f44_a_certificate_that_is_no_good_is_waited_out_and_nothing_is_sent_to_it() {
    let scene = Scene::start().await;
    let proxy = FaultProxy::start(([127, 0, 0, 1], scene.server.port()).into());
    let proxy = proxy.await.unwrap();
    let pem = proxy.bad_tls(BadCertificate::SelfSigned);
    let bundle = scene.dir.path().join("bundle.pem");
    std::fs::write(&bundle, pem).unwrap();
    let open = async |trusted: bool| {
        let bundle = trusted.then(|| ("AWS_CA_BUNDLE", bundle.display().to_string()));
        let environment = Environment::new(bundle, None);
        let endpoint = format!("https://{}", proxy.address());
        let state = scene.dir.path().join("secure");
        utility_in(environment, endpoint, state, retries(0)).await
    };
    let utility = open(false).await;
    let source = scene.source(SMALL);
    let upload = utility.upload(BUCKET, "key", source).await.unwrap();
    let reason = Some(Reason::Parked(ParkReason::Tls));
    until("it waits", || upload.transfer().reason == reason).await;
    assert_eq!(upload.state(), State::Waiting);
    assert_eq!(
        scene.server.history().requests().len(),
        0,
        "never in plain text"
    );
    let id = upload.id();
    drop(upload);
    utility.close().await.unwrap();

    let utility = open(true).await;
    let upload = utility.observe(id).await.unwrap();
    let end = upload.finished().await.unwrap();
    assert_eq!(end.state, State::Completed);
    assert_eq!(scene.object(), crate::content(SMALL));
}
