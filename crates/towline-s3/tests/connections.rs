//! What a connection means: profiles, environment, registered names.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::fs;
use std::sync::Arc;

use towline_core::{
    Addressing, ConnectError, Connection, ConnectionSource, DeleteObject, S3, S3ErrorKind,
};
use towline_s3::{
    Credentials, CredentialsError, CredentialsFn, Environment, S3Connector, StaticCredentials,
    check_bucket,
};

fn deletion(bucket: &str, key: &str) -> DeleteObject {
    DeleteObject {
        bucket: bucket.into(),
        key: key.into(),
        ..DeleteObject::default()
    }
}

struct Home(std::path::PathBuf);

impl Home {
    fn with(config: &str, credentials: &str) -> Self {
        let name = std::thread::current()
            .name()
            .unwrap_or("home")
            .replace(':', "-");
        let path = std::env::temp_dir().join(format!("towline-s3-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join(".aws")).unwrap();
        fs::write(path.join(".aws/config"), config).unwrap();
        fs::write(path.join(".aws/credentials"), credentials).unwrap();
        Self(path)
    }

    fn connector(&self, vars: &[(&str, &str)]) -> S3Connector {
        let env = Environment::new(vars.iter().copied(), Some(self.0.clone()));
        S3Connector::with_environment(env)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn profile(name: &str) -> Connection {
    Connection {
        source: ConnectionSource::Profile(name.into()),
        ..Connection::default()
    }
}

const CONFIG: &str = "[default]\nregion = eu-west-1\n\
    [profile dev]\nregion = eu-central-1\nservices = local\ns3 =\n  addressing_style = path\n\
    [services local]\ns3 =\n  endpoint_url = http://localhost:9000\n\
    [profile sso]\nsso_session = corp\n[profile role]\nrole_arn = arn:x\nsource_profile = default\n";
const KEYS: &str = "[default]\naws_access_key_id = D\naws_secret_access_key = canary\n\
    [dev]\naws_access_key_id = E\naws_secret_access_key = canary\n[half]\naws_access_key_id = H\n";

#[test]
fn what_a_profile_says_is_settled_when_a_transfer_is_submitted() {
    let home = Home::with(CONFIG, KEYS);
    let settled = home.connector(&[]).resolve(profile("dev")).unwrap();
    assert_eq!(settled.endpoint.as_deref(), Some("http://localhost:9000"));
    assert_eq!(settled.region.as_deref(), Some("eu-central-1"));
    assert_eq!(settled.addressing, Addressing::Path);
    let default = home.connector(&[]).resolve(Connection::default()).unwrap();
    assert_eq!(default.source, ConnectionSource::Environment);
    assert_eq!(
        (default.endpoint, default.region.as_deref()),
        (None, Some("eu-west-1"))
    );
}

#[test]
fn the_environment_goes_before_the_profile_and_the_caller_before_both() {
    let home = Home::with(CONFIG, KEYS);
    let vars = [
        ("AWS_PROFILE", "dev"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_ENDPOINT_URL", "http://all:1"),
        ("AWS_ENDPOINT_URL_S3", "http://s3:1"),
    ];
    let connector = home.connector(&vars);
    let settled = connector.resolve(Connection::default()).unwrap();
    assert_eq!(settled.source, ConnectionSource::Profile("dev".into()));
    assert_eq!(settled.endpoint.as_deref(), Some("http://s3:1"));
    assert_eq!(settled.region.as_deref(), Some("us-west-2"));
    let asked = Connection {
        endpoint: Some("http://mine:1".into()),
        region: Some("r-1".into()),
        ..Connection::default()
    };
    let settled = connector.resolve(asked).unwrap();
    assert_eq!(settled.endpoint.as_deref(), Some("http://mine:1"));
    assert_eq!(settled.region.as_deref(), Some("r-1"));
}

#[test]
fn connections_that_cannot_work_are_refused_by_name() {
    let home = Home::with(CONFIG, KEYS);
    let connector = home.connector(&[]);
    let error = connector.client(&profile("nope")).unwrap_err();
    assert!(matches!(&error, ConnectError::UnknownProfile { files, .. } if files.len() == 2));
    let registered = Connection {
        source: ConnectionSource::Registered("app".into()),
        ..Connection::default()
    };
    let error = connector.client(&registered).unwrap_err();
    assert!(matches!(error, ConnectError::NotRegistered { .. }));
    let endpoint = Connection {
        endpoint: Some("nonsense".into()),
        ..Connection::default()
    };
    let error = connector.resolve(endpoint).unwrap_err();
    assert!(matches!(error, ConnectError::BadEndpoint { .. }));
    let region = Connection {
        region: Some("evil.test/".into()),
        ..Connection::default()
    };
    assert!(connector.client(&region).is_err());
    let fast = Connection {
        accelerate: true,
        ..Connection::default()
    };
    assert!(matches!(
        check_bucket(&fast, "a.b.c"),
        Err(ConnectError::BucketUnfit { .. })
    ));
}

#[test]
fn a_bundle_that_cannot_be_used_is_told_at_once_to_who_needs_it_and_to_nobody_else() {
    let home = Home::with(CONFIG, KEYS);
    let bundle = ("AWS_CA_BUNDLE", "/nonexistent.pem");
    let over_http = Connection {
        endpoint: Some("http://127.0.0.1:9000".into()),
        ..Connection::default()
    };
    let plain = home.connector(&[bundle]);
    let error = plain.client(&Connection::default()).unwrap_err();
    assert!(matches!(error, ConnectError::BadFile { .. }), "{error}");
    assert!(plain.client(&over_http).is_ok());
    let proxied = home.connector(&[bundle, ("http_proxy", "https://proxy.test")]);
    let error = proxied.client(&over_http).unwrap_err();
    assert!(matches!(error, ConnectError::BadFile { .. }), "{error}");
}

#[test]
fn equal_connections_share_a_client() {
    let connector = S3Connector::with_environment(Environment::default());
    let one = connector.client(&Connection::default()).unwrap();
    let two = connector.client(&Connection::default()).unwrap();
    let other = Connection {
        region: Some("eu-west-1".into()),
        ..Connection::default()
    };
    assert!(Arc::ptr_eq(&one, &two));
    assert!(!Arc::ptr_eq(&one, &connector.client(&other).unwrap()));
}

#[tokio::test]
async fn a_profile_without_usable_keys_says_what_it_needs() {
    let home = Home::with(CONFIG, KEYS);
    let connector = home.connector(&[]);
    for (name, words) in [
        ("sso", "sso_session"),
        ("role", "role_arn"),
        ("half", "aws_secret_access_key"),
    ] {
        let client = connector.client(&profile(name)).unwrap();
        let error = client
            .delete_object(deletion("bucket", "key"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, S3ErrorKind::Credentials);
        assert!(error.message.contains(words), "{error}");
    }
    let bare = S3Connector::with_environment(Environment::default());
    let client = bare.client(&Connection::default()).unwrap();
    let error = client
        .delete_object(deletion("bucket", "key"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Credentials);
    assert!(error.message.contains("AWS_ACCESS_KEY_ID"), "{error}");
}

#[tokio::test]
async fn an_apps_callback_is_asked_once_and_again_after_a_refresh() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let connector = S3Connector::with_environment(Environment::default());
    let provider = CredentialsFn(|| async {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Ok::<_, CredentialsError>(Credentials::new("A", "b"))
    });
    connector.register("app", Arc::new(provider));
    let client = connector
        .client(&Connection {
            source: ConnectionSource::Registered("app".into()),
            endpoint: Some("http://127.0.0.1:1".into()),
            ..Connection::default()
        })
        .unwrap();
    for _ in 0..3 {
        client
            .delete_object(deletion("bucket", "key"))
            .await
            .unwrap_err();
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    client.refresh_credentials();
    client
        .delete_object(deletion("bucket", "key"))
        .await
        .unwrap_err();
    assert_eq!(ASKED.load(Ordering::Relaxed), 2);
    connector.register(
        "app",
        Arc::new(StaticCredentials(Credentials::new("A", "c"))),
    );
    client
        .delete_object(deletion("bucket", "key"))
        .await
        .unwrap_err();
    assert_eq!(ASKED.load(Ordering::Relaxed), 2);
}
