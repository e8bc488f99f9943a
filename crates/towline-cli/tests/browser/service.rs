//! `towline daemon run --listen`, against a server in this process, and a
//! browser that is logged in.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
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
