//! This machine's own faults: FAILURES.md, section 5. A test names its row.
//!
//! Those that mount a file system need root (or the right to mount); elsewhere
//! they say `SKIPPED` and why.

#![allow(clippy::unwrap_used)] // in tests it is the assertion
#![cfg(target_os = "linux")]

mod descriptors;
mod directories;
mod disk_full;
mod growing;
mod io_errors;
mod source_changes;
mod special_files;
mod state_store;
mod whole;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use towline::{
    Builder, Config, Connection, ConnectionSource, Credentials, State, StaticCredentials, Transfer,
    TransferObserver, TransferUtility,
};
use towline_testserver::{Operation, Rule, Script, TestServer};

const BUCKET: &str = "bucket";
const MIB: u64 = 1 << 20;

/// A server, a directory, and a utility on a state of its own.
struct Scene {
    server: TestServer,
    dir: tempfile::TempDir,
    utility: TransferUtility,
}

impl Scene {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        Self::with_state(dir, &state).await
    }

    async fn with_state(dir: tempfile::TempDir, state: &Path) -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        let utility = open(&server, state).await;
        Self {
            server,
            dir,
            utility,
        }
    }

    /// Closes the utility and opens another one on the same state.
    async fn reopen(&mut self) {
        self.utility.close().await.unwrap();
        self.utility = open(&self.server, &self.path("state")).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn object(&self, key: &str, bytes: &[u8]) {
        let put = self.server.put_object(BUCKET, key, bytes.to_vec());
        put.await.unwrap();
    }

    async fn upload(&self, key: &str, path: &Path) -> TransferObserver {
        self.utility.upload(BUCKET, key, path).await.unwrap()
    }

    async fn download(&self, key: &str, path: &Path) -> TransferObserver {
        self.utility.download(BUCKET, key, path).await.unwrap()
    }

    fn play(&self, rule: Rule) {
        let script = Script::new().rule(rule);
        self.server.faults().play(script).unwrap();
    }

    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.server.object_bytes(BUCKET, key).ok()
    }

    /// Bytes of objects that went out.
    fn fetched(&self) -> u64 {
        let requests = self.server.history().requests();
        let gets = requests
            .iter()
            .filter(|r| r.operation == Operation::GetObject);
        gets.map(|request| request.bytes_sent).sum()
    }
}

async fn open(server: &TestServer, state: &Path) -> TransferUtility {
    builder(server.endpoint(), state).open().await.unwrap()
}

/// Looks often at what is parked, so that the tests are short.
fn builder(endpoint: String, state: &Path) -> Builder {
    let mut config = Config::default();
    config.service_check_interval = Duration::from_millis(500);
    TransferUtility::builder()
        .state_dir(state)
        .config(config)
        .connection(Connection {
            source: ConnectionSource::Registered("test".into()),
            endpoint: Some(endpoint),
            region: Some("us-east-1".into()),
            ..Connection::default()
        })
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
}

/// Waits for something that has to come, and fails when it does not.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until a transfer is parked for this, and gives it as it is then.
async fn parked(observer: &TransferObserver, reason: &str) -> Transfer {
    until(&format!("it waits: {reason}"), || {
        let now = observer.transfer();
        assert!(!now.state.is_final(), "{now:?}");
        shown_reason(&now) == reason
    })
    .await;
    observer.transfer()
}

/// As it is spelled in JSON.
fn shown_reason(transfer: &Transfer) -> String {
    let reason = serde_json::to_value(transfer.reason).unwrap();
    reason.as_str().unwrap_or_default().to_owned()
}

async fn completed(observer: &TransferObserver) -> Transfer {
    let ended = observer.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{:?}", ended.error);
    ended
}

/// Gives the code and the words of the error.
async fn failed(observer: &TransferObserver) -> (String, String) {
    let ended = observer.finished().await.unwrap();
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    let error = ended.error.unwrap();
    (error.code, error.message)
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Bytes that differ from place to place.
fn content(len: u64) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 247) as u8 ^ (i >> 15) as u8)
        .collect()
}
