//! Options that S3 would refuse are refused at the call, before any effect.

use towline::{
    Encryption, Grantee, KeyReference, Permission, SubmitError, UploadMode, UploadRequest,
};

use crate::{BUCKET, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn t10_options_that_s3_would_refuse_are_refused_at_the_call_and_leave_no_record() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    let upload = || scene.utility.upload(BUCKET, "key", &source);
    let many_tags = (0..11).fold(upload(), |upload, n| upload.tag(format!("t{n}"), ""));
    let refused: Vec<(UploadRequest, &str)> = vec![
        (upload().acl("public"), "ACL"),
        (
            upload()
                .acl("private")
                .grant(Permission::Read, Grantee::Id("me".into())),
            "both",
        ),
        (
            upload().grant(Permission::Read, Grantee::Id("a\"b".into())),
            "grant",
        ),
        (many_tags, "10"),
        (upload().tag("", "x"), "tags"),
        (upload().tag("a&b", "x"), "tags"),
        (upload().tag("k", "v".repeat(257)), "256"),
        (upload().metadata("a b", "x"), "metadata"),
        (upload().metadata("name", "ünï"), "ASCII"),
        (upload().metadata("name", "v".repeat(2048)), "2048"),
        (upload().content_type("text/plain\r\nx: y"), "content type"),
        (upload().website_redirect("elsewhere"), "website redirect"),
        (upload().expected_bucket_owner("me"), "12 digits"),
        (
            upload()
                .encryption(Encryption::S3)
                .customer_key(KeyReference::Environment("PATH".into())),
            "encryption",
        ),
        (upload().header("Authorization", "x"), "signed here"),
        (upload().header("content-length", "5"), "computed here"),
        (
            upload().header("x-amz-checksum-crc32", "x"),
            "checksum algorithm",
        ),
        (upload().header("if-none-match", "*"), "condition"),
        (upload().header("x y", "z"), "name of a header"),
        (upload().header("x-own", "a\nb"), "ASCII"),
        (
            upload().content_type("a/b").header("Content-Type", "c/d"),
            "another value",
        ),
        (upload().parameter("partNumber", "1"), "another one"),
        (upload().parameter("X-Amz-Signature", "1"), "another one"),
    ];
    for (request, word) in refused {
        match request.await.unwrap_err() {
            towline::Error::Submit(error @ SubmitError::BadOption { .. }) => {
                assert_eq!(error.code(), "BadOption");
                assert!(
                    error.to_string().contains(word),
                    "{error} says nothing of {word:?}"
                );
            }
            other => panic!("{other}"),
        }
    }
    let (found, _) = scene.utility.find(towline::Query::default()).await.unwrap();
    assert!(found.is_empty() && scene.server.history().requests().is_empty());
}

/// The guide's own sample sets the algorithm of SSE-C and no key.
#[tokio::test(flavor = "multi_thread")]
async fn an_sse_c_algorithm_without_a_key_is_refused_with_a_pointer_to_sse_s3() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    let request = scene.utility.upload(BUCKET, "key", &source);
    let sample = request.header("x-amz-server-side-encryption-customer-algorithm", "AES256");
    let said = sample.await.unwrap_err().to_string();
    assert!(
        said.contains("x-amz-server-side-encryption: AES256"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_an_option_stands_for_is_that_option_in_both_modes() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    for mode in [UploadMode::Single, UploadMode::Multipart] {
        let request = scene.utility.upload(BUCKET, "key", &source).mode(mode);
        let request = request
            .header("Content-Language", "de")
            .header("x-amz-meta-own", "1")
            .header("x-amz-server-side-encryption", "AES256")
            .header("x-amz-tagging", "a=b")
            .parameter("x-own", "2");
        let end = request
            .restart(true)
            .await
            .unwrap()
            .finished()
            .await
            .unwrap();
        assert!(end.error.is_none(), "{:?}", end.error);
        let requests = scene.server.history().requests();
        let stores = requests.iter().rev().find(|request| {
            use towline_testserver::Operation::{CreateMultipartUpload, PutObject};
            matches!(request.operation, PutObject | CreateMultipartUpload)
        });
        let stores = stores.unwrap();
        for (name, value) in [
            ("content-language", "de"),
            ("x-amz-meta-own", "1"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-tagging", "a=b"),
        ] {
            assert_eq!(stores.header(name), Some(value), "{mode:?}");
        }
    }
}
