//! Whether a bucket's lifecycle would abort what is paused for long.

use towline::{Credentials, StaticCredentials, TransferUtility};

use crate::canned::Canned;
use crate::{BUCKET, Scene, to};

async fn utility(server: &Canned) -> (TransferUtility, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let keys = StaticCredentials(Credentials::new("test", "testsecret"));
    let open = TransferUtility::builder()
        .state_dir(dir.path().join("state"))
        .connection(to(server.endpoint.clone()))
        .credentials("test", keys)
        .open();
    (open.await.unwrap(), dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_would_abort_paused_uploads_is_told() {
    let server = Canned::start(
        200,
        "<LifecycleConfiguration>\
         <Rule><ID>off</ID><Prefix></Prefix><Status>Disabled</Status>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>\
         </AbortIncompleteMultipartUpload></Rule>\
         <Rule><ID>tidy</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation>\
         </AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
    )
    .await;
    let (utility, _dir) = utility(&server).await;
    let check = utility.check_lifecycle("bucket").await.unwrap();
    assert_eq!(check.rules.len(), 1);
    assert_eq!(check.rules[0].id.as_deref(), Some("tidy"));
    assert_eq!(check.days_for("tmp/x"), Some(3));
    assert_eq!(check.days_for("photos/x"), None);
    assert!(check.recommended_json().is_some());
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("GET /bucket/?lifecycle= "),
        "{}",
        asked[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_a_lifecycle_has_no_rules_and_a_refusal_is_told() {
    let none = "<Error><Code>NoSuchLifecycleConfiguration</Code><Message>none</Message></Error>";
    let server = Canned::start(404, none).await;
    let (bare, _dir) = utility(&server).await;
    let check = bare.check_lifecycle("bucket").await.unwrap();
    assert!(check.rules.is_empty());
    assert!(
        check
            .recommended_xml()
            .unwrap()
            .contains("<DaysAfterInitiation>7<")
    );

    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let server = Canned::start(403, denied).await;
    let (utility, _dir) = utility(&server).await;
    let error = utility.check_lifecycle("bucket").await.unwrap_err();
    assert_eq!(error.code(), "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_no_bucket_without_rules() {
    let scene = Scene::start().await;
    let none = scene.utility.check_lifecycle(BUCKET).await.unwrap();
    assert!(none.rules.is_empty());
    let error = scene.utility.check_lifecycle("no-such-bucket").await;
    assert_eq!(error.unwrap_err().code(), "NoSuchBucket");
}
