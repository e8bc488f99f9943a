//! S3 servers that are not ours, and a client that is not ours. `./test.sh`
//! installs them and says where they are.

#![allow(clippy::unwrap_used)] // what cannot be set up fails the test

mod ceph;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A server that is not ours, with a bucket named `bucket`; ended when dropped.
#[derive(Debug)]
pub struct ForeignServer {
    processes: Vec<Child>,
    endpoint: String,
    dir: tempfile::TempDir,
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        end(&mut self.processes);
    }
}

/// The last that was started goes first.
fn end(processes: &mut Vec<Child>) {
    while let Some(mut process) = processes.pop() {
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl ForeignServer {
    fn start(dir: tempfile::TempDir, port: u16, mut command: Command) -> Result<Self, String> {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = command
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self::with_bucket(dir, port, vec![process])
    }

    /// A bucket can be made once it is up. Fails where one of its processes ends,
    /// as it does when somebody else has taken its port meanwhile.
    fn with_bucket(
        dir: tempfile::TempDir,
        port: u16,
        processes: Vec<Child>,
    ) -> Result<Self, String> {
        let mut server = Self {
            processes,
            endpoint: format!("http://127.0.0.1:{port}"),
            dir,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = server.boto("s3.create_bucket(Bucket='bucket')");
            if output.status.success() {
                return Ok(server);
            }
            let ended = |process: &mut Child| !matches!(process.try_wait(), Ok(None));
            if server.processes.iter_mut().any(ended) {
                let log = std::fs::read_to_string(server.dir.path().join("log"));
                return Err(log.unwrap_or_default());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < deadline, "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Once more where a port was taken between the look for it and its use.
    fn start_again(start: impl Fn() -> Result<Self, String>) -> Self {
        start().or_else(|_| start()).unwrap()
    }

    /// SeaweedFS, of `TOWLINE_WEED`.
    pub fn seaweedfs() -> Self {
        Self::start_again(Self::start_seaweedfs)
    }

    fn start_seaweedfs() -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let [port, master, volume, filer] = free_ports();
        let identities = r#"{"identities": [{"name": "test", "credentials": [{"accessKey": "test", "secretKey": "testsecret"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
        let config = dir.path().join("s3.json");
        std::fs::write(&config, identities).unwrap();
        let mut command = Command::new(installed("TOWLINE_WEED"));
        command
            .args([
                "-logtostderr=true",
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
            ])
            .arg(format!("-dir={}", dir.path().display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .args([
                "-filer",
                "-s3",
                "-volume.max=50",
                "-master.volumeSizeLimitMB=1024",
                "-master.telemetry=false",
            ])
            // Else these have ports that are the same for any two of them.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={port}"))
            .arg(format!("-s3.config={}", config.display()));
        Self::start(dir, port, command)
    }

    /// moto, of `TOWLINE_MOTO`.
    pub fn moto() -> Self {
        Self::start_again(Self::start_moto)
    }

    fn start_moto() -> Result<Self, String> {
        let [port] = free_ports();
        let mut command = Command::new(installed("TOWLINE_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(tempfile::tempdir().unwrap(), port, command)
    }

    /// `http://127.0.0.1:PORT`; the access key is `test`, its secret `testsecret`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A directory that goes with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks the server by a client that is not ours; see [`boto`].
    pub fn boto(&self, what: &str) -> Output {
        boto(&self.endpoint, what)
    }
}

/// Runs Python statements with boto3's client as `s3`, and with `hashlib` and
/// `json`.
pub fn boto(endpoint: &str, what: &str) -> Output {
    let script = format!(
        "import boto3, hashlib, json\n\
         s3 = boto3.client('s3', endpoint_url='{endpoint}', region_name='us-east-1',\n\
         \x20 aws_access_key_id='test', aws_secret_access_key='testsecret')\n\
         {what}\n"
    );
    let python = PathBuf::from(installed("TOWLINE_MOTO")).with_file_name("python");
    Command::new(python).args(["-c", &script]).output().unwrap()
}

fn installed(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run ./test.sh, which sets it up"))
}

fn free_ports<const N: usize>() -> [u16; N] {
    // SeaweedFS listens on each port + 10,000 too.
    let listeners = [(); N].map(|()| {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
                break listener;
            }
        }
    });
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
