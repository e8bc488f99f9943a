//! A directory or a prefix as one group: looked at, steered, and carried to its end.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
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

#[test]
fn a_directory_goes_as_one_group_which_tells_what_was_left_out() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 3, 10);
    let files = terminal.scene.path("files");
    std::os::unix::fs::symlink("0000", files.join("link")).unwrap();
    let good = ["upload", "files", "s3://bucket/p/"];
    let output = terminal.command(good).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("uploaded ").count(), 3);
    assert!(said(&output).contains("files/link"), "{}", said(&output));

    let bad = std::ffi::OsStr::from_bytes(b"no\xff");
    std::fs::write(files.join(bad), "").unwrap();
    let output = terminal.command([&good[..], &["--json"]].concat()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (left, done): (Vec<_>, Vec<_>) = lines.iter().partition(|it| it["left_out"] == true);
    assert_eq!((left.len(), done.len()), (1, 3), "{told}");
    assert_eq!(left[0]["error"]["code"], "NotUtf8");
    assert!(done.iter().all(|it| it["state"] == "completed"));
    let name = format!("{} to s3://bucket/p/", files.display());
    assert!(done.iter().all(|it| it["group"] == name.as_str()));
    assert!(said(&output).contains("1 files were left out"));
    let states: Vec<_> = groups(&terminal, &[])
        .iter()
        .map(|group| group["state"].clone())
        .collect();
    assert_eq!(states, ["completed", "failed"]);
    let shown = groups(&terminal, &["2"]);
    assert_eq!(shown[1]["error"]["code"], "NotUtf8");
}

#[test]
fn several_paths_are_judged_as_one_directory_is_and_what_is_named_twice_goes_once() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 3, 10);
    let line = ["upload", "files/0000", "files", "s3://bucket/p/"];
    let output = terminal.command(line).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("uploaded ").count(), 3);

    let bad = std::ffi::OsStr::from_bytes(b"no\xff");
    std::fs::write(terminal.scene.path("files").join(bad), "").unwrap();
    let output = terminal.command(line).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("not UTF-8"), "{}", said(&output));
    assert_eq!(said(&output).matches("uploaded ").count(), 3);
}

#[test]
fn an_interrupted_directory_goes_on_with_the_same_line_and_a_killed_one_too() {
    for signal in ["INT", "KILL"] {
        let terminal = Terminal::start();
        filled(&terminal, "files", 12, 1 << 20);
        terminal.bandwidth(4 << 20);
        let args = ["upload", "--concurrency", "2", "files", "s3://bucket/p/"];
        let upload = terminal.begin(args);
        terminal.until("some are there", || {
            let list = terminal.list();
            list.iter().filter(|it| it["state"] == "completed").count() > 2
        });
        upload.signal(signal);
        let code = upload.ends();
        assert_eq!(code, (signal == "INT").then_some(130), "{signal}");
        assert_eq!(state(&terminal), "waiting");
        terminal.bandwidth(0);
        let before = terminal.received();
        terminal.done(args);
        assert!(
            terminal.received() - before < 12 << 20,
            "not all of it again"
        );
        assert_eq!(groups(&terminal, &[]).len(), 1);
        assert_eq!(terminal.states(), ["completed"; 12]);
        for n in 0..12 {
            let file = terminal.scene.path(format!("files/{n:04}"));
            let object = terminal.sha256_of_object(&format!("p/{n:04}"));
            assert_eq!(object, terminal.sha256(&file));
        }
    }
}

#[test]
fn a_detached_group_is_carried_by_whoever_is_in_the_background() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 3, 10);
    let said = terminal.done(["upload", "--detach", "files", "s3://bucket/p/"]);
    assert_eq!(said, "group 1\n");
    terminal.until("it is done", || state(&terminal) == "completed");
    let args = ["download", "--detach", "--json", "s3://bucket/p/", "back/"];
    let said = terminal.done(args);
    let group: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&group["id"], &group["type"]),
        (&json!(2), &json!("download"))
    );
    terminal.until("it came back", || {
        groups(&terminal, &["2"])[0]["state"] == "completed"
    });
    assert!(terminal.scene.path("back/0002").exists());
    terminal.until("nothing stays behind", || terminal.owner().is_none());
}

#[test]
fn a_group_goes_on_with_its_command_when_the_owner_of_the_state_leaves() {
    let terminal = Terminal::start();
    terminal.scene.file("own", 24 << 20, 1);
    filled(&terminal, "files", 12, 1 << 20);
    terminal.bandwidth(4 << 20);
    let owner = terminal.begin(["upload", "own", "s3://bucket/own"]);
    terminal.until("it owns the state", || {
        terminal.owner() == Some(owner.pid())
    });
    let group = terminal.begin(["upload", "files", "s3://bucket/p/"]);
    terminal.until("both are under way", || {
        let list = terminal.list();
        list.iter()
            .any(|it| it["group"].is_string() && it["state"] == "completed")
    });
    owner.signal("INT");
    assert_eq!(owner.ends(), Some(130));
    terminal.until("the group's command owns the state", || {
        terminal.owner() == Some(group.pid())
    });
    terminal.bandwidth(0);
    let told = group.succeeds();
    assert_eq!(told.matches("uploaded ").count(), 12, "{told}");
}

#[test]
fn a_group_that_is_paused_elsewhere_is_waited_for_and_one_that_is_canceled_ends_its_command() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 6, 1 << 20);
    terminal.bandwidth(2 << 20);
    let upload = terminal.begin(["upload", "files", "s3://bucket/p/"]);
    terminal.until("it is under way", || terminal.received() > 1 << 20);
    terminal.done(["pause", "--group", "1"]);
    assert_eq!(state(&terminal), "paused");
    let watch = terminal.begin(["watch", "--json", "--group", "1"]);
    terminal.bandwidth(0);
    terminal.done(["resume", "--group", "1"]);
    upload.succeeds();
    let watched = watch.succeeds();
    let last: Value = serde_json::from_str(watched.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "completed");
    terminal.refused(["watch", "--group", "none"], "there is no group none");
    terminal.bandwidth(2 << 20);
    let upload = terminal.begin(["upload", "files", "s3://bucket/again/"]);
    terminal.until("it is under way", || {
        let groups = groups(&terminal, &["--unfinished"]);
        groups.iter().any(|it| it["transfers"]["completed"] != 0)
    });
    terminal.done(["cancel", "--group", "2"]);
    assert_eq!(upload.ends(), Some(1));
}

#[test]
fn a_prefix_that_cannot_be_listed_yet_is_given_up_and_stays_recorded() {
    let terminal = Terminal::start();
    let args = [
        "download",
        "--connect-timeout",
        "1s",
        "s3://bucket/p/",
        "dir/",
    ];
    let mut without_keys = terminal.command(args);
    for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        without_keys.env_remove(key);
    }
    let output = without_keys.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("without an answer from the store"), "{told}");
    assert!(told.contains("AWS_ACCESS_KEY_ID"), "{told}");
    assert_eq!(state(&terminal), "waiting");
    // And then there is nothing below it.
    terminal.refused(args, "no object below s3://bucket/p/");
    assert_eq!(groups(&terminal, &[]).len(), 1);
}

#[test]
fn a_quiet_directory_whose_store_answers_in_the_end_is_not_given_up() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 20, 1 << 20);
    offline(&terminal, true);
    let args = ["-q", "upload", "--connect-timeout", "4s"];
    let upload = terminal.begin([&args[..], &["files", "s3://bucket/q/"]].concat());
    terminal.until("it waits for the store", || {
        let states = terminal.states();
        states.iter().any(|state| state == "waiting_for_network")
    });
    terminal.bandwidth(4 << 20); // so that it takes longer than is waited
    offline(&terminal, false);
    assert_eq!(upload.succeeds(), "");
}

#[test]
fn a_directory_that_is_named_by_a_link_is_the_one_that_it_leads_to() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 2, 10);
    std::fs::create_dir(terminal.scene.path("files/sub")).unwrap();
    terminal.scene.file("files/sub/below", 10, 1);
    let link = terminal.scene.path("link");
    std::os::unix::fs::symlink("files", link).unwrap();
    for (dir, prefix) in [("link", "a/"), ("files/.", "b/"), ("files/sub/..", "c/")] {
        terminal.done(["upload", dir, &format!("s3://bucket/{prefix}")]);
        terminal.sha256_of_object(&format!("{prefix}sub/below"));
    }
    // Apart from all others, and gone with the command.
    let apart = ["download", "--ephemeral", "s3://bucket/a/", "back"];
    terminal.done(apart);
    assert!(terminal.scene.path("back/sub/below").exists());
    assert_eq!(groups(&terminal, &[]).len(), 3);
}

#[test]
fn a_group_whose_credentials_are_gone_waits_for_some_and_lists_with_those_of_resume() {
    let terminal = Terminal::start();
    filled(&terminal, "files", 3, 10);
    terminal.done(["upload", "files", "s3://bucket/p/"]);
    let start_without_keys = || {
        let mut start = terminal.command(["daemon", "start"]);
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            start.env_remove(key);
        }
        let output = start.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        Daemon(&terminal)
    };
    let daemon = start_without_keys();
    offline(&terminal, true);
    terminal.done(["download", "--detach", "s3://bucket/p/", "back"]);
    drop(daemon);
    terminal.until("the daemon has left", || terminal.owner().is_none());
    offline(&terminal, false);
    let _daemon = start_without_keys();
    let second = || groups(&terminal, &["2"])[0].clone();
    terminal.until("it waits for credentials", || {
        second()["error"]["code"] == "Credentials"
    });
    assert_eq!(second()["state"], "waiting");
    terminal.done(["resume", "--group", "2"]);
    terminal.until("it is done", || second()["state"] == "completed");
    assert!(terminal.scene.path("back/0002").exists());
}

#[test]
fn the_same_line_with_another_priority_changes_that_of_its_group() {
    let terminal = Terminal::start();
    let _daemon = Daemon::start(&terminal);
    filled(&terminal, "files", 3, 10);
    offline(&terminal, true);
    let line = ["upload", "--detach", "files", "s3://bucket/p/"];
    assert_eq!(terminal.done(line), "group 1\n");
    terminal.until("all is listed", || terminal.list().len() == 3);
    let urgent = [&line[..], &["--priority", "high"]].concat();
    assert_eq!(terminal.done(urgent), "group 1\n");
    assert_eq!(groups(&terminal, &["1"])[0]["priority"], "high");
    assert!(terminal.list().iter().all(|it| it["priority"] == "high"));
    let other = [&line[..], &["--if-absent"]].concat();
    terminal.refused(other, "group 1");
}
