//! Credentials that are written nowhere: the rest of AWS's chain, each way asked
//! of a service on loopback that speaks as AWS's does.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use common::{Scene, json_lines, stderr};

/// Keys that the server takes, as most of AWS's services give them.
const GIVEN: &str = r#"{"Code":"Success","Version":1,"AccessKeyId":"test","SecretAccessKey":"testsecret",
    "Token":"the-token","SessionToken":"the-token","Expiration":"2099-01-01T00:00:00Z"}"#;

/// A service that answers by method and path, and notes what it was asked.
struct Service {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let request = read(&stream);
                let said = match answer(&request) {
                    Some(body) => format!(
                        "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\n\
                         content-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    ),
                    None => {
                        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                            .into()
                    }
                };
                notes.lock().unwrap().push(request);
                (&stream).write_all(said.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    /// Whether a request held all of this.
    fn was_asked(&self, words: &[&str]) -> bool {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .any(|request| words.iter().all(|word| request.contains(word)))
    }
}

/// A request's head and body as text.
fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + "\n" + &String::from_utf8(body).unwrap()
}

/// STS, which answers in XML.
fn sts(action: &'static str) -> Service {
    Service::start(move |request| {
        request.contains(&format!("Action={action}")).then(|| {
            format!(
                r#"<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
                <Credentials><AccessKeyId>test</AccessKeyId><SecretAccessKey>testsecret</SecretAccessKey>
                <SessionToken>the-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
                <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>r:s</AssumedRoleId></AssumedRoleUser>
                </{action}Result></{action}Response>"#
            )
        })
    })
}

/// An upload by somebody who has no keys in the environment.
fn upload(scene: &Scene) -> Command {
    let source = scene.file("source", 1000, 7);
    let mut command = scene.towline(&["upload", "--json"]);
    command
        .arg(source)
        .arg("s3://bucket/key")
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_S3", &scene.endpoint)
        .env("HOME", scene.dir.path());
    command
}

fn arrived(scene: &Scene, output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
    assert_eq!(json_lines(output).last().unwrap()["state"], "completed");
    let stored = scene.server.object_bytes(common::BUCKET, "key").unwrap();
    assert!(stored == common::bytes(1000, 7));
}

fn write_config(scene: &Scene, text: &str) {
    let dir = scene.path(".aws");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_named_in_a_profile_gives_credentials() {
    let scene = Scene::start().await;
    let script = scene.path("keys.sh");
    std::fs::write(&script, format!("#!/bin/sh\ncat <<'END'\n{GIVEN}\nEND\n")).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    let process = format!("credential_process = {}", script.display());
    write_config(&scene, &format!("[profile work]\n{process}\n"));
    let output = upload(&scene)
        .env("AWS_PROFILE", "work")
        .env("PATH", "/usr/bin:/bin")
        .output();
    arrived(&scene, &output.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_with_the_keys_of_its_source() {
    let scene = Scene::start().await;
    let sts = sts("AssumeRole");
    write_config(
        &scene,
        "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = base\n\
         [profile work]\nrole_arn = arn:aws:iam::123456789012:role/mover\nsource_profile = base\n",
    );
    let output = upload(&scene)
        .args(["--profile", "work"])
        .env("AWS_ENDPOINT_URL_STS", &sts.url)
        .output();
    arrived(&scene, &output.unwrap());
    assert!(sts.was_asked(&["Credential=BASE/", "role%2Fmover"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_is_exchanged_for_credentials() {
    let scene = Scene::start().await;
    let sts = sts("AssumeRoleWithWebIdentity");
    let token = scene.path("token");
    std::fs::write(&token, "a.jwt").unwrap();
    let output = upload(&scene)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ENDPOINT_URL_STS", &sts.url)
        .output();
    arrived(&scene, &output.unwrap());
    assert!(sts.was_asked(&["WebIdentityToken=a.jwt"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_gives_credentials() {
    let scene = Scene::start().await;
    let container =
        Service::start(|request| request.starts_with("GET /keys ").then(|| GIVEN.into()));
    let output = upload(&scene)
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/keys", container.url),
        )
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "who-i-am")
        .output();
    arrived(&scene, &output.unwrap());
    assert!(container.was_asked(&["who-i-am"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ec2_instance_gives_credentials() {
    let scene = Scene::start().await;
    let roles = "/latest/meta-data/iam/security-credentials/";
    let ec2 = Service::start(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        match path.strip_prefix(roles) {
            Some("") => Some("mover".into()),
            Some("mover") => Some(GIVEN.into()),
            _ if path == "/latest/api/token" => Some("a-session".into()),
            _ => None,
        }
    });
    let output = upload(&scene)
        .env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &ec2.url)
        .output();
    arrived(&scene, &output.unwrap());
    assert!(ec2.was_asked(&["security-credentials/mover", "a-session"]));
}

/// Where the AWS CLI leaves what `aws sso login` gave: below the SHA-1 of the
/// session's name, here `corp`.
const CACHED: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

fn log_in(home: &Path) {
    let path = home.join(CACHED);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let token =
        r#"{"accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z","region":"us-east-1"}"#;
    std::fs::write(path, token).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_a_transfer_waits_for_aws_sso_login_and_goes_on_after_it() {
    let scene = Scene::start().await;
    let sso = Service::start(|request| {
        request
            .starts_with("GET /federation/credentials?")
            .then(|| {
                r#"{"roleCredentials":{"accessKeyId":"test","secretAccessKey":"testsecret",
                "sessionToken":"the-token","expiration":4070908800000}}"#
                    .into()
            })
    });
    write_config(
        &scene,
        "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n\
         [profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = mover\n",
    );
    let mut waits = upload(&scene);
    waits
        .args(["--profile", "work", "--wait"])
        .env("AWS_ENDPOINT_URL_SSO", &sso.url);
    let waits = waits.spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while json_lines(&scene.run(&["list", "--json"]))
        .first()
        .is_none_or(|transfer| transfer["reason"] != "credentials")
    {
        assert!(
            std::time::Instant::now() < deadline,
            "it never waits for credentials"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    log_in(scene.dir.path());
    arrived(&scene, &waits.wait_with_output().unwrap());
    assert!(sso.was_asked(&["role_name=mover", "sso-token"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_gives_credentials_it_is_said_where_they_were_looked_for() {
    let scene = Scene::start().await;
    let output = upload(&scene)
        .args(["--connect-timeout", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for place in [
        "AWS_ACCESS_KEY_ID",
        ".aws/config",
        "web identity, container, EC2",
    ] {
        assert!(said.contains(place), "{said}");
    }
    assert!(scene.server.history().requests().is_empty());
}
