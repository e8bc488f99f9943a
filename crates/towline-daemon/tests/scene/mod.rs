//! A served state before a real S3 protocol server.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;
use towline::{
    Connection, ConnectionSource, Cursor, Transfer, TransferId, TransferRequest, TransferUtility,
};
use towline_daemon::{Client, Event, Events, Find, Follow, Mode, Server, Submit};
use towline_testserver::TestServer;

pub const BUCKET: &str = "bucket";
/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Scene {
    pub s3: TestServer,
    pub dir: tempfile::TempDir,
    pub utility: TransferUtility,
    pub server: Server,
    pub client: Client,
}

impl Scene {
    pub async fn start() -> Self {
        let s3 = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self::on(s3, tempfile::tempdir().unwrap()).await
    }

    async fn on(s3: TestServer, dir: tempfile::TempDir) -> Self {
        let state = dir.path().join("state");
        let keys = towline::Credentials::new("test", "testsecret");
        let utility = TransferUtility::builder()
            .state_dir(&state)
            .credentials("test", towline::StaticCredentials(keys))
            .open()
            .await
            .unwrap();
        let server = Server::start(utility.clone(), &state, Mode::Background).unwrap();
        let (client, about) = Client::connect(&state).await.unwrap();
        let own = (Mode::Background, std::process::id());
        assert_eq!((about.mode, about.pid), own);
        Self {
            s3,
            dir,
            utility,
            server,
            client,
        }
    }

    /// Ends as an owner does, and starts again on the same state.
    pub async fn again(self) -> Self {
        self.server.stop().await;
        self.utility.close().await.unwrap();
        Self::on(self.s3, self.dir).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn upload(&self, key: &str, len: usize) -> TransferRequest {
        let path = self.path(key);
        std::fs::write(&path, vec![7; len]).unwrap();
        let mut request = TransferRequest::upload(BUCKET, key, path);
        request.connection = Some(Connection {
            source: ConnectionSource::Registered("test".into()),
            endpoint: Some(self.s3.endpoint()),
            region: Some("us-east-1".into()),
            ..Connection::default()
        });
        request
    }

    pub async fn submit(&self, requests: Vec<TransferRequest>) -> (Vec<TransferId>, Cursor) {
        let submit = Submit {
            requests,
            credentials: None,
        };
        let submitted = self.client.submit(&submit).await.unwrap();
        let transfers = submitted.transfers.iter();
        let ids = transfers.map(|seen| seen.transfer.id).collect();
        (ids, submitted.cursor)
    }

    pub async fn follow(&self, after: Cursor) -> Events {
        let after = Some(after);
        let follow = Follow {
            after,
            ..Follow::default()
        };
        self.client.events(&follow).await.unwrap()
    }

    pub async fn list(&self) -> Vec<Transfer> {
        let find = Find {
            limit: Some(1000),
            ..Find::default()
        };
        let found = self.client.find(&find).await.unwrap();
        found.transfers.into_iter().map(Transfer::from).collect()
    }

    /// The answer as it is on the wire.
    pub fn raw(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(self.path("state/towline.sock")).unwrap();
        let head = "host: x\r\nconnection: close\r\ncontent-type: application/json";
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Reads on until each of these has ended; how often each end was told.
pub async fn ends(events: &mut Events, of: &[TransferId]) -> (HashMap<TransferId, usize>, Cursor) {
    let mut told = HashMap::new();
    loop {
        let event = timeout(LONG, events.next()).await;
        let event = event.expect("an end was not told").unwrap();
        match event.expect("the stream ended") {
            Event::Transfer(transfer) if transfer.state.is_final() => {
                *told.entry(transfer.id).or_insert(0) += 1;
            }
            Event::Reached(cursor) if of.iter().all(|id| told.contains_key(id)) => {
                return (told, cursor);
            }
            _ => {}
        }
    }
}
