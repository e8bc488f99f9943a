//! `daemon run --listen` and `open`, as the real processes.

#![allow(clippy::unwrap_used, unreachable_pub)] // in tests it is the assertion

#[path = "../common/mod.rs"]
mod common;
mod load;
mod million;
mod service;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A service that runs, and how it is reached.
struct Service {
    child: Child,
    state: PathBuf,
    address: String,
    token: String,
}

impl Service {
    /// Starts `daemon run --listen`, and waits until it is there.
    fn start(mut command: Command, state: &Path, log: &Path) -> Self {
        let said = std::fs::File::create(log).unwrap();
        command.stdout(Stdio::null()).stderr(said);
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        let address = loop {
            if let Ok(address) = std::fs::read_to_string(state.join("towline.http")) {
                break address.trim().trim_start_matches("http://").to_owned();
            }
            let ended = child.try_wait().unwrap();
            let said = || std::fs::read_to_string(log).unwrap();
            assert!(ended.is_none() && begun.elapsed() < 2 * LONG, "{}", said());
            std::thread::sleep(Duration::from_millis(20));
        };
        let token = std::fs::read_to_string(state.join("token")).unwrap();
        Self {
            child,
            state: state.to_owned(),
            address,
            token: token.trim().to_owned(),
        }
    }

    /// Status and body of an answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, token, length) = (&self.address, &self.token, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn get(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What the system says of its process.
    fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(path).unwrap()
    }

    /// Tells it to go, and waits until it has.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(!self.state.join("towline.http").exists());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
