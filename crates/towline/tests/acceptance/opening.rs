//! A utility is opened from settings files, static keys and named connections.

use towline::{Builder, Connection, Credentials, SettingsError, TransferUtility};
use towline_testserver::TestServer;

use crate::{BUCKET, completed};

async fn server() -> (TestServer, tempfile::TempDir) {
    let server = TestServer::builder()
        .bucket(BUCKET)
        .credentials("test", "testsecret")
        .start();
    (server.await.unwrap(), tempfile::tempdir().unwrap())
}

fn keys() -> Credentials {
    Credentials::new("test", "testsecret")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settings_file_and_static_keys_are_all_it_takes() {
    let (server, dir) = server().await;
    let settings = dir.path().join("towline.toml");
    let text = format!(
        "state_dir = \"state\"\nbucket = \"{BUCKET}\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\n",
        server.endpoint()
    );
    std::fs::write(&settings, text).unwrap();
    std::fs::write(dir.path().join("file"), b"content").unwrap();
    let open = || {
        let builder = Builder::from_toml_file(&settings).unwrap();
        builder.static_credentials(keys()).open()
    };
    let utility = open().await.unwrap();
    assert!(dir.path().join("state/towline.db").exists());
    let file = dir.path().join("file");
    let observer = utility.upload("", "key", &file).await.unwrap();
    completed(observer.finished().await.unwrap());
    utility.close().await.unwrap();
    let utility = open().await.unwrap();
    assert_eq!(utility.list("").await.unwrap().objects.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_choose_among_named_connections() {
    let (server, dir) = server().await;
    let archive = Connection {
        endpoint: Some(server.endpoint()),
        region: Some("us-east-1".into()),
        source: towline::ConnectionSource::Registered("static".into()),
        ..Connection::default()
    };
    let utility = TransferUtility::builder()
        .state_dir(dir.path().join("state"))
        .static_credentials(keys())
        .connection_named("archive", archive)
        .open()
        .await
        .unwrap();
    assert_eq!(utility.connection_named("nothing"), None);
    let archive = utility.connection_named("archive").unwrap();
    let page = utility.list(BUCKET).connection(archive).await.unwrap();
    assert!(page.objects.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_pool_needs_its_feature_unless_other_credentials_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{
        "CredentialsProvider": { "CognitoIdentity": { "Default": {
            "PoolId": "eu-west-1:5a4f", "Region": "eu-west-1" } } },
        "S3TransferUtility": { "Default": { "Bucket": "photos", "Region": "eu-west-1" } }
    }"#;
    let builder = |state: &str| {
        let builder = Builder::from_aws_configuration(text, "Default").unwrap();
        builder.state_dir(dir.path().join(state))
    };
    let opened = builder("pool").open().await;
    if cfg!(feature = "cognito") {
        opened.unwrap().close().await.unwrap();
    } else {
        let error = opened.unwrap_err();
        assert_eq!(error.code(), "NeedsFeature");
        assert!(error.to_string().contains("`cognito`"), "{error}");
        assert!(!dir.path().join("pool").exists());
    }
    let own = builder("own").static_credentials(keys()).open();
    own.await.unwrap().close().await.unwrap();
}

#[test]
fn a_settings_file_that_is_no_good_opens_nothing() {
    let error = Builder::from_aws_configuration("{}", "Default").unwrap_err();
    assert!(matches!(error, SettingsError::NoSection { .. }));
    let text = r#"{"S3TransferUtility": {"Default": {"Bucket": "b"}}}"#;
    let error = Builder::from_aws_configuration(text, "Default").unwrap_err();
    assert_eq!(error.code(), "SettingsNoKey");
}
