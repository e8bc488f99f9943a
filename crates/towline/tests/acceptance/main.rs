//! The behaviours of docs/acceptance.md that the facade shows, against a real
//! S3 protocol server.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod again;
mod content;
mod sizes;

use std::path::PathBuf;

use towline::{
    Connection, ConnectionSource, Credentials, State, StaticCredentials, Transfer, TransferUtility,
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
        let dir = tempfile::tempdir().unwrap();
        let utility = open(&server, dir.path().join("state")).await;
        Self {
            server,
            dir,
            utility,
        }
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
    let connection = Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(server.endpoint()),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    TransferUtility::builder()
        .state_dir(state)
        .connection(connection)
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
        .open()
        .await
        .unwrap()
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
