//! One owner of a state at a time: who is second becomes a client, and when the
//! owner goes, a client takes over. T36.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use terminal::{MIB, Terminal, said};
use towline_testkit::crash::BUCKET;

const SIZE: u64 = 30 * MIB;

fn upload<'a>(key: &'a str, url: &'a str) -> [&'a str; 3] {
    ["upload", key, url]
}

#[test]
fn t36_a_second_command_is_served_by_the_first_which_stays_until_both_are_done() {
    let terminal = Terminal::start();
    let small = terminal.scene.file("small", MIB, 1);
    let big = terminal.scene.file("big", SIZE, 2);
    terminal.bandwidth(20 * MIB);
    let first = terminal.begin(upload("small", "s3://bucket/small"));
    terminal.until("it owns the state", || terminal.owner().is_some());
    assert_eq!(terminal.owner(), Some(first.pid()));
    let mode = |name: &str| {
        let path = terminal.scene.path("state").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("towline.sock")), (0o700, 0o600));

    let second = terminal.begin(upload("big", "s3://bucket/big"));
    second.succeeds();
    first.succeeds();
    assert_eq!(terminal.states(), ["completed", "completed"]);
    assert_eq!(terminal.sha256_of_object("small"), terminal.sha256(&small));
    assert_eq!(terminal.sha256_of_object("big"), terminal.sha256(&big));
    assert!(!terminal.scene.path("state/towline.sock").exists());
}

/// The owner gets a signal when some parts are confirmed and others under way.
fn the_owner_leaves(signal: &str, code: i32) {
    let terminal = Terminal::start();
    let other = terminal.scene.file("other", SIZE, 3);
    terminal.scene.file("own", SIZE, 4);
    terminal.bandwidth(30 * MIB);
    let owner = terminal.begin(upload("own", "s3://bucket/own"));
    terminal.until("it owns the state", || {
        terminal.owner() == Some(owner.pid())
    });
    let client = terminal.begin(upload("other", "s3://bucket/other"));
    terminal.until("the client's parts are there", || {
        !terminal.parts_answered("other").is_empty()
    });

    let asked = Instant::now();
    owner.signal(signal);
    let output = owner.output();
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert!(asked.elapsed() < Duration::from_secs(10));
    let confirmed = terminal.parts_answered("other");
    terminal.until("the client owns the state", || {
        terminal.owner() == Some(client.pid())
    });
    let said = client.succeeds();
    assert!(!said.contains("locked"), "{said}");
    assert_eq!(terminal.sha256_of_object("other"), terminal.sha256(&other));
    for part in confirmed {
        let times = terminal
            .scene
            .server
            .history()
            .times_part_sent("other", part);
        assert_eq!(times, 1, "part {part} had been confirmed");
    }
    // What was interrupted is nobody's, and goes on with the same command.
    assert_eq!(terminal.states(), ["waiting", "completed"]);
    assert_eq!(terminal.list()[0]["reason"], "not_running");
    terminal.bandwidth(0);
    terminal.done(upload("own", "s3://bucket/own"));
    assert_eq!(terminal.states(), ["completed", "completed"]);
}

#[test]
fn t36_an_owner_that_is_interrupted_hands_over_to_a_waiting_client() {
    the_owner_leaves("INT", 130);
}

#[test]
fn t36_an_owner_that_is_terminated_hands_over_to_a_waiting_client() {
    the_owner_leaves("TERM", 143);
}

#[test]
fn a_client_that_is_interrupted_leaves_its_transfer_to_the_owner() {
    let terminal = Terminal::start();
    for key in ["own", "other"] {
        terminal.scene.file(key, SIZE, 5);
    }
    terminal.bandwidth(30 * MIB);
    let owner = terminal.begin(upload("own", "s3://bucket/own"));
    terminal.until("it owns the state", || terminal.owner().is_some());
    let client = terminal.begin(upload("other", "s3://bucket/other"));
    terminal.until("it runs", || {
        terminal.states() == ["in_progress", "in_progress"]
    });
    client.signal("INT");
    let output = client.output();
    assert_eq!(output.status.code(), Some(130));
    assert!(said(&output).contains("another process goes on with it"));
    owner.succeeds();
    assert_eq!(terminal.states(), ["completed", "completed"]);
}

#[test]
fn a_paused_transfer_stays_paused_when_the_owner_changes() {
    let terminal = Terminal::start();
    for key in ["own", "other"] {
        terminal.scene.file(key, SIZE, 6);
    }
    terminal.bandwidth(20 * MIB);
    let owner = terminal.begin(upload("own", "s3://bucket/own"));
    terminal.until("it owns the state", || terminal.owner().is_some());
    let client = terminal.begin(upload("other", "s3://bucket/other"));
    terminal.until("it runs", || {
        terminal.states() == ["in_progress", "in_progress"]
    });
    terminal.done(["pause", "2"]);
    owner.signal("KILL");
    owner.ends();
    terminal.until("the client owns the state", || {
        terminal.owner() == Some(client.pid())
    });
    assert_eq!(terminal.states(), ["waiting", "paused"]);
    terminal.bandwidth(0);
    terminal.done(["resume", "2"]);
    client.succeeds();
    assert_eq!(terminal.states(), ["waiting", "completed"]);
}

#[test]
fn a_detached_upload_outlives_the_command_and_nothing_stays_behind() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", SIZE, 7);
    terminal.bandwidth(20 * MIB);
    let said = terminal.done(["upload", "--detach", "file", "s3://bucket/file"]);
    assert_eq!(said, "1\n");
    assert_eq!(terminal.list()[0]["state"], "in_progress");
    // Reached like any owner.
    terminal.done(["pause", "1"]);
    terminal.done(["resume", "1"]);
    terminal.done(["watch", "1"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    terminal.until("it has left", || terminal.owner().is_none());
    let log = std::fs::read_to_string(terminal.scene.path("state/towline.log")).unwrap();
    assert!(
        log.contains("INFO") && !log.contains("WARN") && !log.contains("ERROR"),
        "{log}"
    );
}

#[test]
fn what_is_detached_under_a_foreground_owner_goes_on_when_that_is_killed() {
    let terminal = Terminal::start();
    for key in ["own", "detached"] {
        terminal.scene.file(key, SIZE, 8);
    }
    terminal.bandwidth(20 * MIB);
    let owner = terminal.begin(upload("own", "s3://bucket/own"));
    terminal.until("it owns the state", || terminal.owner().is_some());
    terminal.done(["upload", "--detach", "detached", "s3://bucket/detached"]);
    owner.signal("KILL");
    owner.ends();
    terminal.bandwidth(0);
    // It goes on with all that is unfinished, and leaves.
    terminal.until("both are done", || {
        terminal.states() == ["completed", "completed"]
    });
    terminal.until("it has left", || terminal.owner().is_none());
}

#[test]
fn an_ephemeral_upload_is_recorded_nowhere() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", 7 * MIB, 9);
    terminal.done(["upload", "--ephemeral", "file", "s3://bucket/file"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    assert!(!terminal.scene.path("state").exists());
    assert_eq!(terminal.list(), [] as [serde_json::Value; 0]);
}

#[test]
fn credentials_are_the_clients_own_and_a_transfer_without_them_waits_for_some() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", SIZE, 10);
    // Who owns the state has none of its own.
    let daemon = |terminal: &Terminal| {
        let mut daemon = terminal.command(["daemon", "run"]);
        daemon.env_remove("AWS_ACCESS_KEY_ID");
        daemon.env_remove("AWS_SECRET_ACCESS_KEY");
        let daemon = terminal.spawn(daemon);
        terminal.until("it owns the state", || terminal.owner().is_some());
        daemon
    };
    terminal.bandwidth(20 * MIB);
    let first = daemon(&terminal);
    let client = terminal.begin(upload("file", "s3://bucket/file"));
    terminal.until("it moves", || !terminal.parts_answered("file").is_empty());
    client.signal("KILL");
    client.ends();
    first.signal("TERM");
    assert_eq!(first.ends(), Some(0));

    let second = daemon(&terminal);
    terminal.until("it waits for credentials", || {
        terminal.list()[0]["reason"] == "credentials"
    });
    assert_eq!(terminal.states(), ["waiting"]);
    terminal.bandwidth(0);
    terminal.done(["resume", "1"]);
    terminal.until("it is done", || terminal.states() == ["completed"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);
    second.signal("TERM");
    assert_eq!(second.ends(), Some(0));
}

#[test]
fn an_owner_that_is_done_leaves_what_waits_for_the_network_to_its_client() {
    let terminal = Terminal::start();
    for key in ["own", "other"] {
        terminal.scene.file(key, 6 * MIB, 11);
    }
    terminal.bandwidth(6 * MIB);
    let owner = terminal.begin(upload("own", "s3://bucket/own"));
    terminal.until("it owns the state", || terminal.owner().is_some());
    // Nobody listens there.
    let mut elsewhere = terminal.command(["upload", "--wait", "other", "s3://bucket/other"]);
    elsewhere.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let client = terminal.spawn(elsewhere);
    terminal.until("it waits", || {
        terminal
            .states()
            .iter()
            .any(|state| state == "waiting_for_network")
    });
    owner.succeeds();
    terminal.until("the client owns the state", || {
        terminal.owner() == Some(client.pid())
    });
    client.signal("TERM");
    assert_eq!(client.ends(), Some(143));
}
