//! A server, a directory, and the command in a clean environment.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use towline_testserver::TestServer;

use super::canary::Canaries;
use super::content::bytes;
use super::crowd::Crowd;
use super::evidence::Row;
use super::kills::Whom;
use super::oracle::Oracle;
use super::owner;
use super::process::{self, Run, Signal};
use super::trigger::Trigger;
use super::until_done::LOOK;
use super::watcher::Watcher;
use crate::fault_proxy::FaultProxy;

/// The bucket that every scene has.
pub const BUCKET: &str = "bucket";

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(240);

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
    pub(crate) proxy: Option<Arc<FaultProxy>>,
    said: Cell<usize>,
    env: Vec<(&'static str, String)>,
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
    pub(crate) fine: Vec<i32>,
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
            proxy: None,
            said: Cell::new(0),
            env: Vec::new(),
            binary: binary.into(),
            root: dir.path().canonicalize().unwrap(),
            _dir: dir,
        }
    }

    /// The same, with secrets that can be recognised, and commands that log
    /// whatever they can.
    pub fn with_canaries(binary: impl Into<PathBuf>) -> Self {
        let mut scene = Self::with_credentials(binary, "test", Canaries::SECRET);
        scene.env = Canaries::environment();
        scene
    }

    /// Commands that are made from now on reach the server through a proxy,
    /// which passes everything until there is [`Weather`](super::Weather).
    pub fn put_proxy_between(&mut self) {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port()));
        let proxy = self.runtime.block_on(FaultProxy::start(server));
        self.proxy = Some(Arc::new(proxy.unwrap()));
    }

    fn endpoint(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("http://{}", proxy.address()),
            None => self.server.endpoint(),
        }
    }

    /// What `--detach` has left in the background on the state of this task.
    pub fn background(&self, task: &Task) -> Vec<u32> {
        owner::background(&task.state_dir)
    }

    /// Signals what `--detach` has left in the background on the state of this
    /// task; says how many.
    pub fn signal_background(&self, task: &Task, signal: Signal) -> usize {
        let pids = self.background(task);
        for pid in &pids {
            process::send(*pid, signal);
            self.watcher.watched().last_kill = Some(SystemTime::now());
        }
        pids.len()
    }

    /// The transfers of the state of this task.
    pub fn rows_of(&self, task: &Task) -> Vec<Row> {
        self.rows(&task.state_dir)
    }

    /// A file in the state directory of this task.
    pub fn file_of_state(&self, task: &Task, name: &str) -> PathBuf {
        task.state_dir.join(name)
    }

    /// The process that holds the lock on the state of this task, of those that the
    /// harness started or `--detach` left.
    pub fn owner(&self, task: &Task) -> Option<u32> {
        let running = self.watcher.watched().running.get(&task.state_dir).cloned();
        let mut pids = running.unwrap_or_default();
        pids.extend(self.background(task));
        let holds_lock = |pid: &u32| owner::holds_lock(*pid, &task.state_dir);
        pids.into_iter().find(holds_lock)
    }

    /// Whether somebody serves the state of this task.
    pub fn has_owner(&self, task: &Task) -> bool {
        UnixStream::connect(task.state_dir.join("towline.sock")).is_ok()
    }

    /// Carries out a task in one process, to the end that it comes to, by itself or
    /// by this signal at this moment.
    pub fn once(&self, task: &Task, doom: Option<(Trigger, Signal)>) -> Run {
        let mut crowd = Crowd::of(self);
        crowd.start(0, task, doom);
        let mut ended = Vec::new();
        self.until("a command ends", || {
            crowd.kill_those_due(Whom::Itself, 1);
            ended.extend(crowd.reap());
            crowd.is_empty()
        });
        ended.remove(0)
    }

    /// Waits for something that is to come.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
            std::thread::sleep(LOOK);
        }
    }

    /// Forgets what the server was asked so far, for tests of many minutes without
    /// an oracle.
    pub fn forget_history(&self) {
        self.server.history().clear();
        self.runs.borrow_mut().clear();
        self.surveys.borrow_mut().clear();
    }

    /// Removes what the commands wrote, which [`Run`] has as well.
    pub fn forget_what_was_said(&self) {
        std::fs::remove_dir_all(self.path(".said")).unwrap();
    }

    /// Panics if a secret is in what the commands said, or in a file of this
    /// state; says how many texts and files were looked through.
    pub fn assert_no_canary(&self, task: &Task) -> usize {
        let said = Canaries::assert_none_in_files(&self.path(".said"));
        said + Canaries::assert_none_in_files(&task.state_dir)
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
            fine: Vec::new(),
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
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true") // nothing beyond loopback is asked
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testsecret")
            .env("TOWLINE_STATE_DIR", &task.state_dir)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
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

    /// Where the next process writes what it says.
    pub(crate) fn output_path(&self) -> PathBuf {
        let number = self.said.replace(self.said.get() + 1);
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

    /// The same in the state directory of another.
    #[must_use]
    pub fn on_state_of(self, other: &Self) -> Self {
        self.in_state(&other.state_dir)
    }

    /// Whether this is its state directory.
    pub fn has_state(&self, dir: &Path) -> bool {
        self.state_dir == dir
    }

    /// It may also end with this exit code, and has not failed.
    #[must_use]
    pub fn or_code(mut self, code: i32) -> Self {
        self.fine.push(code);
        self
    }
}
