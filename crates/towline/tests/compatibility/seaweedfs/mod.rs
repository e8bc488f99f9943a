//! The rows of docs/acceptance.md that lean most on a server's own ways, on
//! SeaweedFS. T55 is in `towline-cli`'s `compatibility`.

mod changed_sources;
mod errors;
mod fairness;
mod keys;
mod leftovers;
mod many;
mod rate;
mod same_request;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use towline::{Rate, State, Transfer, TransferObserver, TransferUtility};
use towline_testkit::foreign::ForeignServer;

use super::open;

const BUCKET: &str = "bucket";
const MIB: usize = 1 << 20;

/// A server, a directory, and a utility on a state of its own.
struct Scene {
    server: ForeignServer,
    dir: tempfile::TempDir,
    utility: TransferUtility,
}

impl Scene {
    async fn start() -> Self {
        let server = ForeignServer::seaweedfs();
        let dir = tempfile::tempdir().unwrap();
        let utility = open(server.endpoint(), dir.path()).await;
        Self {
            server,
            dir,
            utility,
        }
    }

    /// Closes the utility and opens another one on the same state.
    async fn reopen(&mut self) {
        self.utility.close().await.unwrap();
        self.utility = open(self.server.endpoint(), self.dir.path()).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn upload(&self, key: &str, path: &Path) -> Transfer {
        let upload = self.utility.upload(BUCKET, key, path).await.unwrap();
        upload.finished().await.unwrap()
    }

    async fn download(&self, key: &str, path: &Path) -> Transfer {
        let download = self.utility.download(BUCKET, key, path).await.unwrap();
        download.finished().await.unwrap()
    }

    /// The bytes of an object.
    async fn stored(&self, key: &str) -> Vec<u8> {
        let download = self.utility.download_stream(BUCKET, key);
        download.to_bytes().await.unwrap().to_vec()
    }

    /// What a client that is not ours prints.
    fn told(&self, statements: &str) -> String {
        let output = self.server.boto(statements);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// How many uploads are open, as the server says to others.
    fn open_uploads(&self) -> usize {
        let list = "print(len(s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])))";
        self.told(list).parse().unwrap()
    }

    /// The keys that the server lists for others, in its order.
    fn keys(&self) -> Vec<String> {
        let list = "pages = s3.get_paginator('list_objects_v2').paginate(Bucket='bucket')\n\
                    print(json.dumps([o['Key'] for p in pages for o in p.get('Contents', [])]))";
        serde_json::from_str(&self.told(list)).unwrap()
    }

    /// Names of the directory that the state's is beside.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn rate(bytes_per_second: usize) -> Option<Rate> {
    Some(Rate::from_bytes_per_second(bytes_per_second as u64).unwrap())
}

fn completed(transfer: Transfer) -> Transfer {
    assert_eq!(transfer.state, State::Completed, "{:?}", transfer.error);
    transfer
}

/// The code with which a transfer has failed.
fn code(transfer: &Transfer) -> &str {
    assert_eq!(transfer.state, State::Failed, "{transfer:?}");
    &transfer.error.as_ref().unwrap().code
}

/// Waits until a transfer has moved so many bytes.
async fn moved(transfer: &TransferObserver, bytes: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while transfer.bytes_transferred() < bytes as u64 {
        let now = transfer.transfer();
        assert!(!now.state.is_final(), "{now:?}");
        assert!(Instant::now() < deadline, "never: {bytes} bytes: {now:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The same for the same seed, and other than any other's at each place.
fn content(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| ((i % 241) as u8 ^ (i >> 15) as u8).wrapping_add(seed))
        .collect()
}
