//! Secrets are found in no file, log, output, socket answer or process
//! argument. T38.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use terminal::{MIB, Terminal, said};

/// Found nowhere, neither plain nor as base64 or hexadecimal digits.
const SECRET: &str = "canary/secret+0123456789abcdefghijklmno";
const TOKEN: &str = "canary-session-token-0123456789";

fn with_canaries(mut command: Command) -> Command {
    command
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("TOWLINE_LOG", "trace");
    command
}

fn assert_clean(place: &str, bytes: &[u8]) {
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    for secret in [SECRET, TOKEN] {
        for form in [secret.to_owned(), hex(secret), base64(secret)] {
            assert!(
                !text.contains(&form.to_lowercase()),
                "a secret is in {place}"
            );
        }
    }
}

/// Without the last characters, which depend on what follows.
fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = text.as_bytes().chunks_exact(3).flat_map(|three| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize] as char)
    });
    whole.collect()
}

fn assert_clean_files(dir: &Path) -> usize {
    let mut looked = 0;
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            looked += assert_clean_files(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert_clean(&path.display().to_string(), &bytes);
            looked += 1;
        }
    }
    looked
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
    let terminal = Terminal::start_with("test", SECRET);
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
    assert_clean("the output of --detach", said(&detached).as_bytes());

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
        assert_clean(path, &answer(&socket, path));
    }
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    for process in processes {
        // Of a process that ended meanwhile there is nothing to see.
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert_clean("a process argument", &line);
    }
    let looked = assert_clean_files(&terminal.scene.path("state"));
    assert!(looked >= 3, "{looked} files");
    client.signal("KILL");
    client.ends();
    terminal.bandwidth(0);
    let output = owner.output();
    assert!(said(&output).contains("TRACE"), "the log says nothing");
    assert_clean("what the owner said", said(&output).as_bytes());
    terminal.until("the background is done", || {
        let done = |t: &serde_json::Value| t["key"] != "detached" || t["state"] == "completed";
        terminal.list().iter().all(done)
    });
    if let Some(pid) = terminal.owner() {
        Command::new("kill").arg(pid.to_string()).status().unwrap();
    }
    terminal.until("it has left", || terminal.owner().is_none());
    assert_clean_files(&terminal.scene.path("state"));
}

#[test]
fn t38_secrets_are_not_in_the_log_of_a_daemon_in_json_at_trace() {
    let terminal = Terminal::start_with("test", SECRET);
    let options = ["--log-format", "json", "--log-level", "trace"];
    let start = terminal.command(["daemon", "start"].into_iter().chain(options));
    let start = terminal.spawn(with_canaries(start));
    let said = start.succeeds();
    assert_clean("what start said", said.as_bytes());
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
    let looked = assert_clean_files(&terminal.scene.path("state"));
    assert!(looked >= 3, "{looked} files");
}
