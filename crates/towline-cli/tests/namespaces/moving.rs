//! A transfer under way, as its command's watchers and the server see it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use towline_testserver::{Operation, Request};

use crate::common;
use crate::world::{World, until};

/// Longer than anything here takes.
const END: Duration = Duration::from_secs(120);

/// Requests at one time of each command.
pub(crate) const AT_ONCE: usize = 2;

pub(crate) struct Moving<'a> {
    world: &'a World,
    state: String,
    key: String,
    operation: Operation,
    command: Child,
    watcher: Child,
    told: Arc<Mutex<Vec<Value>>>,
}

impl<'a> Moving<'a> {
    pub(crate) fn begin(world: &'a World, state: &str, args: &[&str]) -> Self {
        let (operation, key) = match args[0] {
            "upload" => (Operation::UploadPart, args[1]),
            _ => (Operation::GetObject, args[2]),
        };
        let at_once = AT_ONCE.to_string();
        let args = [args, &["--concurrency", &at_once]].concat();
        let mut command = world.towline(state, &args);
        command.stdout(Stdio::null());
        let command = command.spawn().unwrap();
        let mut watcher = world.towline(state, &["watch", "--json"]);
        let mut watcher = watcher.stdout(Stdio::piped()).spawn().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
        let (heard, of) = (Arc::clone(&told), key.to_owned());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["key"] == of.as_str() {
                    heard.lock().unwrap().push(line);
                }
            }
        });
        Self {
            world,
            state: state.to_owned(),
            key: key.to_owned(),
            operation,
            command,
            watcher,
            told,
        }
    }

    /// The states it was in, one after the other.
    pub(crate) fn states(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let mut states: Vec<_> = told
            .iter()
            .map(|line| line["state"].as_str().unwrap().to_owned())
            .collect();
        states.dedup();
        states
    }

    pub(crate) fn is(&self, state: &str) -> bool {
        self.states().last().is_some_and(|last| last == state)
    }

    /// Waits for a state; gives how long it took.
    pub(crate) fn comes_to(&self, state: &str, limit: Duration) -> Duration {
        until(&format!("{} {state}", self.key), limit, || self.is(state))
    }

    /// What it is known by to `show`, with what went wrong on its way.
    pub(crate) fn shown(&self) -> Value {
        let id = self.told.lock().unwrap()[0]["id"].to_string();
        let mut show = self.world.towline(&self.state, &["show", &id, "--json"]);
        common::json_lines(&show.output().unwrap()).remove(0)
    }

    pub(crate) fn incidents(&self) -> Vec<Value> {
        self.shown()["incidents"].as_array().unwrap().clone()
    }

    /// Requests for its parts or ranges so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut all = self.world.server.history().requests();
        all.retain(|it| it.operation == self.operation && it.key.as_deref() == Some(&*self.key));
        all
    }

    /// Which parts or ranges were asked for, in order.
    pub(crate) fn pieces(&self) -> Vec<String> {
        let piece = |it: &Request| match it.part_number {
            Some(part) => part.to_string(),
            None => it.range.clone().unwrap_or_default(),
        };
        self.requests().iter().map(piece).collect()
    }

    /// Waits until so many pieces are confirmed and others are under way.
    pub(crate) fn has_confirmed(&self, pieces: usize) {
        // Each that begins when all slots had been taken tells of one that ended.
        let what = format!("{} has {pieces} pieces behind it", self.key);
        until(&what, END, || {
            let requests = self.requests();
            requests.len() >= pieces + AT_ONCE && moved(requests.last())
        });
    }

    /// Whether a request after so many moved bytes.
    pub(crate) fn has_moved_since(&self, requests: usize) -> bool {
        let all = self.requests();
        all.iter().skip(requests).any(|it| moved(Some(it)))
    }

    /// Waits for its end, and looks at the bytes.
    pub(crate) fn completes(&mut self) {
        let key = &self.key;
        let start = std::time::Instant::now();
        let status = loop {
            if let Some(status) = self.command.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < END, "{key} does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{key}: {status}");
        assert!(self.world.is_the_same(key), "{key} is another");
        assert_eq!(self.shown()["generation"], 1, "{key} began anew");
    }
}

/// Whether bytes of its body went either way.
fn moved(request: Option<&Request>) -> bool {
    request.is_some_and(|it| it.bytes_received > 0 || it.bytes_sent > 0)
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        for child in [&mut self.watcher, &mut self.command] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
