//! Owners that race, and lock files of the dead. T36.

use std::time::{Duration, Instant};

use crate::terminal::{MIB, Terminal, said};

/// All on a state that is still to be made.
#[test]
fn t36_of_four_that_start_at_the_same_moment_one_owns_the_state_fifty_times() {
    let terminal = Terminal::start();
    let scene = &terminal.scene;
    let files = [0, 1, 2, 3].map(|n| scene.file(&format!("file-{n}"), 1 << n, n));
    for round in 0..50 {
        let mut oracle = scene.oracle(0);
        let state = scene.path(format!("state-{round}"));
        let mut tasks = Vec::new();
        for (n, file) in files.iter().enumerate() {
            let key = format!("round-{round}/{n}");
            oracle.upload(file, &key);
            let args = [
                "upload".into(),
                file.clone(),
                format!("s3://bucket/{key}").into(),
            ];
            tasks.push(scene.task(args).in_state(&state));
        }
        let story = scene.until_done(&tasks, towline_testkit::crash::Kills::none());
        for run in story.runs {
            for word in ["locked", "in use", "panicked"] {
                assert!(!run.stderr.contains(word), "{}", run.stderr);
            }
        }
        // Each ended with 0, and no two held the lock at one time.
        oracle.check();
    }
}

#[test]
fn t36_a_daemon_and_commands_that_start_at_the_same_moment_share_the_state() {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 1);
    for round in 0..5 {
        let daemons = [0, 1].map(|_| terminal.begin(["daemon", "run"]));
        let url = format!("s3://bucket/{round}");
        let upload = terminal.begin(["upload", "file", &url]);
        upload.succeeds();
        let owner = || terminal.owner();
        terminal.until("a daemon owns it", || {
            owner().is_some_and(|pid| daemons.iter().any(|daemon| daemon.pid() == pid))
        });
        let first = owner().unwrap();
        let [one, other] = daemons;
        let (won, mut lost) = match one.pid() == first {
            true => (one, other),
            false => (other, one),
        };
        won.signal("TERM");
        assert_eq!(won.ends(), Some(0));
        // Whoever lost the race takes over, unless it saw first that a daemon runs already.
        let next = lost.pid();
        let begun = Instant::now();
        while owner() != Some(next) && !lost.has_ended() {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "nobody takes over"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        if lost.has_ended() {
            let output = lost.output();
            assert_eq!(output.status.code(), Some(1));
            assert!(said(&output).contains("a daemon runs already"));
        } else {
            lost.signal("TERM");
            assert_eq!(lost.ends(), Some(0));
        }
        terminal.until("nobody owns it", || owner().is_none());
    }
    assert_eq!(terminal.states(), ["completed"; 5]);
}

#[test]
fn t36_the_lock_file_of_a_dead_process_holds_up_nobody() {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 1);
    terminal.done(["upload", "file", "s3://bucket/0"]);
    let lock = terminal.scene.path("state/towline.lock");
    let line = |pid: u32| format!("pid {pid}, since 1 ms after 1970, boot x, instance 0\n");
    // Of one that is long gone, of one whose number another process has now, and
    // what nobody has written.
    let left = [
        line(4_194_303).into_bytes(),
        line(std::process::id()).into_bytes(),
        line(1).into_bytes(),
        vec![0xff; 9000],
    ];
    for (n, bytes) in left.into_iter().enumerate() {
        std::fs::write(&lock, bytes).unwrap();
        // A socket at which nobody listens, as a kill leaves it.
        let socket = terminal.scene.path("state/towline.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        terminal.done(["list"]);
        terminal.done(["upload", "file", &format!("s3://bucket/more-{n}")]);
        assert!(!socket.exists());
    }
    // And of an owner that was really killed.
    let daemon = terminal.begin(["daemon", "run"]);
    terminal.until("it owns the state", || terminal.owner().is_some());
    daemon.signal("KILL");
    daemon.ends();
    assert!(std::fs::metadata(&lock).unwrap().len() > 0);
    terminal.done(["upload", "file", "s3://bucket/last"]);
    assert_eq!(terminal.states(), ["completed"; 6]);
}
