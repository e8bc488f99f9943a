//! What a process has in memory does not grow with queues and files. T55.

use std::process::Child;
use std::time::{Duration, Instant};

use super::{ForeignServer, MIB, Server, json_lines, spawn, stderr};
use crate::process::peak_kib;

/// What is documented.
const BOUND_MIB: u64 = 128;

/// A command in the background; killed when the test is done with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn begin(server: &Server, args: &[&str]) -> Self {
        Self(spawn(server.towline(args)))
    }

    fn assert_bounded(&self, what: &str) {
        // Where there is no /proc nothing can be said.
        let Some(peak) = peak_kib(self.0.id()) else {
            return;
        };
        let peak = peak / 1024;
        println!("{what}: {peak} MiB at most");
        assert!(peak < BOUND_MIB, "{what}: {peak} MiB");
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The keys that the server lists for others.
fn objects(server: &Server) -> usize {
    let count = "pages = s3.get_paginator('list_objects_v2').paginate(Bucket='bucket')\n\
                 print(sum(p['KeyCount'] for p in pages))";
    let output = server.0.boto(count);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn t55_ten_thousand_queued_uploads_are_held_in_bounded_memory_on_seaweedfs() {
    const FILES: usize = 10_000;
    let server = Server(ForeignServer::seaweedfs());
    let dir = server.0.dir().join("files");
    std::fs::create_dir(&dir).unwrap();
    let mut list = String::new();
    for n in 0..FILES {
        let path = dir.join(n.to_string());
        std::fs::write(&path, [n as u8; 8 << 10]).unwrap();
        list += &format!("{},s3://bucket/all/{n}\n", path.display());
    }
    let lines = server.0.dir().join("list");
    std::fs::write(&lines, list).unwrap();
    // Four a second: all but some stay queued.
    let run = ["daemon", "run", "--bandwidth", "up:32KiB"];
    let daemon = Running::begin(&server, &run);
    until("it owns the state", || {
        let limits = server.towline(&["limits"]).output().unwrap();
        limits.status.success()
    });
    let lines = lines.to_str().unwrap();
    let submit = ["upload", "--detach", "--from-list", lines];
    let mut submit = Running::begin(&server, &submit);
    let mut peak = 0;
    while submit.0.try_wait().unwrap().is_none() {
        peak = peak_kib(submit.0.id()).unwrap_or_default().max(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("submitted by {} MiB", peak / 1024);
    assert!(peak / 1024 < BOUND_MIB, "{} MiB", peak / 1024);
    let all = ["list", "--limit", "20000"];
    let in_state = |state: &str| {
        let rows = server.run(&all);
        assert_eq!(rows.len(), FILES);
        rows.iter().filter(|row| row["state"] == state).count()
    };
    until("some are done", || in_state("completed") > 0);
    let done = in_state("completed");
    assert!(done < FILES / 10, "{done} are not queued any more");
    daemon.assert_bounded("10,000 queued uploads");

    server.run(&["cancel", "--all"]);
    let done = in_state("completed");
    assert_eq!(done + in_state("canceled"), FILES);
    daemon.assert_bounded("10,000 uploads that were canceled");
    assert_eq!(objects(&server), done);
    assert_eq!(server.open_uploads(), "0");
}

#[test]
fn t55_an_upload_of_50_gib_is_held_in_bounded_memory_and_leaves_nothing_on_seaweedfs() {
    /// Eight times of what it may hold, of what the server has to keep meanwhile.
    const SENT: u64 = 1024 * MIB;
    let server = Server(ForeignServer::seaweedfs());
    let path = server.0.dir().join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(50 * 1024 * MIB).unwrap();
    let up = ["upload", path.to_str().unwrap(), "s3://bucket/sparse"];
    let upload = Running::begin(&server, &up);
    until("1 GiB is there", || {
        let listed = server.towline(&["list", "--json"]).output().unwrap();
        let rows = json_lines(&listed);
        let moved = rows.last().map(|row| row["bytes_transferred"].as_u64());
        moved.flatten().unwrap_or_default() >= SENT
    });
    upload.assert_bounded("an upload of 50 GiB");
    assert_eq!(server.open_uploads(), "1");
    server.run(&["cancel", "s3://bucket/sparse"]);
    assert_eq!(server.last()["state"], "canceled");
    assert_eq!((objects(&server), &*server.open_uploads()), (0, "0"));
}
