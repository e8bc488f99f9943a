//! What S3 and the way to it do on bad days, through the real client and
//! engine: a test per row of the failure catalogue, named after the row.
//! `docs/acceptance.md` lists the rows with their tests.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod complete;
mod create;
mod credentials;
mod heads;
mod listings;
mod parts;
mod patience;
mod portals;
mod puts;
mod reads;
mod redirects;
mod refusals;
mod retries;
mod rights;
mod throttling;
mod tls;
mod trailers;
mod transport;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use towline::{
    Config, Connection, ConnectionSource, Credentials, Environment, State, StaticCredentials,
    Transfer, TransferObserver, TransferUtility,
};
use towline_testserver::{Operation, Request, Rule, Script, TestServer};

const BUCKET: &str = "bucket";
const MIB: usize = 1 << 20;
/// Goes in one PUT.
const SMALL: usize = 100_000;
/// Goes in parts of 5, 5 and 1 MiB.
const LARGE: usize = 11 * MIB;

/// A server, a directory, and a utility on a state of its own. Files go from
/// `source` to the key `key`, and from there to `target`.
struct Scene {
    server: TestServer,
    dir: tempfile::TempDir,
    utility: TransferUtility,
}

impl Scene {
    async fn start() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(server, config).await
    }

    async fn versioned() -> Self {
        let server = TestServer::builder().versioned(BUCKET).start().await;
        Self::on(server.unwrap(), Config::default()).await
    }

    async fn on(server: TestServer, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let utility = utility_at(server.endpoint(), state, config).await;
        Self {
            server,
            dir,
            utility,
        }
    }

    /// With an object of this length to download.
    async fn with_object(len: usize) -> Self {
        let scene = Self::start().await;
        scene.put(&content(len)).await;
        scene
    }

    async fn put(&self, bytes: &[u8]) {
        let put = self.server.put_object(BUCKET, "key", bytes.to_vec());
        put.await.unwrap();
    }

    fn play(&self, rule: Rule) {
        self.play_all([rule]);
    }

    fn play_all(&self, rules: impl IntoIterator<Item = Rule>) {
        let script = rules.into_iter().fold(Script::new(), Script::rule);
        self.server.faults().play(script).unwrap();
    }

    fn source(&self, len: usize) -> PathBuf {
        let path = self.dir.path().join("source");
        std::fs::write(&path, content(len)).unwrap();
        path
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    async fn begin_upload(&self, len: usize) -> TransferObserver {
        let path = self.source(len);
        self.utility.upload(BUCKET, "key", path).await.unwrap()
    }

    async fn begin_download(&self) -> TransferObserver {
        let request = self.utility.download(BUCKET, "key", self.target());
        request.await.unwrap()
    }

    async fn upload(&self, len: usize) -> Transfer {
        let observer = self.begin_upload(len).await;
        observer.finished().await.unwrap()
    }

    async fn upload_if_absent(&self, len: usize) -> Transfer {
        let path = self.source(len);
        let request = self.utility.upload(BUCKET, "key", path).if_absent(true);
        request.await.unwrap().finished().await.unwrap()
    }

    async fn download(&self) -> Transfer {
        let observer = self.begin_download().await;
        observer.finished().await.unwrap()
    }

    /// Goes on with one that failed, until it ends again.
    async fn retry(&self, failed: &Transfer) -> Transfer {
        assert!(self.utility.retry(failed.id).await.unwrap());
        let observer = self.utility.observe(failed.id).await.unwrap();
        observer.finished().await.unwrap()
    }

    /// Waits until the server has taken two parts.
    async fn two_parts_landed(&self) {
        let taken = |request: &Request| {
            request.operation == Operation::UploadPart && request.status == Some(200)
        };
        let history = self.server.history();
        until("two parts landed", || history.count_where(taken) >= 2).await;
    }

    /// The first two of three parts went once.
    #[track_caller]
    fn two_parts_went_once(&self) {
        for part in [1, 2] {
            assert_eq!(self.server.history().times_part_sent("key", part), 1);
        }
    }

    /// How often the server was asked this.
    fn count(&self, operation: Operation) -> usize {
        self.server.history().count(operation)
    }

    /// How often something was done to a request.
    fn faults(&self) -> usize {
        let history = self.server.history();
        history.count_where(|request| request.fault.is_some())
    }

    fn object(&self) -> Vec<u8> {
        self.server.object_bytes(BUCKET, "key").unwrap()
    }

    /// It completed, the object is the file, and nothing else is left.
    #[track_caller]
    fn arrived(&self, transfer: &Transfer) {
        assert_eq!(transfer.state, State::Completed, "{:?}", transfer.error);
        assert_eq!(Some(transfer.bytes_transferred), transfer.bytes_total);
        let source = std::fs::read(self.dir.path().join("source")).unwrap();
        assert!(self.object() == source, "the object is not the file");
        self.nothing_is_left();
    }

    /// It completed, the file is the object, and nothing else is left.
    #[track_caller]
    fn was_fetched(&self, transfer: &Transfer) {
        assert_eq!(transfer.state, State::Completed, "{:?}", transfer.error);
        let target = std::fs::read(self.target()).unwrap();
        assert!(self.object() == target, "the file is not the object");
        self.nothing_is_left();
    }

    /// It failed with this code, and neither an open upload, nor a temporary
    /// file, nor a target is left.
    #[track_caller]
    fn failed_and_left_nothing(&self, transfer: &Transfer, code: &str) {
        failed(transfer, code);
        assert!(!self.target().exists());
        self.nothing_is_left();
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.server.open_uploads(BUCKET), []);
        assert_eq!(self.temporary_files(), [] as [String; 0]);
    }

    fn temporary_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".towline-")).collect()
    }
}

#[track_caller]
fn failed(transfer: &Transfer, code: &str) {
    assert_eq!(transfer.state, State::Failed, "{:?}", transfer.error);
    let error = transfer.error.as_ref().unwrap();
    assert_eq!(error.code, code, "{error:?}");
}

/// With the only credentials that the server takes.
async fn utility_at(endpoint: String, state: PathBuf, config: Config) -> TransferUtility {
    utility_in(Environment::default(), endpoint, state, config).await
}

async fn utility_in(
    environment: Environment,
    endpoint: String,
    state: PathBuf,
    config: Config,
) -> TransferUtility {
    let connection = Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    let credentials = StaticCredentials(Credentials::new("test", "testsecret"));
    let builder = TransferUtility::builder()
        .environment(environment)
        .state_dir(state)
        .connection(connection)
        .credentials("test", credentials)
        .config(config);
    builder.open().await.unwrap()
}

/// So many failures in a row of one item are forgiven.
fn retries(limit: u32) -> Config {
    let mut config = Config::default();
    config.retry_limit = limit;
    config
}

/// Waits for something that has to come, and fails when it does not.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 247) as u8 ^ (i >> 15) as u8)
        .collect()
}
