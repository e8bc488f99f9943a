//! The daemon: started, reached, stopped, killed; what it tells systemd, and
//! what it logs.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use terminal::{MIB, Running, Terminal, said};
use towline_testkit::crash::BUCKET;
use towline_testkit::small_disk::SmallDisk;
use towline_testserver::{Operation, Point, Rule, Script};

const SIZE: u64 = 30 * MIB;

/// Leaving may take this long.
const LEAVE: Duration = Duration::from_secs(10);

fn status(terminal: &Terminal) -> Value {
    serde_json::from_str(&terminal.done(["daemon", "status", "--json"])).unwrap()
}

/// A daemon in the foreground that owns the state.
fn running(terminal: &Terminal) -> Running {
    let daemon = terminal.begin(["daemon", "run"]);
    terminal.until("it owns the state", || {
        terminal.owner() == Some(daemon.pid())
    });
    daemon
}

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

#[test]
fn a_daemon_is_started_once_told_of_and_stopped() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    terminal.refused(["daemon", "status"], "no daemon runs");
    assert_eq!(terminal.done(["daemon", "stop"]), "no daemon runs\n");

    let said = terminal.done(["daemon", "start"]);
    let pid = terminal.owner().unwrap();
    let state = terminal.scene.path("state").display().to_string();
    assert_eq!(
        said,
        format!("a daemon runs: process {pid}, state in {state}\n")
    );
    let said = terminal.done(["daemon", "start"]);
    assert_eq!(
        said,
        format!("a daemon runs already: process {pid}, state in {state}\n")
    );

    let source = terminal.scene.file("file", MIB, 1);
    terminal.done(["upload", "file", "s3://bucket/file"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    let now = status(&terminal);
    assert_eq!((&now["running"], &now["pid"]), (&true.into(), &pid.into()));
    assert_eq!(
        (&now["mode"], &now["version"]),
        (&"service".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(now["transfers"]["completed"], 1);
    assert_eq!(now["transfers"]["waiting"], 0);
    assert_eq!(now["addresses"][0], format!("unix:{state}/towline.sock"));
    assert!(now["since"].as_i64() > Some(1_500_000_000_000));
    let text = terminal.done(["daemon", "status"]);
    assert!(text.contains("1 completed"), "{text}");

    assert_eq!(
        terminal.done(["daemon", "stop"]),
        format!("stopped: process {pid}\n")
    );
    assert_eq!(terminal.owner(), None);
    assert_eq!(terminal.done(["daemon", "stop"]), "no daemon runs\n");
    // What stood in the log of the write-ahead is in the database.
    let wal = std::fs::metadata(terminal.scene.path("state/towline.db-wal"));
    assert_eq!(wal.map_or(0, |wal| wal.len()), 0);
}

#[test]
fn a_daemon_that_would_leave_when_idle_stays_when_one_is_started() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    terminal.scene.file("file", SIZE, 2);
    terminal.bandwidth(MIB);
    terminal.done(["upload", "--detach", "file", "s3://bucket/file"]);
    let pid = terminal.owner().unwrap();
    assert_eq!(status(&terminal)["mode"], "background");
    let said = terminal.done(["daemon", "start"]);
    assert!(said.contains(&format!("already: process {pid}")), "{said}");
    terminal.bandwidth(0);
    terminal.done(["watch", "1"]);
    // It would leave after two looks, a second apart.
    terminal.sleep(Duration::from_secs(3));
    assert_eq!(terminal.owner(), Some(pid));
    assert_eq!(status(&terminal)["mode"], "service");
    terminal.done(["daemon", "stop"]);
}

#[test]
fn a_foreground_command_that_owns_the_state_is_named_and_not_stopped_and_followed_by_a_daemon() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    terminal.scene.file("file", SIZE, 3);
    terminal.bandwidth(MIB);
    let upload = terminal.begin(["upload", "file", "s3://bucket/file"]);
    terminal.until("it owns the state", || terminal.owner().is_some());
    let said = terminal.done(["daemon", "stop"]);
    assert!(
        said.contains(&format!("process {} is a command", upload.pid())),
        "{said}"
    );
    assert_eq!(terminal.code(["daemon", "status"]), Some(1));

    let said = terminal.done(["daemon", "start", "--json"]);
    let started: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(started["waits_for_owner"], true);
    assert_eq!(terminal.owner(), Some(upload.pid()));
    terminal.bandwidth(0);
    upload.succeeds();
    terminal.until("the daemon owns the state", || {
        terminal.owner().map(Value::from).as_ref() == Some(&started["pid"])
    });
    terminal.done(["daemon", "stop"]);
}

#[test]
fn a_second_daemon_is_refused_and_names_the_first() {
    let terminal = Terminal::start();
    let first = running(&terminal);
    let name = format!("a daemon runs already: process {}", first.pid());
    terminal.refused(["daemon", "run"], &name);
    first.signal("TERM");
    assert_eq!(first.ends(), Some(0));
}

#[test]
fn what_a_daemon_has_under_way_at_sigterm_is_not_paused_and_goes_on_at_the_next_start() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", 2 * SIZE, 4);
    terminal.scene.object("object", 2 * SIZE, 5);
    terminal.bandwidth(10 * MIB);
    let daemon = running(&terminal);
    terminal.done(["upload", "--detach", "file", "s3://bucket/file"]);
    terminal.done(["download", "--detach", "s3://bucket/object", "copy"]);
    terminal.until("some is there", || {
        !terminal.parts_answered("file").is_empty()
    });
    let asked = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
    assert!(asked.elapsed() < LEAVE, "{:?}", asked.elapsed());
    let wal = std::fs::metadata(terminal.scene.path("state/towline.db-wal"));
    assert_eq!(wal.map_or(0, |wal| wal.len()), 0);
    let reasons = |t: &Value| (t["state"].clone(), t["reason"].clone());
    let waits = ("waiting".into(), "not_running".into());
    assert_eq!(
        terminal.list().iter().map(reasons).collect::<Vec<_>>(),
        [waits.clone(), waits]
    );
    let confirmed = terminal.parts_answered("file");

    terminal.bandwidth(0);
    let daemon = running(&terminal);
    terminal.until("both are done", || {
        terminal.states() == ["completed", "completed"]
    });
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    let copy = terminal.scene.path("copy");
    assert_eq!(terminal.sha256(&copy), terminal.sha256_of_object("object"));
    for part in confirmed {
        let times = terminal
            .scene
            .server
            .history()
            .times_part_sent("file", part);
        assert_eq!(times, 1, "part {part} had been confirmed");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
}

/// Parts that were sent whole are given a second for their answers.
#[test]
fn a_second_sigterm_ends_a_daemon_that_is_still_leaving() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", SIZE, 6);
    let silent = Rule::on(Operation::UploadPart).stall(Point::AfterRequest, None);
    let faults = terminal.scene.server.faults();
    faults.play(Script::new().rule(silent)).unwrap();
    // On a busy machine it may have left before the second one comes.
    let ended_at_once = (0..10).any(|_| {
        let mut daemon = terminal.command(["daemon", "run"]).spawn().unwrap();
        let pid = daemon.id().to_string();
        terminal.until("it owns the state", || {
            terminal.owner() == Some(daemon.id())
        });
        if terminal.list().is_empty() {
            terminal.done(["upload", "--detach", "file", "s3://bucket/file"]);
        }
        let sent = terminal.received();
        terminal.until("a part was sent whole", || {
            terminal.received() > sent + 8 * MIB
        });
        let kill = || Command::new("kill").arg(&pid).status().unwrap();
        kill();
        let mut log = String::new();
        for line in BufReader::new(daemon.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if line.contains("stopping") {
                kill();
            }
            log.push_str(&line);
        }
        assert_eq!(daemon.wait().unwrap().code(), Some(0), "{log}");
        assert!(log.contains("stopping"), "{log}");
        !log.contains("stopped")
    });
    assert!(ended_at_once);
    faults.clear();
    terminal.done(["upload", "file", "s3://bucket/file"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);
}

#[test]
fn f61_a_daemon_whose_state_was_full_opens_it_again_and_goes_on() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", 60 * MIB, 9);
    terminal.bandwidth(20 * MIB);
    let command = |args: &[&str]| {
        let mut command = terminal.command(args);
        command.env("TOWLINE_STATE_DIR", disk.path("state"));
        command
    };
    let mut daemon = command(&["daemon", "run"]).spawn().unwrap();
    let log = BufReader::new(daemon.stderr.take().unwrap());
    let mut log = log.lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("ready")));
    let args = ["upload", "--detach", "file", "s3://bucket/file"];
    assert!(command(&args).output().unwrap().status.success());
    terminal.until("parts are sent", || terminal.received() > 12 * MIB);
    let filler = disk.fill();
    assert!(log.any(|line| line.contains("opened again")));
    std::fs::remove_file(filler).unwrap();
    terminal.bandwidth(0);
    terminal.until("it is done", || {
        let listed = command(&["list", "--json"]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).contains("\"state\":\"completed\"")
    });
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));
    let sent = Command::new("kill").arg(daemon.id().to_string()).status();
    assert!(sent.unwrap().success());
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

/// What the service manager is told, line by line.
fn lines(socket: &UnixDatagram) -> impl Iterator<Item = String> + '_ {
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    std::iter::from_fn(|| {
        let mut buffer = [0; 4096];
        let len = socket.recv(&mut buffer).expect("it says nothing");
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
        Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
    })
    .flatten()
}

fn told_to_systemd(
    terminal: &Terminal,
    socket: &UnixDatagram,
    name: &str,
    watchdog_pid: Option<&str>,
) {
    let mut daemon = terminal.command(["daemon", "run"]);
    daemon
        .env("NOTIFY_SOCKET", name)
        .env("WATCHDOG_USEC", "600000");
    if let Some(pid) = watchdog_pid {
        daemon.env("WATCHDOG_PID", pid);
    }
    let daemon = terminal.spawn(daemon);
    let mut lines = lines(socket);
    let first = lines.find(|line| !line.starts_with("STATUS")).unwrap();
    assert_eq!(first, "READY=1");
    assert_eq!(
        terminal.owner(),
        Some(daemon.pid()),
        "it is said to be ready"
    );
    match watchdog_pid {
        None => {
            let pings = lines.by_ref().filter(|line| line == "WATCHDOG=1");
            assert_eq!(pings.take(4).count(), 4);
            daemon.signal("TERM");
            lines.find(|line| line == "STOPPING=1").unwrap();
        }
        Some(_) => {
            lines
                .find(|line| line == "STATUS=0 transfers under way")
                .unwrap();
            daemon.signal("TERM");
            let mut rest = lines.take_while(|line| line != "STOPPING=1");
            assert!(rest.all(|line| line != "WATCHDOG=1"));
        }
    }
    assert_eq!(daemon.ends(), Some(0));
}

#[test]
fn systemd_is_told_of_readiness_life_and_the_end_over_a_path_or_an_abstract_name() {
    let terminal = Terminal::start();
    let path = terminal.scene.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    told_to_systemd(&terminal, &socket, path.to_str().unwrap(), None);

    let name = format!("towline-test-{}-{}", std::process::id(), path.display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    told_to_systemd(&terminal, &socket, &format!("@{name}"), None);
    // A watchdog that is another process's.
    told_to_systemd(&terminal, &socket, &format!("@{name}"), Some("1"));
}

#[test]
fn systemd_is_told_what_a_daemon_waits_for_that_cannot_own_the_state_yet() {
    let terminal = Terminal::start();
    terminal.scene.file("file", SIZE, 7);
    terminal.bandwidth(MIB);
    let upload = terminal.begin(["upload", "file", "s3://bucket/file"]);
    terminal.until("it owns the state", || terminal.owner().is_some());
    let path = terminal.scene.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut daemon = terminal.command(["daemon", "run"]);
    daemon.env("NOTIFY_SOCKET", &path);
    let daemon = terminal.spawn(daemon);
    let mut lines = lines(&socket);
    assert_eq!(lines.next().unwrap(), "EXTEND_TIMEOUT_USEC=30000000");
    let owner = format!("process {}", upload.pid());
    assert!(lines.next().unwrap().contains(&owner));
    terminal.bandwidth(0);
    upload.succeeds();
    lines.find(|line| line == "READY=1").unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
}

#[test]
fn the_units_for_systemd_name_this_program_and_pass_its_check() {
    let terminal = Terminal::start();
    let verify = Command::new("systemd-analyze").arg("--version").output();
    let can_verify = verify.is_ok_and(|output| output.status.success());
    for (args, manager) in [(vec![], "--system"), (vec!["--user"], "--user")] {
        let args = ["daemon", "units"].into_iter().chain(args);
        let unit = terminal.done(args);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_towline"));
        let program = program.canonicalize().unwrap();
        let starts = format!("ExecStart={} daemon run\n", program.display());
        assert!(unit.contains(&starts), "{unit}");
        if can_verify {
            let path = terminal.scene.path("towline.service");
            std::fs::write(&path, &unit).unwrap();
            let mut verify = Command::new("systemd-analyze");
            verify.args(["verify", manager]).arg(&path);
            verify.env("XDG_RUNTIME_DIR", terminal.scene.path(""));
            let output = verify.output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
    }
}

#[test]
fn the_log_is_json_when_asked_bounded_and_tells_the_transfer_and_attempt() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    let max = 256 * 1024;
    let options = [
        "--log-format",
        "json",
        "--log-level",
        "trace",
        "--log-max-size",
        "256KiB",
    ];
    terminal.done(["daemon", "start"].into_iter().chain(options));
    let log = terminal.scene.path("state/towline.log");
    let lines = || -> Vec<Value> {
        let before = std::fs::read_to_string(log.with_extension("log.1")).unwrap_or_default();
        let now = std::fs::read_to_string(&log).unwrap_or_default();
        // The last one may be half written.
        let whole = |text: String| match text.rfind('\n') {
            Some(end) => text[..end].to_owned(),
            None => String::new(),
        };
        let (before, now) = (whole(before), whole(now));
        let lines = before.lines().chain(now.lines());
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    };
    terminal.scene.file("file", 6 * MIB, 8);
    terminal.done(["upload", "file", "s3://bucket/file"]);
    let of_part = |line: &Value| {
        let spans = line["spans"].as_array().into_iter().flatten();
        let spans: Vec<&Value> = spans.collect();
        spans.iter().any(|span| {
            span["name"] == "transfer" && span["transfer"] == "1" && span["key"] == "file"
        }) && spans.iter().any(|span| {
            span["name"] == "attempt"
                && span["act"] == "part"
                && span["part"] == 1
                && span["attempt"].is_u64()
        })
    };
    terminal.until("a line is of a part", || lines().iter().any(of_part));
    let ended =
        |line: &Value| line["message"] == "the state changed" && line["state"] == "completed";
    terminal.until("a line is of its end", || lines().iter().any(ended));
    // Until the first log has been replaced.
    let before = log.with_extension("log.1");
    let mut key = 0;
    while !before.exists() {
        key += 1;
        assert!(key < 500, "the log is never full");
        terminal.done(["upload", "file", &format!("s3://bucket/{key}")]);
    }
    terminal.done(["upload", "file", "s3://bucket/last"]);
    for file in [&log, &before] {
        let size = std::fs::metadata(file).unwrap().len();
        assert!(size <= max, "{} has {size} bytes", file.display());
    }
    let last = |line: &Value| line["spans"].to_string().contains("\"last\"");
    terminal.until("a line is of the last one", || lines().iter().any(last));
    terminal.done(["daemon", "stop"]);
    let stopped = |line: &Value| line["message"] == "stopped";
    terminal.until("a line says that it stopped", || {
        lines().iter().any(stopped)
    });
}

/// A pipe holds 64 KiB, which the first transfers fill.
#[test]
fn a_log_that_nobody_reads_holds_up_no_transfer() {
    let terminal = Terminal::start();
    let unread = terminal.begin(["daemon", "run", "--log-level", "trace"]);
    terminal.until("it owns the state", || {
        terminal.owner() == Some(unread.pid())
    });
    let dir = terminal.scene.path("files");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..200 {
        std::fs::write(dir.join(n.to_string()), n.to_string()).unwrap();
    }
    terminal.done(["upload", "files", "s3://bucket/all/"]);
    assert_eq!(status(&terminal)["transfers"]["completed"], 200);
    unread.signal("TERM");
    assert_eq!(unread.ends(), Some(0));
}

#[test]
fn a_log_level_filters_and_text_is_the_usual_form() {
    let terminal = Terminal::start();
    let mut daemon = terminal.command(["daemon", "run", "--log-level", "warn"]);
    daemon.env("TOWLINE_LOG", "trace");
    let quiet = terminal.spawn(daemon);
    terminal.until("it owns the state", || terminal.owner().is_some());
    quiet.signal("TERM");
    assert_eq!(String::from_utf8(quiet.output().stderr).unwrap(), "");

    let usual = running(&terminal);
    usual.signal("INT");
    let log = String::from_utf8(usual.output().stderr).unwrap();
    assert!(
        log.contains("INFO towline::verbs::daemon::run: ready"),
        "{log}"
    );
    assert!(!log.contains("DEBUG"), "{log}");
}

#[test]
fn how_long_records_are_kept_is_said_to_a_daemon_and_remembered() {
    let terminal = Terminal::start();
    let _started = Started(&terminal);
    let start = |options: &[&str]| terminal.done([&["daemon", "start"][..], options].concat());
    let remembered = || -> Value {
        let file = terminal.scene.path("state").join("retention.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    assert_eq!(
        terminal.code(["daemon", "start", "--keep-for", "long"]),
        Some(2)
    );
    assert_eq!(terminal.owner(), None);
    start(&["--keep-finished", "5", "--keep-for", "1.5h"]);
    let asked = serde_json::json!({ "keep_finished": 5, "keep_for": { "secs": 5400, "nanos": 0 } });
    assert_eq!(remembered(), asked);
    terminal.done(["daemon", "stop"]);
    start(&["--keep-for", "none"]);
    let asked = serde_json::json!({ "keep_finished": 5, "keep_for": null });
    assert_eq!(remembered(), asked);
    terminal.done(["daemon", "stop"]);
}
