//! Credentials of an identity pool, from a server that stands in for Cognito.

#![cfg(feature = "cognito")]
#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use towline_s3::{CognitoIdentity, CredentialsError, CredentialsProvider, Environment, Secret};

const POOL: &str = "eu-west-1:11111111-2222-3333-4444-555555555555";

struct Cognito {
    endpoint: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Cognito {
    /// Answers with these, one after the other; then it closes connections.
    async fn start(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let keep = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
                assert!(head.contains("content-type: application/x-amz-json-1.1\r\n"));
                assert!(!head.contains("authorization"), "{head}");
                let value = |name: &str| {
                    let line = head.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap().trim().to_owned()
                };
                let mut body = vec![0; value("content-length:").parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                let asked = (
                    value("x-amz-target:"),
                    serde_json::from_slice(&body).unwrap(),
                );
                keep.lock().unwrap().push(asked);
                let Some((status, answer)) = answers.pop_front() else {
                    continue;
                };
                let answer = answer.to_string();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { endpoint, asked }
    }

    fn provider(&self) -> CognitoIdentity {
        CognitoIdentity::new(POOL, "eu-west-1")
            .unwrap()
            .environment(Environment::default())
            .endpoint(&self.endpoint)
    }

    fn operations(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let name = |target: &String| target.rsplit('.').next().unwrap().to_owned();
        asked.iter().map(|(target, _)| name(target)).collect()
    }
}

fn id(id: &str) -> (u16, Value) {
    (200, json!({ "IdentityId": id }))
}

fn keys(key: &str, identity: &str) -> (u16, Value) {
    let ends = SystemTime::now() + Duration::from_secs(3600);
    let ends = ends.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let keys = json!({
        "AccessKeyId": key, "SecretKey": "canary-secret", "SessionToken": "canary-token",
        "Expiration": ends,
    });
    (200, json!({ "IdentityId": identity, "Credentials": keys }))
}

fn error(code: &str) -> (u16, Value) {
    let kind = format!("com.amazonaws.cognito#{code}");
    (400, json!({ "__type": kind, "message": "said so" }))
}

#[tokio::test]
async fn a_guest_gets_credentials_and_stays_the_same_guest() {
    let server = Cognito::start([id("me"), keys("AKID1", "me"), keys("AKID2", "me")]).await;
    let provider = server.provider();
    assert_eq!(provider.identity_id(), None);
    let first = provider.credentials().await.unwrap();
    assert_eq!(first.access_key_id(), "AKID1");
    assert_eq!(provider.identity_id().as_deref(), Some("me"));
    let second = provider.clone().credentials().await.unwrap();
    assert_eq!(second.access_key_id(), "AKID2");
    assert_eq!(
        server.operations(),
        [
            "getid",
            "getcredentialsforidentity",
            "getcredentialsforidentity"
        ]
    );
    let asked = server.asked.lock().unwrap();
    assert_eq!(asked[0].1, json!({ "IdentityPoolId": POOL, "Logins": {} }));
    assert_eq!(asked[1].1, json!({ "IdentityId": "me", "Logins": {} }));
    let shown = format!("{provider:?} {first:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_user_who_signed_in_is_told_to_the_pool_each_time() {
    let server = Cognito::start([id("guest"), keys("AKID", "user"), keys("AKID", "user")]).await;
    let provider = server.provider().logins(|| async {
        let token = Secret::new("canary-login");
        Ok(BTreeMap::from([("accounts.google.com".to_owned(), token)]))
    });
    provider.credentials().await.unwrap();
    // The pool knew this user already.
    assert_eq!(provider.identity_id().as_deref(), Some("user"));
    provider.credentials().await.unwrap();
    let asked = server.asked.lock().unwrap();
    for (_, asked) in asked.iter() {
        assert_eq!(asked["Logins"]["accounts.google.com"], "canary-login");
    }
    assert_eq!(asked[2].1["IdentityId"], "user");
}

#[tokio::test]
async fn an_identity_that_the_pool_forgot_is_asked_for_anew() {
    let gone = error("ResourceNotFoundException");
    let server = Cognito::start([gone, id("new"), keys("AKID", "new")]).await;
    let provider = server.provider().with_identity_id("old");
    provider.credentials().await.unwrap();
    assert_eq!(provider.identity_id().as_deref(), Some("new"));
    let gone = error("NotAuthorizedException");
    let server = Cognito::start([gone.clone(), id("new"), gone]).await;
    let provider = server.provider().with_identity_id("old");
    let error = provider.credentials().await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::Service { .. }),
        "{error:?}"
    );
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn a_refusal_names_its_code_and_trouble_is_tried_again() {
    let server = Cognito::start([error("NotAuthorizedException")]).await;
    let refused = server.provider().credentials().await.unwrap_err();
    let said = "Cognito refused GetId: NotAuthorizedException: said so";
    assert_eq!(refused.to_string(), said);

    let trouble = [(500, json!({})), error("TooManyRequestsException")];
    let good = [id("me"), keys("AKID", "me")];
    let server = Cognito::start(trouble.into_iter().chain(good)).await;
    server.provider().credentials().await.unwrap();
    assert_eq!(server.operations().len(), 4);

    let server = Cognito::start([]).await; // it closes every connection
    let error = server.provider().credentials().await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::Provider { .. }),
        "{error:?}"
    );
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_none_shows_nothing_of_itself() {
    let broken = json!({ "Credentials": { "SecretKey": "canary-secret", "SessionToken": 7 } });
    let server = Cognito::start([id("me"), (200, broken)]).await;
    let error = server.provider().credentials().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_pool_that_can_be_none_is_refused() {
    for (pool, region) in [
        ("", "eu-west-1"),
        ("eu-west-1", "eu-west-1"),
        (":x", "eu-west-1"),
        ("eu-west-1:", "eu-west-1"),
        ("eu-west-1:a/b", "eu-west-1"),
        (POOL, "eu-west-1.evil.example/"),
        (POOL, ""),
    ] {
        let error = CognitoIdentity::new(pool, region).unwrap_err();
        assert!(matches!(error, CredentialsError::BadPool { .. }), "{pool}");
    }
    let shown = format!("{:?}", CognitoIdentity::new(POOL, "cn-north-1").unwrap());
    assert!(
        shown.contains("https://cognito-identity.cn-north-1.amazonaws.com.cn"),
        "{shown}"
    );
}
