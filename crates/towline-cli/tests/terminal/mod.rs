//! Terminals of one user: commands on one state, some in the background.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use towline_testkit::crash::{BUCKET, Scene};
use towline_testserver::Operation;

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Terminal {
    pub scene: Scene,
}

impl Terminal {
    pub fn start() -> Self {
        let scene = Scene::start(env!("CARGO_BIN_EXE_towline"));
        Self { scene }
    }

    /// With a server that knows these keys.
    pub fn start_with(access_key: &str, secret_key: &str) -> Self {
        let binary = env!("CARGO_BIN_EXE_towline");
        let scene = Scene::with_credentials(binary, access_key, secret_key);
        Self { scene }
    }

    /// The process that owns the state, as it says itself.
    pub fn owner(&self) -> Option<u32> {
        let socket = self.scene.path("state/towline.sock");
        let mut stream = UnixStream::connect(socket).ok()?;
        let request = "GET /v1/about HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let about = answer.split("\r\n\r\n").nth(1)?;
        let about: serde_json::Value = serde_json::from_str(about).ok()?;
        u32::try_from(about["pid"].as_u64()?).ok()
    }

    pub fn spawn(&self, mut command: Command) -> Running {
        Running(Some(command.spawn().unwrap()))
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.scene.command(&self.scene.task(args))
    }

    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        let mut command = self.command(args);
        finish(command.spawn().unwrap())
    }

    /// A command that is to succeed; gives what it said.
    pub fn done<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command that is to end with 1 and say so.
    pub fn refused<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, why: &str) {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{why:?} in {}", said(&output));
    }

    pub fn code<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Option<i32> {
        self.run(args).status.code()
    }

    /// A command that goes on while the test does.
    pub fn begin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        self.spawn(self.command(args))
    }

    /// An upload of the file of this name to the key of this name, interrupted
    /// when half of it is there.
    pub fn interrupted_half_way(&self, key: &str, size: u64) {
        let path = self.scene.path(key);
        if !path.exists() {
            self.scene.file(key, size, 77);
        }
        self.bandwidth(60 * MIB);
        let start = self.received();
        let url = format!("s3://{BUCKET}/{key}");
        let upload = self.begin(["upload", key, &url]);
        self.until("half of it is there", || {
            self.received() - start > size / 2 && !self.parts_answered(key).is_empty()
        });
        upload.signal("INT");
        assert_eq!(upload.ends(), Some(130));
        self.bandwidth(0);
    }

    /// All transfers, oldest first.
    pub fn list(&self) -> Vec<serde_json::Value> {
        let lines = self.done(["list", "--json"]);
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    pub fn states(&self) -> Vec<String> {
        let state = |t: &serde_json::Value| t["state"].as_str().unwrap().to_owned();
        self.list().iter().map(state).collect()
    }

    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.scene.server.faults().bandwidth(bytes_per_second);
    }

    pub fn received(&self) -> u64 {
        self.scene.server.history().bytes_received()
    }

    pub fn sent(&self) -> u64 {
        self.scene.server.history().bytes_sent()
    }

    /// The parts of a key that the server has confirmed.
    pub fn parts_answered(&self, key: &str) -> Vec<u32> {
        let requests = self.scene.server.history().requests();
        let confirmed = requests.iter().filter(|request| {
            request.operation == Operation::UploadPart
                && request.key.as_deref() == Some(key)
                && request.completed
                && request.status == Some(200)
        });
        confirmed
            .filter_map(|request| request.part_number)
            .collect()
    }

    pub fn sha256_of_object(&self, key: &str) -> String {
        self.scene.server.object_sha256(BUCKET, key).unwrap()
    }

    pub fn sha256(&self, path: &Path) -> String {
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut hash).unwrap();
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn temporary_files(&self) -> usize {
        let names = std::fs::read_dir(self.scene.path("")).unwrap().flatten();
        let is_part = |name: &str| name.starts_with(".towline-") && name.ends_with(".part");
        names
            .filter(|entry| is_part(&entry.file_name().to_string_lossy()))
            .count()
    }

    /// Waits for something that is to come.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
            self.sleep(Duration::from_millis(5));
        }
    }

    pub fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    pub fn sleep_until(&self, moment: Instant) {
        self.sleep(moment.saturating_duration_since(Instant::now()));
    }
}

/// A command in the background; killed when the test is done with it.
pub struct Running(Option<Child>);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; gives its exit code.
    pub fn ends(self) -> Option<i32> {
        self.output().status.code()
    }

    pub fn succeeds(self) -> String {
        let output = self.output();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn output(mut self) -> Output {
        finish(self.0.take().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn finish(mut child: Child) -> Output {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let drain = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stream) = stream {
                std::io::Read::read_to_end(&mut stream, &mut text).unwrap();
            }
            text
        })
    };
    let out = drain(stdout.map(|s| Box::new(s) as _));
    let err = drain(stderr.map(|s| Box::new(s) as _));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command did not end; it said {}", {
                String::from_utf8_lossy(&err.join().unwrap()).into_owned()
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Output {
        status,
        stdout: out.join().unwrap(),
        stderr: err.join().unwrap(),
    }
}

pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}
