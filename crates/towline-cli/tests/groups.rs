//! A directory or a prefix as one group: looked at, steered, and carried to its end.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};
use terminal::{Terminal, said};

/// A daemon in the background; it ends with the test.
struct Daemon<'a>(&'a Terminal);

impl<'a> Daemon<'a> {
    fn start(terminal: &'a Terminal) -> Self {
        terminal.done(["daemon", "start"]);
        Self(terminal)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.0.command(["daemon", "stop"]).output().ok();
    }
}

/// A directory of so many files.
fn filled(terminal: &Terminal, name: &str, files: u64, size: u64) {
    std::fs::create_dir(terminal.scene.path(name)).unwrap();
    for n in 0..files {
        terminal.scene.file(&format!("{name}/{n:04}"), size, n);
    }
}

/// The groups as they are told to programs.
fn groups(terminal: &Terminal, args: &[&str]) -> Vec<Value> {
    let told = terminal.done([&["groups", "--json"], args].concat());
    let lines = told.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn state(terminal: &Terminal) -> String {
    let groups = groups(terminal, &["1"]);
    groups[0]["state"].as_str().unwrap().to_owned()
}

fn offline(terminal: &Terminal, offline: bool) {
    terminal.scene.server.faults().offline(offline);
}

/// Begins the upload of a directory without a command that stays with it.
fn begin(terminal: &Terminal, dir: &str) -> Value {
    let path = terminal.scene.path(dir);
    let request = json!({ "type": "upload", "path": path, "bucket": "bucket", "prefix": "p/" });
    let body = json!({ "request": request }).to_string();
    let mut stream = UnixStream::connect(terminal.scene.path("state/towline.sock")).unwrap();
    let head = "POST /v1/groups HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length:";
    let ask = format!("{head} {}\r\n\r\n{body}", body.len());
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let begun = answer.split("\r\n\r\n").nth(1).unwrap();
    let begun: Value = serde_json::from_str(begun).unwrap();
    assert!(begun["group"].is_object(), "{begun}");
    begun["group"].clone()
}

#[test]
fn a_group_is_listed_and_steered_as_one_by_its_number_or_its_name() {
    let terminal = Terminal::start();
    let daemon = Daemon::start(&terminal);
    assert_eq!(terminal.done(["groups"]), "no groups\n");
    filled(&terminal, "files", 3, 10);
    offline(&terminal, true);
    let name = begin(&terminal, "files")["name"].clone();
    let name = name.as_str().unwrap();
    terminal.until("all is listed", || terminal.list().len() == 3);
    let text = terminal.done(["groups"]);
    assert!(
        text.contains(name) && text.contains("0 of 3 done"),
        "{text}"
    );
    assert_eq!(groups(&terminal, &["--unfinished"]).len(), 1);

    assert_eq!(terminal.done(["pause", "--group", "1"]), "group 1 paused\n");
    assert_eq!(terminal.states(), ["paused"; 3]);
    let again = terminal.done(["pause", "--group", name]);
    assert_eq!(again, "group 1 paused already\n");
    let resumed = terminal.done(["resume", "--group", name]);
    assert!(resumed.starts_with("group 1 "), "{resumed}");
    terminal.done(["pause", "--group", "1"]);
    terminal.refused(["pause", "--group", "7"], "there is no group 7");
    terminal.refused(["cancel", "--group", "none"], "nothing there to cancel");
    let both = ["pause", "--all", "--group", "1"];
    assert_eq!(terminal.code(both), Some(2));

    // Where nobody owns it, it is as it was left, and is carried to its end.
    drop(daemon);
    terminal.until("the daemon has left", || terminal.owner().is_none());
    assert_eq!(state(&terminal), "paused");
    offline(&terminal, false);
    let carried = terminal.done(["resume", "--group", "1"]);
    assert_eq!(carried.matches("uploaded ").count(), 3, "{carried}");
    assert_eq!(state(&terminal), "completed");
    assert_eq!(groups(&terminal, &["--unfinished"]).len(), 0);
    let over = ["resume", "--group", "1"];
    terminal.refused(over, "group 1 is completed, there is nothing to resume");
    assert_eq!(
        terminal.done(["remove", "--group", "1"]),
        "removed group 1\n"
    );
    assert_eq!(terminal.list().len(), 0);
    assert_eq!(terminal.done(["groups"]), "no groups\n");
}

#[test]
fn a_group_that_is_canceled_ends_when_that_is_proven_of_each_of_its_transfers() {
    let terminal = Terminal::start();
    let _daemon = Daemon::start(&terminal);
    filled(&terminal, "files", 2, 11 << 20);
    terminal.bandwidth(4 << 20);
    begin(&terminal, "files");
    terminal.until("it is under way", || terminal.received() > 1 << 20);
    let canceled = terminal
        .command(["cancel", "--group", "1"])
        .output()
        .unwrap();
    assert!(canceled.status.success(), "{}", said(&canceled));
    assert_eq!(terminal.states(), ["canceled"; 2]);
    assert_eq!(state(&terminal), "canceled");
    // Of transfers that are failed or canceled nothing revives all, and no group.
    terminal.refused(["retry", "--group", "1"], "nothing there to retry");
}

/// Transfers that were only given a name.
#[test]
fn a_group_that_is_only_a_name_is_steered_by_it() {
    let terminal = Terminal::start();
    let _daemon = Daemon::start(&terminal);
    terminal.scene.file("one", 10, 1);
    terminal.scene.file("list", 0, 1);
    let list = "one,s3://bucket/one\n";
    std::fs::write(terminal.scene.path("list"), list).unwrap();
    offline(&terminal, true);
    terminal.done(["upload", "--detach", "--from-list", "list"]);
    let group = terminal.list()[0]["group"].clone();
    let group = group.as_str().unwrap();
    terminal.done(["pause", "--group", group]);
    assert_eq!(terminal.states(), ["paused"]);
    offline(&terminal, false);
    terminal.done(["resume", "--group", group]);
    terminal.until("it is done", || terminal.states() == ["completed"]);
}
