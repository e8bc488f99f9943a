//! Utilities by name do not get into each other's way. T71.

use std::path::PathBuf;

use towline::{Builder, Credentials, State, StaticCredentials, StoreError, TransferUtility};
use towline_testserver::{Operation, TestServer};

use crate::{BUCKET, completed, content, to, until};

fn builder(server: &TestServer, state: PathBuf) -> Builder {
    let keys = StaticCredentials(Credentials::new("test", "testsecret"));
    TransferUtility::builder()
        .state_dir(state)
        .connection(to(server.endpoint()))
        .credentials("test", keys)
}

async fn server() -> (TestServer, tempfile::TempDir) {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    (server, tempfile::tempdir().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn t71_removing_one_named_utility_stops_its_transfers_and_no_other() {
    let (server, dir) = server().await;
    let open = |name: &'static str| {
        TransferUtility::register(name, builder(&server, dir.path().join(name)))
    };
    let photos = open("t71-photos").await.unwrap();
    let music = open("t71-music").await.unwrap();
    assert!(TransferUtility::named("t71-photos").is_some());
    assert!(TransferUtility::named("t71-films").is_none());

    let file = dir.path().join("file");
    std::fs::write(&file, content(20 << 20)).unwrap();
    server.faults().bandwidth(6 << 20);
    let photo = photos.upload(BUCKET, "photo", &file).await.unwrap();
    let song = music.upload(BUCKET, "song", &file).await.unwrap();
    // Each has its own numbers and its own transfers.
    assert_eq!(photo.id(), song.id());
    let parts_of = |key: &'static str| {
        let history = server.history();
        let part = Operation::UploadPart;
        history.count_where(|it| it.operation == part && it.key.as_deref() == Some(key))
    };
    until("both run", || parts_of("photo") > 0 && parts_of("song") > 0).await;

    assert!(TransferUtility::unregister("t71-photos").await.unwrap());
    assert!(TransferUtility::named("t71-photos").is_none());
    let error = photos.upload(BUCKET, "late", &file).await.unwrap_err();
    assert_eq!(error.code(), "Closed");
    server.faults().bandwidth(0);
    completed(song.finished().await.unwrap());
    assert!(server.object_bytes(BUCKET, "photo").is_err());

    // Its store is free, and another one goes on where it was.
    let again = open("t71-photos").await.unwrap();
    let photo = again.observe(photo.id()).await.unwrap();
    assert_eq!(completed(photo.finished().await.unwrap()).generation, 1);
    assert!(!TransferUtility::unregister("t71-films").await.unwrap());
    assert!(TransferUtility::unregister("t71-photos").await.unwrap());
    assert!(TransferUtility::unregister("t71-music").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn t71_a_name_and_a_state_directory_are_one_utilitys_only() {
    let (server, dir) = server().await;
    let state = dir.path().join("state");
    let first = TransferUtility::register("t71-first", builder(&server, state.clone())).await;
    let first = first.unwrap();
    let other = builder(&server, dir.path().join("other"));
    let error = TransferUtility::register("t71-first", other).await;
    assert_eq!(error.unwrap_err().code(), "NameTaken");
    let same = builder(&server, state);
    let error = TransferUtility::register("t71-second", same).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "StoreOwned");
    let owned =
        |error: &towline::Error| matches!(error, towline::Error::Store(StoreError::Owned { .. }));
    assert!(owned(&error), "{error:?}");
    // The name of one that did not open is free.
    assert!(TransferUtility::named("t71-second").is_none());
    let free = builder(&server, dir.path().join("second"));
    TransferUtility::register("t71-second", free).await.unwrap();

    let path = dir.path().join("file");
    std::fs::write(&path, b"x").unwrap();
    let end = first.upload(BUCKET, "x", &path).await.unwrap();
    assert_eq!(end.finished().await.unwrap().state, State::Completed);
    for name in ["t71-first", "t71-second"] {
        assert!(TransferUtility::unregister(name).await.unwrap());
    }
}
