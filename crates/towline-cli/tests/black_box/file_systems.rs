//! Disks that are full or read-only, below the target, the source and the state.
//! FAILURES 60, 61, 71; those that fill on the way are in `local_faults`.

use towline_testkit::small_disk::SmallDisk;

use crate::terminal::{MIB, Terminal, said};

#[test]
fn f71_a_download_to_a_read_only_disk_waits_until_it_may_be_written() {
    let Some(disk) = SmallDisk::mount(16 * MIB) else {
        return;
    };
    let terminal = Terminal::start();
    terminal.scene.object("key", 6 * MIB, 1);
    let target = disk.path("target");
    // It is refused at the call where that can be seen at once.
    disk.read_only(true);
    let to = target.to_str().unwrap();
    terminal.refused(["download", "s3://bucket/key", to], "Read-only");
    assert_eq!(terminal.list(), [] as [serde_json::Value; 0]);

    disk.read_only(false);
    terminal.bandwidth(2 * MIB);
    let download = terminal.begin(["download", "s3://bucket/key", to]);
    terminal.until("it is under way", || terminal.sent() > MIB);
    download.signal("KILL");
    download.ends();
    disk.read_only(true);
    let owner = terminal.begin(["daemon", "run"]);
    terminal.until("it waits for the disk", || {
        let list = terminal.list();
        !list.is_empty() && list[0]["reason"] == "read_only"
    });
    disk.read_only(false);
    terminal.bandwidth(0);
    terminal.done(["resume", "1"]);
    terminal.until("it is done", || terminal.states() == ["completed"]);
    assert_eq!(terminal.sha256(&target), terminal.sha256_of_object("key"));
    assert_eq!(std::fs::read_dir(disk.dir()).unwrap().count(), 1);
    owner.signal("TERM");
    assert_eq!(owner.ends(), Some(0));
}

#[test]
fn a_source_on_a_disk_that_is_full_and_read_only_is_uploaded() {
    let Some(disk) = SmallDisk::mount(16 * MIB) else {
        return;
    };
    let terminal = Terminal::start();
    let source = terminal.scene.file("source", 12 * MIB, 2);
    let there = disk.path("source");
    std::fs::copy(&source, &there).unwrap();
    disk.fill();
    disk.read_only(true);
    terminal.done(["upload", there.to_str().unwrap(), "s3://bucket/key"]);
    assert_eq!(terminal.sha256_of_object("key"), terminal.sha256(&source));
}

#[test]
fn f61_a_state_on_a_read_only_disk_is_shown_and_takes_nothing_new() {
    let Some(disk) = SmallDisk::mount(16 * MIB) else {
        return;
    };
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 3);
    let state = disk.path("state");
    let run = |args: &[&str]| {
        let mut command = terminal.command(args);
        command.env("TOWLINE_STATE_DIR", &state);
        terminal.spawn(command).output()
    };
    // None is there yet, and none can be made.
    disk.read_only(true);
    let upload = ["upload", "file", "s3://bucket/key"];
    let output = run(&upload);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let words = said(&output).to_lowercase();
    assert!(
        words.contains("read-only") && words.contains("state"),
        "{words}"
    );

    disk.read_only(false);
    assert!(run(&upload).status.success());
    let bytes = std::fs::read(state.join("towline.db")).unwrap();
    disk.read_only(true);
    let listed = run(&["list", "--json"]);
    assert!(listed.status.success(), "{}", said(&listed));
    assert!(said(&listed).contains("completed"), "{}", said(&listed));
    let output = run(&["upload", "file", "s3://bucket/other"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let words = said(&output).to_lowercase();
    assert!(words.contains("read-only"), "{words}");
    assert!(std::fs::read(state.join("towline.db")).unwrap() == bytes);
    assert!(
        terminal
            .scene
            .server
            .object_bytes("bucket", "other")
            .is_err()
    );

    disk.read_only(false);
    assert!(
        run(&["upload", "file", "s3://bucket/other"])
            .status
            .success()
    );
}
