//! `towline daemon run --listen`, against a server in this process, and a
//! browser that is logged in.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use towline_testkit::crash::Scene;

use crate::browser::Browser;

pub const MIB: u64 = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Service {
    pub scene: Scene,
    daemon: Option<Child>,
    port: u16,
}

impl Service {
    pub fn start() -> Self {
        Self::of(Scene::start(env!("CARGO_BIN_EXE_towline")), &[])
    }

    pub fn of(scene: Scene, arguments: &[&str]) -> Self {
        let mut service = Self {
            scene,
            daemon: None,
            port: 0,
        };
        service.run(arguments);
        let address = service.login_url();
        let address = address.strip_prefix("http://127.0.0.1:").unwrap();
        service.port = address.split('/').next().unwrap().parse().unwrap();
        service
    }

    /// Starts it again on the port that it had.
    pub fn run(&mut self, arguments: &[&str]) {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut task = vec!["daemon", "run", "--listen", &listen];
        task.extend(arguments);
        let mut command = self.scene.command(&self.scene.task(task));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
        let started = Instant::now();
        while !self.towline(["open", "--print"]).status.success() {
            assert!(started.elapsed() < DEADLINE, "the service does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A code for one login.
    pub fn login_url(&self) -> String {
        let output = self.towline(["open", "--print"]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn towline<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.scene.command(&self.scene.task(args)).output().unwrap()
    }

    pub fn list(&self) -> Vec<Value> {
        let output = self.towline(["list", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Begins a group over the socket, and gives its number.
    pub fn begin_group(&self, request: &Value) -> u64 {
        let body = json!({ "request": request }).to_string();
        let mut stream = UnixStream::connect(self.scene.path("state/towline.sock")).unwrap();
        let head = "POST /v1/groups HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                    content-type: application/json\r\ncontent-length:";
        let ask = format!("{head} {}\r\n\r\n{body}", body.len());
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let begun: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        begun["group"]["id"]
            .as_u64()
            .unwrap_or_else(|| panic!("{begun}"))
    }

    /// A directory of so many files of so many bytes.
    pub fn files(&self, name: &str, count: u64, len: u64) -> PathBuf {
        let dir = self.scene.path(name);
        std::fs::create_dir(&dir).unwrap();
        for n in 0..count {
            self.scene.file(&format!("{name}/{n:04}"), len, n);
        }
        dir
    }

    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.scene.server.faults().bandwidth(bytes_per_second);
    }

    /// Opens the page in a browser; `None` where there is none.
    pub fn open(&self) -> Option<Browser> {
        let browser = Browser::start()?;
        browser.go(&self.login_url());
        browser.until_text("#connection", "live");
        Some(browser)
    }

    /// Submits an upload of a file by the page's form.
    pub fn submit(&self, browser: &Browser, path: &Path, key: &str) {
        browser.click("#open-submit");
        browser.fill("#path", path.to_str().unwrap());
        browser.fill("#f-bucket", "bucket");
        browser.fill("#f-key", key);
        browser.click("#submit-go");
        browser.until("the form closes", "!document.querySelector('#submit').open");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}
