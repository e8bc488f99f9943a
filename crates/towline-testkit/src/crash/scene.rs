//! A server, a directory, and the command in a clean environment.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use towline_testserver::TestServer;

use super::content::bytes;
use super::oracle::Oracle;
use super::process::Run;
use super::watcher::Watcher;

/// The bucket that every scene has.
pub const BUCKET: &str = "bucket";

/// A server with its history, a temporary directory, and the command.
///
/// It brings its own runtime, so its tests are plain functions.
#[derive(Debug)]
pub struct Scene {
    /// The S3 that the command talks to.
    pub server: Arc<TestServer>,
    pub(crate) watcher: Watcher,
    pub(crate) runs: RefCell<Vec<Run>>,
    pub(crate) surveys: RefCell<Vec<super::evidence::Survey>>,
    pub(crate) runtime: tokio::runtime::Runtime,
    binary: PathBuf,
    /// Without links in it, as `/proc` shows paths.
    root: PathBuf,
    _dir: TempDir,
}

/// A command that is to be carried out, through however many processes.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) args: Vec<OsString>,
    pub(crate) state_dir: PathBuf,
}

impl Scene {
    /// Starts a server in this process; `binary` is the command,
    /// `env!("CARGO_BIN_EXE_towline")` in the tests of its crate.
    pub fn start(binary: impl Into<PathBuf>) -> Self {
        Self::with_credentials(binary, "test", "testsecret")
    }

    /// The same, with a server that knows these keys. The commands of
    /// [`command`](Self::command) still have the usual ones.
    pub fn with_credentials(
        binary: impl Into<PathBuf>,
        access_key: &str,
        secret_key: &str,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = TestServer::builder().bucket(BUCKET);
        let server = server.credentials(access_key, secret_key);
        let server = runtime.block_on(server.start());
        let server = Arc::new(server.unwrap());
        let dir = tempfile::tempdir().unwrap();
        Self {
            watcher: Watcher::start(Arc::clone(&server)),
            server,
            runs: RefCell::default(),
            surveys: RefCell::default(),
            runtime,
            binary: binary.into(),
            root: dir.path().canonicalize().unwrap(),
            _dir: dir,
        }
    }

    /// A path in the scene's directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A new file of `len` bytes that are the same for the same seed.
    pub fn file(&self, name: &str, len: u64, seed: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes(len, seed)).unwrap();
        path
    }

    /// Puts an object there as another program would: by the command, with a
    /// state of its own.
    pub fn object(&self, key: &str, len: u64, seed: u64) {
        let source = self.file("source-of-an-object", len, seed);
        let url = format!("s3://{BUCKET}/{key}");
        let task = self.task([OsStr::new("upload"), source.as_ref(), url.as_ref()]);
        let mut command = self.command(&task.in_state(self.path("state-of-others")));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        std::fs::remove_file(source).unwrap();
    }

    /// A command in the scene's first state directory, `state`.
    pub fn task<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Task {
        Task {
            args: args.into_iter().map(|arg| arg.as_ref().into()).collect(),
            state_dir: self.path("state"),
        }
    }

    /// The command of a task, in an environment with nothing in it but what it
    /// needs to reach the server.
    pub fn command(&self, task: &Task) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(&task.args)
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true") // nothing beyond loopback is asked
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testsecret")
            .env("TOWLINE_STATE_DIR", &task.state_dir)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// One who judges what happens from now on. A kill may cost `in_flight` bytes.
    pub fn oracle(&self, in_flight: u64) -> Oracle<'_> {
        Oracle::new(self, in_flight)
    }

    /// The sequence number of the last request that the server has seen.
    pub(crate) fn requests_so_far(&self) -> u64 {
        self.server.history().count_where(|_| true) as u64
    }

    /// Where the process with this number writes what it says.
    pub(crate) fn output_path(&self, number: usize) -> PathBuf {
        let dir = self.path(".said");
        std::fs::create_dir_all(&dir).unwrap();
        dir.join(number.to_string())
    }
}

impl Task {
    /// The same in another state directory.
    #[must_use]
    pub fn in_state(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = dir.into();
        self
    }
}
