//! What an object is can be asked for without its bytes.

use towline::Error;

use crate::{BUCKET, Scene, content};

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_told_as_it_was_stored_in_one_piece_and_in_parts() {
    let scene = Scene::start().await;
    for (key, size, parts) in [("small", 1000, None), ("large", 6 << 20, Some(2))] {
        let path = scene.file(key, &content(size));
        let upload = scene.utility.upload(BUCKET, key, &path);
        let upload = upload
            .content_type("text/plain")
            .metadata("who", "me")
            .tag("k", "v")
            .storage_class("STANDARD_IA");
        let done = upload.await.unwrap().finished().await.unwrap();
        let head = scene.utility.head(BUCKET, key).await.unwrap();
        assert_eq!(head.size, Some(size as u64));
        assert_eq!(head.etag, done.etag);
        assert_eq!(head.content_type.as_deref(), Some("text/plain"));
        assert_eq!(head.metadata["who"], "me");
        assert_eq!(head.storage_class.as_deref(), Some("STANDARD_IA"));
        assert_eq!(head.parts, parts);
        assert_eq!(head.checksums.len(), 1);
        assert!(head.last_modified.is_some());
    }
}

#[tokio::test]
async fn an_object_that_is_not_there_is_not_found() {
    let scene = Scene::start().await;
    let error = scene.utility.head(BUCKET, "nothing").await.unwrap_err();
    let Error::Request(error) = error else {
        panic!("{error:?}")
    };
    assert!(error.is_not_found());
    assert_eq!(error.code(), "Http404");
}
