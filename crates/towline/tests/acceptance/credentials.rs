//! Credentials as apps have them: given late, given anew, by a callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use towline::{
    Connection, Credentials, CredentialsFn, ParkReason, Reason, State, StaticCredentials, Transfer,
    TransferObserver, TransferUtility,
};
use towline_testserver::TestServer;

use crate::{BUCKET, completed, to};

const PARKED: Option<Reason> = Some(Reason::Parked(ParkReason::Credentials));

async fn server() -> (TestServer, tempfile::TempDir) {
    let server = TestServer::builder()
        .bucket(BUCKET)
        .credentials("test", "testsecret")
        .start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"content").unwrap();
    (server.await.unwrap(), dir)
}

async fn parked(observer: &TransferObserver, utility: &TransferUtility) -> Transfer {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = utility.get(observer.id()).await.unwrap();
        if now.reason == PARKED {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_lack_credentials_go_on_as_soon_as_new_ones_are_given() {
    let (server, dir) = server().await;
    let utility = TransferUtility::builder()
        .state_dir(dir.path().join("state"))
        .connection(to(server.endpoint()))
        .credentials("test", StaticCredentials(Credentials::new("test", "old")))
        .credentials("other", StaticCredentials(Credentials::new("test", "old")))
        .open()
        .await
        .unwrap();
    let file = dir.path().join("file");
    let observer = utility.upload(BUCKET, "key", &file).await.unwrap();
    let other = Connection {
        source: towline::ConnectionSource::Registered("other".into()),
        ..to(server.endpoint())
    };
    let other = utility.upload(BUCKET, "other", &file).connection(other);
    let other = other.await.unwrap();
    assert_eq!(parked(&observer, &utility).await.state, State::Waiting);
    parked(&other, &utility).await;

    let given = Instant::now();
    let keys = Credentials::new("test", "testsecret");
    let went_on = utility.set_credentials("test", keys).await.unwrap();
    assert_eq!(went_on, [observer.id()]);
    completed(observer.finished().await.unwrap());
    assert!(given.elapsed() < Duration::from_secs(20));
    assert_eq!(parked(&other, &utility).await.state, State::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_gives_credentials_and_is_asked_again_when_they_are_refused() {
    let (server, dir) = server().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let callback = CredentialsFn(move || {
        let time = count.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::task::yield_now().await;
            let secret = if time == 0 { "expired" } else { "testsecret" };
            Ok(Credentials::new("test", secret))
        }
    });
    let utility = TransferUtility::builder()
        .state_dir(dir.path().join("state"))
        .connection(to(server.endpoint()))
        .credentials("test", callback)
        .open()
        .await
        .unwrap();
    let file = dir.path().join("file");
    let observer = utility.upload(BUCKET, "key", &file).await.unwrap();
    completed(observer.finished().await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // A request beside the transfers does the same.
    utility
        .set_credentials("test", Credentials::new("test", "old"))
        .await
        .unwrap();
    let error = utility.list(BUCKET).await.unwrap_err();
    assert_eq!(error.code(), "SignatureDoesNotMatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_of_an_earlier_process_waits_for_its_credentials_and_goes_on_with_them() {
    let (server, dir) = server().await;
    let open = |keys: Option<Credentials>| {
        let builder = TransferUtility::builder()
            .state_dir(dir.path().join("state"))
            .connection(to(server.endpoint()));
        match keys {
            Some(keys) => builder.credentials("test", StaticCredentials(keys)).open(),
            None => builder.open(),
        }
    };
    let utility = open(Some(Credentials::new("test", "old"))).await.unwrap();
    let file = dir.path().join("file");
    let observer = utility.upload(BUCKET, "key", &file).await.unwrap();
    parked(&observer, &utility).await;
    utility.close().await.unwrap();

    let utility = open(None).await.unwrap(); // the user has not signed in yet
    let observer = utility.observe(observer.id()).await.unwrap();
    parked(&observer, &utility).await;
    let keys = StaticCredentials(Credentials::new("test", "testsecret"));
    utility.register_credentials("test", keys).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), observer.finished());
    completed(end.await.unwrap().unwrap());
}
