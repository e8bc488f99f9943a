//! The real binary, against a server in this process.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
pub use towline_testkit::crash::bytes;
use towline_testserver::TestServer;

pub const BUCKET: &str = "bucket";

/// A server, a directory, and a state.
pub struct Scene {
    pub server: TestServer,
    pub dir: TempDir,
    pub endpoint: String,
}

impl Scene {
    pub async fn start() -> Self {
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        let endpoint = server.endpoint();
        Self {
            server,
            dir: tempfile::tempdir().unwrap(),
            endpoint,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of `len` bytes that are the same for the same seed.
    pub fn file(&self, name: &str, len: u64, seed: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes(len, seed)).unwrap();
        path
    }

    pub fn towline<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        towline(&self.endpoint, &self.path("state"), args)
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.towline(args).output().unwrap()
    }

    pub fn temporary_files(&self) -> Vec<PathBuf> {
        temporary_files(self.dir.path())
    }
}

pub fn towline<S: AsRef<OsStr>>(endpoint: &str, state: &Path, args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
    command
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true") // nothing beyond loopback is asked
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testsecret")
        .env("TOWLINE_STATE_DIR", state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn spawn(mut command: Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn sha256_of_file(path: &Path) -> String {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut hash).unwrap();
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub fn temporary_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|e| e.path())
        .filter(|p| p.extension() == Some(OsStr::new("part")))
        .collect()
}
