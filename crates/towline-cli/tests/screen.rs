//! `watch` and `list` on a real terminal.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod pty;
mod terminal;

use pty::Pty;
use terminal::{MIB, Running, Terminal};
use towline_testserver::Operation;

/// Large enough that it is not done before the test is.
const SIZE: u64 = 80 * MIB;

/// A daemon, and the table of its transfers.
struct Scene {
    terminal: Terminal,
    daemon: Running,
    pty: Pty,
}

fn daemon(terminal: &Terminal) -> Running {
    let daemon = terminal.begin(["daemon", "run"]);
    terminal.until("it owns the state", || {
        terminal.owner() == Some(daemon.pid())
    });
    daemon
}

impl Scene {
    /// With these keys being uploaded, slowly.
    fn start(keys: &[&str], width: u16, height: u16) -> Self {
        let terminal = Terminal::start();
        terminal.bandwidth(2 * MIB);
        let daemon = daemon(&terminal);
        terminal.scene.file("file", SIZE, 1);
        for key in keys {
            terminal.done(["upload", "--detach", "file", &format!("s3://bucket/{key}")]);
        }
        let pty = Pty::run(terminal.command(["watch"]), width, height);
        pty.until_it_shows("q quit");
        Self {
            terminal,
            daemon,
            pty,
        }
    }

    fn quits(mut self) {
        assert!(self.pty.is_taken());
        self.pty.types("q");
        assert_eq!(self.pty.ends(), Some(0));
        self.pty.assert_as_before();
        self.daemon.signal("KILL");
    }
}

#[test]
fn the_table_shows_transfers_and_keys_pause_and_resume_one_for_real() {
    let mut scene = Scene::start(&["one", "two"], 150, 12);
    for text in [
        "ID",
        "OBJECT",
        "FILE",
        "s3://bucket/one",
        "s3://bucket/two",
        "2 in progress",
    ] {
        scene.pty.until_it_shows(text);
    }
    scene.pty.until_it_shows("iB/s");
    // The second one, by the arrow.
    scene.pty.types("\u{1b}[B");
    scene.pty.until_it_shows(">       2");
    scene.pty.types("p");
    scene.terminal.until("it is paused", || {
        scene.terminal.states() == ["in_progress", "paused"]
    });
    scene.pty.until_it_shows("1 in progress, 1 paused");
    scene.pty.until_it_shows("2 paused");
    scene.pty.types("r");
    scene.pty.until_it_shows("2 in progress");
    assert_eq!(scene.terminal.states(), ["in_progress", "in_progress"]);
    scene.terminal.bandwidth(0);
    scene.pty.until("both are done", |pty| {
        pty.lines()
            .iter()
            .filter(|line| line.contains("completed"))
            .count()
            == 2
    });
    assert_eq!(scene.terminal.states(), ["completed", "completed"]);
    // What can be done no more is said.
    scene.pty.types("p");
    scene.pty.until_it_shows("nothing to pause");
    scene.quits();
}

#[test]
fn cancel_asks_first() {
    let mut scene = Scene::start(&["one"], 130, 12);
    scene.pty.until_it_shows(">       1");
    scene.pty.types("c");
    scene.pty.until_it_shows("y/n");
    scene.pty.types("n");
    scene.pty.until_it_shows("q quit");
    assert_eq!(scene.terminal.states(), ["in_progress"]);
    scene.pty.types("c");
    scene.pty.until_it_shows("cancel 1");
    scene.pty.types("y");
    scene.pty.until_it_shows("canceled");
    scene
        .terminal
        .until("it is canceled", || scene.terminal.states() == ["canceled"]);
    scene.pty.types("t");
    scene.terminal.until("it is tried again", || {
        scene.terminal.states() == ["in_progress"]
    });
    scene.quits();
}

#[test]
fn a_filter_leaves_the_others_out_and_every_size_of_a_terminal_is_filled() {
    let mut scene = Scene::start(&["red", "green", "blue"], 130, 12);
    scene.pty.until_it_shows("s3://bucket/blue");
    scene.pty.types("/GREEN");
    scene.pty.until_it_shows("/GREEN_");
    scene.pty.until("the others are left out", |pty| {
        pty.shows("s3://bucket/green")
            && !pty.shows("s3://bucket/red")
            && !pty.shows("s3://bucket/blue")
    });
    // A q is a letter here.
    scene.pty.types("q");
    scene
        .pty
        .until("none is left", |pty| !pty.shows("s3://bucket/green"));
    scene.pty.types("\u{7f}\r");
    scene.pty.until_it_shows("q quit");
    scene.pty.until_it_shows("s3://bucket/green");
    scene.pty.types("\u{1b}");
    scene.pty.until_it_shows("s3://bucket/red");
    for (width, height) in [(60, 8), (200, 30), (20, 4), (1, 1), (80, 24)] {
        scene.pty.resize(width, height);
        if width >= 60 {
            let last = usize::from(height) - 1;
            scene.pty.until("the help is on the last line", |pty| {
                pty.lines()
                    .get(last)
                    .is_some_and(|line| line.contains("p pause"))
            });
            scene.pty.until_it_shows("s3://");
        }
    }
    scene.quits();
}

#[test]
fn the_table_goes_on_with_the_next_owner() {
    let mut scene = Scene::start(&["one"], 130, 12);
    scene
        .pty
        .until_it_shows(&format!("daemon {}", scene.daemon.pid()));
    scene.pty.until_it_shows("in_progress");
    scene.daemon.signal("TERM");
    scene.pty.until_it_shows("nobody carries transfers");
    scene.pty.until_it_shows("waiting (not running)");
    scene.pty.types("p");
    scene.pty.until_it_shows("daemon start");
    let next = daemon(&scene.terminal);
    scene.pty.until_it_shows(&format!("daemon {}", next.pid()));
    scene.terminal.bandwidth(0);
    scene.pty.until_it_shows("completed");
    scene.daemon = next;
    scene.quits();
}

#[test]
fn a_signal_and_control_c_leave_the_terminal_as_it_was() {
    let mut scene = Scene::start(&[], 100, 10);
    assert!(scene.pty.is_taken());
    scene.pty.signal("TERM");
    assert_eq!(scene.pty.ends(), Some(143));
    scene.pty.assert_as_before();

    scene.pty = Pty::run(scene.terminal.command(["watch"]), 100, 10);
    scene.pty.until_it_shows("q quit");
    scene.pty.types("\u{3}");
    assert_eq!(scene.pty.ends(), Some(0));
    scene.pty.assert_as_before();
    scene.daemon.signal("KILL");
}

/// FAILURES S21: what would ring, set the title, move the cursor or turn the
/// order of letters round.
const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{1b}[2J\r\n\u{9b}1m\u{202e}b\u{2066}";

#[test]
fn s21_names_that_would_steer_the_terminal_are_shown_as_text() {
    let mut scene = Scene::start(&[HOSTILE], 200, 12);
    scene
        .pty
        .until_it_shows("s3://bucket/a\\u{1b}]0;title\\u{7}");
    scene.pty.types("c");
    scene.pty.until_it_shows("y/n");
    scene.pty.types("n");
    let mut shown = scene.pty.bytes();
    for args in [
        vec!["list"],
        vec!["show", "1"],
        vec!["list", "--state", "in_progress"],
    ] {
        let mut list = Pty::run(scene.terminal.command(args), 200, 40);
        assert_eq!(list.ends(), Some(0));
        list.until_it_shows("s3://bucket/a\\u{1b}]0;title\\u{7}");
        let rows = list.lines();
        assert!(
            rows.iter().filter(|row| row.contains("bucket")).count() <= 1,
            "{rows:?}"
        );
        shown.extend(list.bytes());
    }
    let text = String::from_utf8_lossy(&shown);
    for hostile in ["\u{7}", "\u{1b}]", "\u{9b}", "\u{202e}", "\u{2066}"] {
        assert!(!text.contains(hostile), "{hostile:?}");
    }
    scene.quits();
}

#[test]
fn a_list_fits_the_terminal_and_tells_how_fast_and_how_long_still() {
    let scene = Scene::start(
        &["one", "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字"],
        100,
        10,
    );
    let list = |width: u16| {
        let mut list = Pty::run(scene.terminal.command(["list"]), width, 10);
        assert_eq!(list.ends(), Some(0));
        list.until_it_shows("s3://bucket/one");
        list.until("both rows", |list| list.lines()[2].contains("2"));
        list
    };
    // Nothing may move while it looks.
    let told = (0..100).any(|_| {
        let rows = list(160).lines();
        let titles = ["RATE", "LEFT"].iter().all(|title| rows[0].contains(title));
        assert!(titles && rows[3].is_empty(), "{rows:?}");
        rows[1].contains("iB/s")
    });
    assert!(told);
    let narrow = list(60);
    let rows = narrow.lines();
    assert!(rows[2].contains('…'), "{rows:?}");
    assert_eq!(rows[3], "", "a row is one line: {rows:?}");
    scene.quits();
}

#[test]
fn without_a_terminal_watch_and_list_write_lines() {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 1);
    terminal.done(["upload", "file", "s3://bucket/one"]);
    let said = terminal.done(["watch", "1"]);
    assert!(
        said.contains("s3://bucket/one") && !said.contains('\u{1b}'),
        "{said}"
    );
    let listed = terminal.done(["list"]);
    assert!(listed.starts_with("    1  upload    completed"), "{listed}");
}

#[test]
fn a_list_takes_filters_and_says_when_there_are_more() {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 1);
    for key in ["a", "b", "c"] {
        terminal.done(["upload", "file", &format!("s3://bucket/{key}")]);
    }
    let keys = |args: &[&str]| -> Vec<String> {
        let listed = terminal.done(["list", "--json"].iter().chain(args));
        let rows = listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        rows.map(|row: serde_json::Value| row["key"].as_str().unwrap().to_owned())
            .collect()
    };
    let look = || {
        assert_eq!(keys(&[]), ["a", "b", "c"]);
        assert_eq!(keys(&["--all"]), ["a", "b", "c"]);
        assert_eq!(keys(&["--limit", "2"]), ["b", "c"]);
        assert_eq!(keys(&["--key", "b"]), ["b"]);
        assert_eq!(
            keys(&["--bucket", "bucket", "--state", "completed,failed"]).len(),
            3
        );
        assert_eq!(keys(&["--bucket", "another"]), [] as [&str; 0]);
        assert_eq!(keys(&["--type", "download"]), [] as [&str; 0]);
        assert_eq!(keys(&["--state", "paused", "--all"]), [] as [&str; 0]);
    };
    look();
    let few = terminal.begin(["list", "--limit", "1"]).output();
    assert!(String::from_utf8_lossy(&few.stderr).contains("the newest 1; --all shows all"));
    let all = terminal.begin(["list", "--limit", "3"]).output();
    assert_eq!(String::from_utf8_lossy(&all.stderr), "");
    assert_eq!(terminal.code(["list", "--all", "--limit", "1"]), Some(2));
    // The same from who owns the state.
    let daemon = daemon(&terminal);
    look();
    daemon.signal("TERM");
    daemon.ends();
}

#[test]
fn show_tells_options_parts_proof_and_what_went_wrong_with_the_request_of_s3() {
    let terminal = Terminal::start();
    terminal.scene.file("file", 12 * MIB, 1);
    let faults = terminal.scene.server.faults();
    faults.fail_next(Operation::UploadPart, 1, 503, "SlowDown");
    let options = ["--part-size", "5MiB", "--metadata", "colour=blue"];
    let upload = ["upload", "file", "s3://bucket/file"];
    terminal.done(upload.into_iter().chain(options));
    let shown = terminal.done(["show", "1"]);
    for text in [
        "transfer    upload 1\n",
        "state       completed, transferred\n",
        "object      s3://bucket/file\n",
        "bytes       12582912 of 12582912 (12.00 MiB), 100%\n",
        "parts       3 of 5.00 MiB\n",
        "option      part size 5242880\n",
        "colour",
        "verified    full-object by ",
        "SlowDown: ",
        "status 503, request ",
        " UTC  asked for\n",
        " UTC  completed\n",
    ] {
        assert!(shown.contains(text), "{text:?} in\n{shown}");
    }
}
