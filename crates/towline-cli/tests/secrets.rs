//! Secrets are found in no file, log, output, socket answer or process
//! argument. T38.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use terminal::{MIB, Terminal, said};
use towline_testkit::crash::Canaries;

fn with_canaries(mut command: Command) -> Command {
    command.envs(Canaries::environment());
    command
}

fn answer(socket: &Path, path: &str) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    answer
}

#[test]
fn t38_secrets_are_in_no_file_log_output_answer_or_argument() {
    let terminal = Terminal::start_with("test", Canaries::SECRET);
    terminal.scene.file("own", 30 * MIB, 1);
    terminal.scene.file("other", 30 * MIB, 2);
    terminal.bandwidth(20 * MIB);
    // The owner, a client that hands its secrets over, and one in the background.
    let owner = with_canaries(terminal.command(["upload", "-vvv", "own", "s3://bucket/own"]));
    let owner = terminal.spawn(owner);
    terminal.until("it owns the state", || terminal.owner().is_some());
    let mut client = terminal.command(["upload", "-vvv", "other", "s3://bucket/other"]);
    client.env("AWS_ACCESS_KEY_ID", "another");
    let client = terminal.spawn(with_canaries(client));
    let args = ["upload", "--detach", "own", "s3://bucket/detached"];
    let detached = terminal.spawn(with_canaries(terminal.command(args)));
    let detached = detached.output();
    Canaries::assert_none_in("the output of --detach", said(&detached).as_bytes());

    let others = |t: &serde_json::Value| t["key"] == "other" && t["error"].is_object();
    terminal.until("the other one is refused", || {
        terminal.list().iter().any(others)
    });
    let socket = terminal.scene.path("state/towline.sock");
    for path in [
        "/v1/about",
        "/v1/transfers",
        "/v1/transfers/1",
        "/v1/transfers/2",
    ] {
        Canaries::assert_none_in(path, &answer(&socket, path));
    }
    Canaries::assert_none_in_arguments();
    for pid in [owner.pid(), client.pid()] {
        // Memory is left in no core file either.
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let words: Vec<&str> = core.unwrap().split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{core:?}");
    }
    let looked = Canaries::assert_none_in_files(&terminal.scene.path("state"));
    assert!(looked >= 3, "{looked} files");
    client.signal("KILL");
    client.ends();
    terminal.bandwidth(0);
    let output = owner.output();
    assert!(said(&output).contains("TRACE"), "the log says nothing");
    Canaries::assert_none_in("what the owner said", said(&output).as_bytes());
    terminal.until("the background is done", || {
        let done = |t: &serde_json::Value| t["key"] != "detached" || t["state"] == "completed";
        terminal.list().iter().all(done)
    });
    if let Some(pid) = terminal.owner() {
        Command::new("kill").arg(pid.to_string()).status().unwrap();
    }
    terminal.until("it has left", || terminal.owner().is_none());
    Canaries::assert_none_in_files(&terminal.scene.path("state"));
}

#[test]
fn t38_secrets_are_not_in_the_log_of_a_daemon_in_json_at_trace() {
    let terminal = Terminal::start_with("test", Canaries::SECRET);
    let options = ["--log-format", "json", "--log-level", "trace"];
    let start = terminal.command(["daemon", "start"].into_iter().chain(options));
    let start = terminal.spawn(with_canaries(start));
    let said = start.succeeds();
    Canaries::assert_none_in("what start said", said.as_bytes());
    terminal.scene.file("own", 6 * MIB, 1);
    let client = |args: &[&str], access_key: &str| {
        let mut client = terminal.command(args);
        client.env("AWS_ACCESS_KEY_ID", access_key);
        terminal.spawn(with_canaries(client))
    };
    client(&["upload", "own", "s3://bucket/own"], "test").succeeds();
    client(&["download", "s3://bucket/own", "copy"], "test").succeeds();
    let refused = client(&["upload", "own", "s3://bucket/refused"], "another");
    let others = |t: &serde_json::Value| t["key"] == "refused" && t["error"].is_object();
    terminal.until("it is refused", || terminal.list().iter().any(others));
    refused.signal("KILL");
    refused.ends();
    terminal.done(["daemon", "stop"]);
    let log = std::fs::read_to_string(terminal.scene.path("state/towline.log")).unwrap();
    let traces = log.lines().filter(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["level"] == "TRACE"
    });
    assert!(traces.count() > 0, "the log says nothing");
    let looked = Canaries::assert_none_in_files(&terminal.scene.path("state"));
    assert!(looked >= 3, "{looked} files");
}
