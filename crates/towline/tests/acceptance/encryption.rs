//! Keys of one's own (SSE-C): only where they are is stored. T57.

use towline::{Config, CustomerKey, KeyReference, Reason, State, TransferUtility};
use towline_core::ParkReason;
use towline_testserver::{Operation, TestServer};

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;
const KEY: [u8; 32] = *b"canary: 32 bytes of a key of own";

async fn open(scene: &Scene, key: Option<[u8; 32]>) -> TransferUtility {
    let mut builder = crate::builder(scene.server.endpoint(), scene.dir.path().join("state"));
    if let Some(key) = key {
        builder = builder.customer_key("mine", CustomerKey::new(key));
    }
    builder.open().await.unwrap()
}

async fn reopen(scene: &mut Scene, key: Option<[u8; 32]>) {
    scene.utility.close().await.unwrap();
    scene.utility = open(scene, key).await;
}

async fn scene() -> Scene {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    let mut scene = Scene::on(server, Config::default()).await;
    reopen(&mut scene, Some(KEY)).await;
    scene
}

fn mine() -> KeyReference {
    KeyReference::Registered("mine".into())
}

async fn waits_for_the_key(scene: &Scene, id: towline::TransferId) {
    let observer = scene.utility.observe(id).await.unwrap();
    crate::until("it waits for its key", || {
        let now = observer.transfer();
        let error = now
            .error
            .is_some_and(|error| error.code == "CustomerKeyMissing");
        error && now.reason == Some(Reason::Parked(ParkReason::Credentials))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_an_upload_with_a_key_of_ones_own_goes_on_once_the_key_is_there_again() {
    let mut scene = scene().await;
    let bytes = content(30 * MIB);
    let source = scene.file("source", &bytes);
    scene.server.faults().bandwidth(8 << 20);
    let request = scene.utility.upload(BUCKET, "key", &source);
    let observer = request.customer_key(mine()).await.unwrap();
    crate::until("parts are recorded", || {
        observer.bytes_transferred() > 10 << 20
    })
    .await;
    observer.pause().await.unwrap();
    let id = observer.id();
    drop(observer);
    scene.server.faults().clear();

    reopen(&mut scene, None).await;
    assert!(scene.utility.resume(id).await.unwrap());
    waits_for_the_key(&scene, id).await;
    scene
        .utility
        .register_customer_key("mine", CustomerKey::new(KEY))
        .await
        .unwrap();
    let observer = scene.utility.observe(id).await.unwrap();
    completed(observer.finished().await.unwrap());

    let request = scene.utility.download_stream(BUCKET, "key");
    let back = request.customer_key(mine()).to_bytes().await.unwrap();
    assert!(back == bytes);
    // Every request that needs the key had it, and the server checks that it is one.
    let history = scene.server.history();
    let parts = history.count(Operation::UploadPart);
    assert!(parts >= 4, "{parts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_a_download_with_a_key_of_ones_own_goes_on_once_the_key_is_there_again() {
    let mut scene = scene().await;
    let bytes = content(40 * MIB);
    let source = scene.file("source", &bytes);
    let request = scene.utility.upload(BUCKET, "key", &source);
    let upload = request.customer_key(mine()).await.unwrap();
    completed(upload.finished().await.unwrap());
    scene.server.faults().bandwidth(8 << 20);
    let target = scene.dir.path().join("target");
    let request = scene.utility.download(BUCKET, "key", &target);
    let observer = request.customer_key(mine()).await.unwrap();
    crate::until("parts are recorded", || {
        observer.bytes_transferred() > 10 << 20
    })
    .await;
    observer.pause().await.unwrap();
    let id = observer.id();
    scene.server.faults().clear();
    reopen(&mut scene, Some(KEY)).await;
    assert!(scene.utility.resume(id).await.unwrap());
    let observer = scene.utility.observe(id).await.unwrap();
    completed(observer.finished().await.unwrap());
    assert!(std::fs::read(&target).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_a_key_that_is_not_there_is_refused_at_the_call() {
    let scene = scene().await;
    let source = scene.file("source", b"bytes");
    for key in [
        KeyReference::Registered("other".into()),
        KeyReference::Environment("TOWLINE_NO_SUCH_KEY".into()),
        KeyReference::File(scene.dir.path().join("no-such")),
        KeyReference::File(source.clone()), // five bytes are no key
    ] {
        let request = scene.utility.upload(BUCKET, "key", &source);
        let refused = request.customer_key(key).await.unwrap_err();
        assert_eq!(refused.code(), "BadOption", "{refused}");
    }
    assert!(scene.server.history().requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_another_key_reads_nothing_and_fails_with_the_code_of_s3() {
    let mut scene = scene().await;
    let source = scene.file("source", b"bytes");
    let request = scene.utility.upload(BUCKET, "key", &source);
    let upload = request.customer_key(mine()).await.unwrap();
    completed(upload.finished().await.unwrap());
    reopen(&mut scene, Some([7; 32])).await;
    let target = scene.dir.path().join("target");
    for request in [
        scene
            .utility
            .download(BUCKET, "key", &target)
            .customer_key(mine()),
        scene.utility.download(BUCKET, "key", &target).restart(true),
    ] {
        let end = request.await.unwrap().finished().await.unwrap();
        assert_eq!(end.state, State::Failed);
        assert!(matches!(end.error.unwrap().http_status, Some(400 | 403)));
        assert!(!target.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_a_key_of_ones_own_is_in_no_file() {
    let scene = scene().await;
    let file = scene.file("key", &KEY);
    let source = scene.file("source", &content(6 * MIB));
    for key in [mine(), KeyReference::File(file.clone())] {
        let request = scene.utility.upload(BUCKET, "key", &source);
        let upload = request.customer_key(key).await.unwrap();
        completed(upload.finished().await.unwrap());
    }
    scene.utility.close().await.unwrap();
    for entry in std::fs::read_dir(scene.dir.path().join("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(6).any(|some| some == b"canary");
            assert!(!found, "{}", path.display());
        }
    }
}
