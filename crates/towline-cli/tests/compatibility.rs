//! Upload, kill, resume, download, kill, resume on servers that are not ours.
//! `./test.sh` installs them and says where they are.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{bytes, json_lines, sha256_of_file, spawn, stderr, temporary_files, towline};

const MIB: u64 = 1 << 20;

/// A server that is not ours, ended with the test.
struct Server {
    process: Child,
    endpoint: String,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(dir: tempfile::TempDir, port: u16, mut command: Command) -> Self {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = command
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            process,
            endpoint: format!("http://127.0.0.1:{port}"),
            dir,
        };
        // A bucket can be made once it is up.
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = server.boto("s3.create_bucket(Bucket='bucket')");
            if output.status.success() {
                return server;
            }
            assert!(Instant::now() < deadline, "{}", stderr(&output));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn seaweedfs() -> Self {
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
            ])
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={port}"))
            .arg(format!("-s3.config={}", config.display()));
        Self::start(dir, port, command)
    }

    fn moto() -> Self {
        let [port] = free_ports();
        let mut command = Command::new(installed("TOWLINE_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(tempfile::tempdir().unwrap(), port, command)
    }

    /// Asks the server by a client that is not ours.
    fn boto(&self, what: &str) -> std::process::Output {
        let script = format!(
            "import boto3, hashlib\n\
             s3 = boto3.client('s3', endpoint_url='{}', region_name='us-east-1',\n\
             \x20 aws_access_key_id='test', aws_secret_access_key='testsecret')\n\
             {what}\n",
            self.endpoint
        );
        let python = PathBuf::from(installed("TOWLINE_MOTO")).with_file_name("python");
        Command::new(python).args(["-c", &script]).output().unwrap()
    }

    fn sha256(&self, key: &str) -> String {
        let get = format!("s3.get_object(Bucket='bucket', Key='{key}')['Body'].read()");
        let output = self.boto(&format!("print(hashlib.sha256({get}).hexdigest())"));
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn open_uploads(&self) -> String {
        let list = "print(len(s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])))";
        String::from_utf8_lossy(&self.boto(list).stdout)
            .trim()
            .to_owned()
    }

    fn towline(&self, args: &[&str]) -> Command {
        towline(&self.endpoint, &self.dir.path().join("state"), args)
    }

    fn run(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let output = self
            .towline(&[args, &["--json"]].concat())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        json_lines(&output)
    }

    /// Kills a command once a part of its transfer, and not all, is recorded.
    fn kill_half_way(&self, args: &[&str]) -> u64 {
        for _ in 0..20 {
            let mut child = spawn(self.towline(args));
            loop {
                let rows = json_lines(&self.towline(&["list", "--json"]).output().unwrap());
                let row = rows.last().cloned().unwrap_or_default();
                let moved = row["bytes_transferred"].as_u64().unwrap_or(0);
                if moved > 0 && row["state"] != "completed" {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    return moved;
                }
                if child.try_wait().unwrap().is_some() {
                    break; // it was quicker than we: once more
                }
            }
        }
        panic!("{args:?} was never caught half way");
    }
}

fn installed(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run ./test.sh"))
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

/// The main job, on any server.
fn goes_up_and_down_through_kills(server: &Server, size: u64, proofs: &[&str]) {
    let dir = server.dir.path();
    let source = dir.join("source");
    std::fs::write(&source, bytes(size, 11)).unwrap();
    let source_arg = source.to_str().unwrap();
    let target = dir.join("target");
    let target_arg = target.to_str().unwrap();

    let up = ["upload", source_arg, "s3://bucket/some/key"];
    let kept = server.kill_half_way(&up);
    let ended = server.run(&up).remove(0);
    println!("{}: kept {} MiB, then {ended}", server.endpoint, kept / MIB);
    assert_eq!(ended["state"], "completed");
    assert_eq!(ended["generation"], 1, "it went on, and did not start anew");
    assert!(
        proofs.contains(&ended["verified"].as_str().unwrap()),
        "{ended}"
    );
    assert_eq!(server.sha256("some/key"), sha256_of_file(&source));
    assert_eq!(server.open_uploads(), "0");

    let down = ["download", "s3://bucket/some/key", target_arg];
    server.kill_half_way(&down);
    assert!(!target.exists(), "a final name never shows partial bytes");
    let ended = server.run(&down).remove(0);
    assert_eq!(
        (&ended["state"], &ended["generation"]),
        (&"completed".into(), &1.into())
    );
    assert_eq!(sha256_of_file(&target), sha256_of_file(&source));
    assert_eq!(temporary_files(dir), [] as [&Path; 0]);

    // Small ones go in one PUT; an empty one too.
    for (size, key) in [
        (0, "empty"),
        (1, "one"),
        (5 * MIB, "whole"),
        (5 * MIB + 1, "two parts"),
    ] {
        let small = dir.join("small");
        std::fs::write(&small, bytes(size, size + 3)).unwrap();
        let url = format!("s3://bucket/{key}");
        let ended = server
            .run(&["upload", small.to_str().unwrap(), &url])
            .remove(0);
        assert!(
            proofs.contains(&ended["verified"].as_str().unwrap()),
            "{ended}"
        );
        server.run(&["download", &url, target_arg]);
        assert_eq!(sha256_of_file(&target), sha256_of_file(&small), "{key}");
    }
    assert_eq!(server.open_uploads(), "0");
}

#[test]
fn the_main_job_on_seaweedfs() {
    let server = Server::seaweedfs();
    goes_up_and_down_through_kills(&server, 200 * MIB, &["full-object", "composite", "md5"]);
}

#[test]
fn the_main_job_on_moto() {
    let server = Server::moto();
    goes_up_and_down_through_kills(&server, 100 * MIB, &["full-object", "composite", "md5"]);
}
