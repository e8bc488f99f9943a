//! The behaviours of docs/acceptance.md that the facade shows, against a real
//! S3 protocol server.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod again;
mod at_once;
mod bandwidth;
mod bulk;
mod cancel;
mod canned;
mod changes;
mod composite;
mod content;
mod copy;
mod copy_in_doubt;
mod credentials;
mod doctor;
mod download_options;
mod encryption;
mod group_kill;
mod groups;
mod handles;
mod head;
mod identity;
mod idle_commands;
mod leftovers;
mod lifecycle;
mod limits;
mod listener;
mod many;
mod named;
mod network;
mod objects;
mod opening;
mod other_stores;
mod pause;
mod plain_http;
mod prefix;
mod prefix_copy;
mod presign;
mod progress;
mod queries;
mod random_control;
mod refused_options;
mod remove;
mod retention;
mod seen;
mod sizes;
mod stream_kill;
mod streams;
mod sync;
mod sync_groups;
mod verify;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use towline::{
    Builder, Config, Connection, ConnectionSource, Credentials, State, StaticCredentials, Transfer,
    TransferUtility,
};
use towline_testserver::TestServer;

const BUCKET: &str = "bucket";

/// A server, a directory, and a utility on a state of its own.
struct Scene {
    server: TestServer,
    dir: tempfile::TempDir,
    utility: TransferUtility,
}

impl Scene {
    async fn start() -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(server, Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(server, config).await
    }

    async fn on(server: TestServer, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let utility = open_with(&server, dir.path().join("state"), config).await;
        Self {
            server,
            dir,
            utility,
        }
    }

    /// Closes the utility and opens another one on the same state.
    async fn reopen(&mut self) {
        self.utility.close().await.unwrap();
        self.utility = open(&self.server, self.dir.path().join("state")).await;
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn upload(&self, key: &str, path: &PathBuf) -> Transfer {
        let observer = self.utility.upload(BUCKET, key, path).await.unwrap();
        completed(observer.finished().await.unwrap())
    }

    async fn download(&self, key: &str, name: &str) -> Transfer {
        let path = self.dir.path().join(name);
        let observer = self.utility.download(BUCKET, key, path).await.unwrap();
        completed(observer.finished().await.unwrap())
    }
}

async fn open(server: &TestServer, state: PathBuf) -> TransferUtility {
    open_with(server, state, Config::default()).await
}

async fn open_at(endpoint: String, state: PathBuf) -> TransferUtility {
    builder(endpoint, state).open().await.unwrap()
}

async fn open_with(server: &TestServer, state: PathBuf, config: Config) -> TransferUtility {
    let builder = builder(server.endpoint(), state).config(config);
    builder.open().await.unwrap()
}

/// With the only credentials that the server takes.
fn builder(endpoint: String, state: PathBuf) -> Builder {
    TransferUtility::builder()
        .state_dir(state)
        .connection(to(endpoint))
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
}

fn to(endpoint: String) -> Connection {
    Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        ..Connection::default()
    }
}

/// Waits for something that has to come, and fails when it does not.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The names in a directory.
fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn completed(transfer: Transfer) -> Transfer {
    assert_eq!(transfer.state, State::Completed, "{:?}", transfer.error);
    assert_eq!(Some(transfer.bytes_transferred), transfer.bytes_total);
    transfer
}

fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 247) as u8 ^ (i >> 15) as u8)
        .collect()
}
