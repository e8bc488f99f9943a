//! A served state before a real S3 protocol server.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use towline::{Connection, ConnectionSource, Environment, TransferUtility};
use towline_daemon::{Mode, Server, Service, TOKEN};
use towline_testserver::TestServer;

use crate::client::{Answer, Http};

pub const BUCKET: &str = "bucket";
/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Served {
    pub s3: TestServer,
    pub dir: tempfile::TempDir,
    pub utility: TransferUtility,
    /// Serves until it is dropped.
    pub _server: Server,
    pub http: Http,
}

impl Served {
    pub async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    pub async fn with(tune: impl FnOnce(&mut Service, &std::path::Path)) -> Self {
        let s3 = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(s3, tempfile::tempdir().unwrap(), tune).await
    }

    /// With an S3 server of one's own.
    pub async fn on(
        s3: TestServer,
        dir: tempfile::TempDir,
        tune: impl FnOnce(&mut Service, &std::path::Path),
    ) -> Self {
        let state = dir.path().join("state");
        let keys = towline::Credentials::new("test", "testsecret");
        let config = "[profile one]\nregion = eu-west-1\n[profile two]\n";
        std::fs::create_dir_all(dir.path().join(".aws")).unwrap();
        std::fs::write(dir.path().join(".aws/config"), config).unwrap();
        let none: [(&str, &str); 0] = [];
        let utility = TransferUtility::builder()
            .state_dir(&state)
            .environment(Environment::new(none, Some(dir.path().to_owned())))
            .credentials("test", towline::StaticCredentials(keys))
            .connection(Connection {
                source: ConnectionSource::Registered("test".into()),
                endpoint: Some(s3.endpoint()),
                region: Some("us-east-1".into()),
                ..Connection::default()
            })
            .open()
            .await
            .unwrap();
        let mut service = Service::new(Mode::Background);
        service.listen = Some("127.0.0.1:0".parse().unwrap());
        tune(&mut service, dir.path());
        let server = Server::start_with(utility.clone(), &state, &service).unwrap();
        let token = std::fs::read_to_string(state.join(TOKEN)).unwrap();
        let http = Http {
            address: server.address().unwrap(),
            token: token.trim().to_owned(),
        };
        Self {
            s3,
            dir,
            utility,
            _server: server,
            http,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A request to upload a file of this length.
    pub fn upload(&self, key: &str, len: usize) -> Value {
        let path = self.path(&key.replace('/', "-"));
        std::fs::write(&path, vec![7; len]).unwrap();
        json!({ "type": "upload", "bucket": BUCKET, "key": key, "path": path })
    }

    pub fn submit(&self, requests: &[Value]) -> Answer {
        let body = json!({ "requests": requests });
        self.http.post("/v1/transfers", &body)
    }

    /// Submits one, and gives its number.
    pub fn submit_one(&self, request: Value) -> u64 {
        let answer = self.submit(&[request]);
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["transfers"][0]["id"].as_u64().unwrap()
    }

    /// Waits until a transfer is in a state, and gives it.
    pub async fn until(&self, id: u64, state: &str) -> Value {
        let path = format!("/v1/transfers/{id}");
        let begun = std::time::Instant::now();
        loop {
            let shown = self.http.get(&path).json();
            if shown["state"] == state {
                return shown;
            }
            assert!(begun.elapsed() < LONG, "{shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
