//! Caps on how fast bytes move: `--bandwidth`, and `towline limits`. T69. The
//! machine is shared, so only what is too fast fails.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use terminal::{MIB, Terminal, said};

/// Stops the daemon that a failed assertion would leave behind.
struct Started<'a>(&'a Terminal);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.0.owner() {
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
    }
}

fn limits(terminal: &Terminal, options: &[&str]) -> Value {
    let said = terminal.done([&["limits", "--json"][..], options].concat());
    serde_json::from_str(&said).unwrap()
}

#[test]
fn t69_an_upload_and_a_download_with_a_cap_are_no_faster() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", 12 * MIB, 1);
    for command in [
        [
            "upload",
            "--bandwidth",
            "4MiB/s",
            "file",
            "s3://bucket/p/file",
        ],
        [
            "download",
            "--bandwidth",
            "4MiB",
            "s3://bucket/p/file",
            "copy",
        ],
        // A prefix has a cap of its group.
        [
            "download",
            "--bandwidth",
            "4194304",
            "s3://bucket/p/",
            "dir/",
        ],
    ] {
        let begun = Instant::now();
        terminal.done(command);
        // 3 s, less what may come at once.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(2500), "{command:?}: {took:?}");
    }
    let sum = terminal.sha256(&source);
    assert_eq!(terminal.sha256_of_object("p/file"), sum);
    for copy in ["copy", "dir/file"] {
        assert_eq!(terminal.sha256(&terminal.scene.path(copy)), sum);
    }
}

#[test]
fn t69_a_daemon_has_caps_that_are_shown_and_changed_while_it_runs() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    terminal.refused(["limits"], "nobody carries the transfers");
    terminal.done(["daemon", "start", "--bandwidth", "up:16KiB,down:20MiB"]);
    let now = limits(&terminal, &[]);
    let both = json!({ "upload": 16384, "download": 20 << 20 });
    assert_eq!((&now["bandwidth"], &now["groups"]), (&both, &json!({})));

    terminal.scene.file("file", 6 * MIB, 1);
    let upload = terminal.begin(["upload", "file", "s3://bucket/file"]);
    terminal.until("it is under way", || {
        terminal.states() == ["in_progress"] && terminal.received() > 0
    });
    // It cannot cap these transfers alone, and touches no other's limits.
    let refused = ["upload", "--bandwidth", "1MiB", "file", "s3://bucket/other"];
    terminal.refused(refused, "towline limits --upload");
    assert_eq!(terminal.list().len(), 1);
    assert_eq!(limits(&terminal, &[]), now);

    let refused = ["upload", "--request-rate", "9", "file", "s3://bucket/other"];
    terminal.refused(refused, "towline limits --request-rate");
    let set = limits(&terminal, &["--request-rate", "500"]);
    assert_eq!(set["request_rate"], 500);
    assert!(
        terminal
            .done(["limits"])
            .contains("rate       500 requests/s\n")
    );
    let set = limits(&terminal, &["--request-rate", "none"]);
    assert_eq!(set, now);

    let set = limits(&terminal, &["--upload", "none", "--requests", "3"]);
    assert_eq!(set["bandwidth"]["upload"], Value::Null);
    assert_eq!(
        (&set["requests"], &set["bandwidth"]["download"]),
        (&json!(3), &both["download"])
    );
    upload.succeeds(); // which would have taken 6 minutes

    let set = limits(&terminal, &["--group", "a\u{1b}b", "--upload", "2MiB/s"]);
    let of_group = json!({ "upload": 2 << 20, "download": null });
    assert_eq!(set["groups"], json!({ "a\u{1b}b": of_group }));
    let text = terminal.done(["limits"]);
    assert!(
        text.contains("upload     no cap\ndownload   20.00 MiB/s\n"),
        "{text}"
    );
    assert!(
        text.contains("a\\u{1b}b: upload 2.00 MiB/s, download no cap"),
        "{text}"
    );
    let set = limits(&terminal, &["--group", "a\u{1b}b", "--upload", "none"]);
    assert_eq!(set["groups"], json!({}));

    // One that runs already keeps to what it is told now.
    let start = ["daemon", "start", "--bandwidth", "up:none,down:1MiB"];
    terminal.done([&start[..], &["--request-rate", "70"]].concat());
    let now = limits(&terminal, &[]);
    assert_eq!(now["request_rate"], 70);
    let now = now["bandwidth"].clone();
    assert_eq!(now, json!({ "upload": null, "download": 1 << 20 }));
    terminal.done(["daemon", "stop"]);
}

#[test]
fn t69_the_cap_of_a_prefix_is_told_to_whoever_carries_it_and_lifted_at_the_end() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    terminal.scene.file("file", 6 * MIB, 1);
    terminal.done(["upload", "file", "s3://bucket/p/file"]);
    terminal.done(["daemon", "start"]);
    let args = ["download", "--bandwidth", "16KiB", "s3://bucket/p/", "dir/"];
    let download = terminal.begin(args);
    let group = || {
        let now = limits(&terminal, &[]);
        let groups = now["groups"].as_object().unwrap();
        groups
            .iter()
            .next()
            .map(|(name, caps)| (name.clone(), caps.clone()))
    };
    terminal.until("its group has a cap", || group().is_some());
    let (name, caps) = group().unwrap();
    assert_eq!(caps, json!({ "upload": null, "download": 16384 }));
    terminal.until("it is under way", || {
        terminal
            .list()
            .iter()
            .any(|one| one["group"] == name.as_str())
    });
    limits(&terminal, &["--group", &name, "--download", "100MiB"]);
    download.succeeds(); // which would have taken 6 minutes
    assert_eq!(group(), None);
    terminal.done(["daemon", "stop"]);
}

#[test]
fn a_rate_that_is_none_is_refused_as_it_is_read() {
    let terminal = Terminal::start();
    for wrong in [
        &["upload", "--bandwidth", "fast", "file", "s3://bucket/key"][..],
        &["upload", "--bandwidth", "1000", "file", "s3://bucket/key"],
        &[
            "upload",
            "--bandwidth",
            "1MiB",
            "--detach",
            "file",
            "s3://bucket/key",
        ],
        &["daemon", "run", "--bandwidth", "up:1MiB,up:2MiB"],
        &["daemon", "run", "--bandwidth", "left:1MiB"],
        &["limits", "--upload", "0"],
        &["limits", "--group", "g"],
        &["limits", "--requests", "0"],
        &["limits", "--request-rate", "0"],
        &["daemon", "run", "--request-rate", "fast"],
    ] {
        let output = terminal.begin(wrong).output();
        assert_eq!(
            output.status.code(),
            Some(2),
            "{wrong:?}: {}",
            said(&output)
        );
    }
    assert!(!terminal.scene.path("state").exists());
}
