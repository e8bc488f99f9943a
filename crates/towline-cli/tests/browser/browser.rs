//! A headless Chromium of its own, driven by WebDriver.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

/// Longer than anything here takes, also on a slow and busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a page is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Keys of WebDriver. <https://www.w3.org/TR/webdriver2/#keyboard-actions>
pub const ESCAPE: char = '\u{e00c}';
pub const ENTER: char = '\u{e007}';
pub const TAB: char = '\u{e004}';
pub const DOWN: char = '\u{e015}';

pub struct Browser {
    client: Option<Client>,
    runtime: Runtime,
    driver: Child,
    /// What the driver says has somewhere to go.
    _said: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Browser {
    /// Its driver and itself; says so where there are none.
    pub fn programs() -> Option<[OsString; 2]> {
        let programs = ["TOWLINE_CHROMEDRIVER", "TOWLINE_CHROMIUM"].map(std::env::var_os);
        let [Some(driver), Some(chromium)] = programs else {
            println!("SKIPPED: TOWLINE_CHROMEDRIVER and TOWLINE_CHROMIUM name no browser");
            return None;
        };
        Some([driver, chromium])
    }

    /// `None` where there is no browser.
    pub fn start() -> Option<Self> {
        let [driver, chromium] = Self::programs()?;
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = said.by_ref().lines().find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let profile = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut arguments: Vec<String> = [
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-dev-shm-usage",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "window-size=1360,860",
            "host-resolver-rules=MAP rebound.test 127.0.0.1",
        ]
        .map(|argument| format!("--{argument}"))
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert(
            "goog:chromeOptions".into(),
            json!({"binary": PathBuf::from(chromium), "args": arguments}),
        );
        capabilities.insert("goog:loggingPrefs".into(), json!({"browser": "ALL"}));
        let address = format!("http://127.0.0.1:{}", port.unwrap());
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities).connect(&address).await
        });
        Some(Self {
            client: Some(client.unwrap()),
            runtime,
            driver,
            _said: said,
            _profile: profile,
        })
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    pub fn go(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap();
    }

    pub fn reload(&self) {
        self.runtime.block_on(self.client().refresh()).unwrap();
    }

    /// What an expression is in the page.
    pub fn ask(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});"))
    }

    /// The same for what takes its time.
    pub fn ask_later(&self, promise: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; ({promise}).then(done, (error) => done(String(error)));"
        );
        let asked = self.client().execute_async(&script, Vec::new());
        self.runtime.block_on(asked).unwrap()
    }

    pub fn run(&self, script: &str) -> Value {
        let ran = self.client().execute(script, Vec::new());
        self.runtime.block_on(ran).unwrap()
    }

    /// The text of an element as far as it is to be seen.
    pub fn text(&self, selector: &str) -> String {
        let text = self.ask(&text_of(selector));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// As a person does: it has to be there, to be seen, and not to be covered.
    pub fn click(&self, selector: &str) {
        let started = Instant::now();
        loop {
            let clicked = self.runtime.block_on(async {
                self.client()
                    .find(Locator::Css(selector))
                    .await?
                    .click()
                    .await
            });
            match clicked {
                Ok(()) => return,
                Err(error) if started.elapsed() > DEADLINE => panic!("{selector}: {error}"),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Puts a text into a field, instead of what is there.
    pub fn fill(&self, selector: &str, text: &str) {
        self.runtime.block_on(async {
            let field = self.client().find(Locator::Css(selector)).await.unwrap();
            field.clear().await.unwrap();
            field.send_keys(text).await.unwrap();
        });
    }

    /// Takes an option of a list. Its menu is the system's, which no headless browser has.
    pub fn choose(&self, selector: &str, value: &str) {
        self.run(&format!(
            "const list = document.querySelector({selector:?}); list.value = {value:?}; \
             list.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        ));
    }

    pub fn key(&self, key: char) {
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        let pressed = self.client().perform_actions(keys);
        self.runtime.block_on(pressed).unwrap();
    }

    /// Waits until an expression is true in the page.
    pub fn until(&self, what: &str, expression: &str) {
        let started = Instant::now();
        while self.ask(expression) != json!(true) {
            if started.elapsed() > DEADLINE {
                let body = self.text("body");
                panic!(
                    "{what}: waited in vain for {expression}\n{body}\n{:?}",
                    self.log()
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    pub fn until_text(&self, selector: &str, text: &str) {
        let expression = format!("{}.includes({})", text_of(selector), json!(text));
        self.until(&format!("{selector} says {text:?}"), &expression);
    }

    /// What only Chromium's own protocol can do.
    /// <https://chromedevtools.github.io/devtools-protocol/>
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = Vendor {
            path: "goog/cdp/execute",
            body: json!({"cmd": command, "params": parameters}),
        };
        let done = self.client().issue_cmd(command);
        self.runtime.block_on(done).unwrap()
    }

    /// What the page, or the browser about it, wrote to the console.
    pub fn log(&self) -> Vec<String> {
        let command = Vendor {
            path: "se/log",
            body: json!({"type": "browser"}),
        };
        let entries = self.runtime.block_on(self.client().issue_cmd(command));
        let entries = entries.unwrap();
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub fn size(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    pub fn prefers(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    pub fn screenshot(&self) -> Vec<u8> {
        self.runtime.block_on(self.client().screenshot()).unwrap()
    }
}

/// The text of an element that is hidden is none.
fn text_of(selector: &str) -> String {
    format!(
        "((element) => element?.checkVisibility() ? element.innerText : '')(document.querySelector({selector:?}))"
    )
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.close());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command that is no part of WebDriver.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
