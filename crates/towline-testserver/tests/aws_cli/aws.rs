//! The program, its configuration, and a server for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towline_testserver::{Rule, Script, TestServer};

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const MIB: usize = 1024 * 1024;
/// Five parts of 8 MiB.
pub(crate) const SIZE: usize = 40 * MIB;

pub(crate) struct Scene {
    pub(crate) server: TestServer,
    dir: TempDir,
}

/// Bytes that differ everywhere, and from those of another seed.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut word)
        .take(length.div_ceil(8))
        .flatten()
        .collect();
    bytes.truncate(length);
    bytes
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        Self { server, dir }
    }

    pub(crate) fn play(&self, rule: Rule) {
        let script = Script::new().rule(rule);
        self.server.faults().play(script).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The source of an upload.
    pub(crate) fn source(&self) -> Vec<u8> {
        let bytes = bytes(SIZE, 1);
        std::fs::write(self.path("source"), &bytes).unwrap();
        bytes
    }

    /// The object of a download, stored without a request.
    pub(crate) async fn object(&self) -> Vec<u8> {
        let bytes = bytes(SIZE, 2);
        let put = self.server.put_object(BUCKET, "key", bytes.clone());
        put.await.unwrap();
        bytes
    }

    /// What is stored under `key`.
    pub(crate) fn stored(&self) -> Option<Vec<u8>> {
        self.server.object_bytes(BUCKET, "key").ok()
    }

    pub(crate) fn open_uploads(&self) -> usize {
        self.server.open_uploads(BUCKET).len()
    }

    pub(crate) fn aws(&self, args: &[&str]) -> Command {
        let program = std::env::var_os("TOWLINE_AWS");
        let program = program.unwrap_or_else(|| {
            panic!("TOWLINE_AWS is not set: run ./test.sh, or give the path of `aws`")
        });
        let config = self.path("config");
        std::fs::write(&config, CONFIG).unwrap();
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("AWS_CONFIG_FILE", config)
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Copies the source to `s3://bucket/key`.
    pub(crate) fn upload(&self) -> Command {
        let source = self.path("source");
        self.copy(source.to_str().unwrap(), "s3://bucket/key", &[])
    }

    /// Copies `s3://bucket/key` to the target.
    pub(crate) fn download(&self) -> Command {
        let target = self.path("target");
        self.copy("s3://bucket/key", target.to_str().unwrap(), &[])
    }

    pub(crate) fn copy(&self, from: &str, to: &str, more: &[&str]) -> Command {
        self.aws(&[&["s3", "cp", "--only-show-errors", from, to], more].concat())
    }

    pub(crate) fn target(&self) -> Vec<u8> {
        std::fs::read(self.path("target")).unwrap()
    }

    /// Files beside those that the test made.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let known = ["source", "target", "config"].map(|name| self.path(name));
        files(self.dir.path())
            .into_iter()
            .filter(|path| path.is_file() && !known.contains(path))
            .collect()
    }

    /// Starts a command, and waits until so many bytes went through the server.
    pub(crate) fn start_until(&self, mut command: Command, moved: u64) -> Child {
        let history = self.server.history();
        let child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while history.bytes_received() + history.bytes_sent() < moved {
            assert!(Instant::now() < deadline, "it never moved {moved} bytes");
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// One request at a time makes what the middle of a transfer is the same each
/// time; where a test is not about the retries or the time-out, they are short.
const CONFIG: &str = "\
[default]
region = us-east-1
aws_access_key_id = test
aws_secret_access_key = testsecret
max_attempts = 3
cli_read_timeout = 60
s3 =
  addressing_style = path
  multipart_threshold = 8MB
  multipart_chunksize = 8MB
  max_concurrent_requests = 1
";

#[track_caller]
pub(crate) fn exits(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    code_is(&output, code)
}

#[track_caller]
pub(crate) fn code_is(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}
