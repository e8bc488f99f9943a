//! A server, a directory and a utility whose clocks run fast.

use std::path::PathBuf;
use std::time::Duration;

use towline::{
    Config, Connection, ConnectionSource, Credentials, Environment, StaticCredentials,
    TransferUtility,
};
use towline_testserver::TestServer;

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct Scene {
    pub(crate) server: TestServer,
    pub(crate) utility: TransferUtility,
    pub(crate) dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn start(config: Config) -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(server, config, Environment::default()).await
    }

    pub(crate) async fn on(server: TestServer, config: Config, environment: Environment) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let builder = TransferUtility::builder()
            .state_dir(dir.path().join("state"))
            .connection(to(server.endpoint()))
            .environment(environment)
            .credentials(
                "test",
                StaticCredentials(Credentials::new("test", "testsecret")),
            );
        let utility = builder.config(config).open().await.unwrap();
        std::fs::create_dir(dir.path().join("targets")).unwrap();
        Self {
            server,
            utility,
            dir,
        }
    }

    /// A file with content of its own.
    pub(crate) fn source(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.dir.path().join("targets").join(name)
    }

    /// What stands among the targets and is none: what a download left behind.
    pub(crate) fn leftovers(&self, targets: &[PathBuf]) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("targets")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| !targets.contains(path)).collect()
    }
}

/// The timers are short, so that a stall costs a test little; what they do is
/// the same.
pub(crate) fn quick() -> Config {
    let mut config = Config::default();
    config.stall_timeout = Duration::from_secs(2);
    config.first_byte_timeout = Duration::from_secs(3);
    config.service_check_interval = Duration::from_secs(1);
    config
}

pub(crate) fn to(endpoint: String) -> Connection {
    Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        ..Connection::default()
    }
}

/// A number from the environment, for campaigns that are larger than a test.
pub(crate) fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}
