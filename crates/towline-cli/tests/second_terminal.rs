//! A transfer is steered from another terminal than the one it runs in, and
//! from one where nothing runs. T13, T15, T18, T19, T22, T23.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::time::{Duration, Instant};

use terminal::{GIB, MIB, Terminal};
use towline_testkit::crash::BUCKET;
use towline_testserver::{Answer, Apply, Operation, Point, Rule, Script};

/// The wire is silent from a second after the pause on: whatever arrives later
/// than this after the command has answered is too late.
const SILENT_AFTER: Duration = Duration::from_secs(1);

#[test]
fn t13_an_upload_of_1_gib_is_paused_from_a_second_terminal_and_sends_only_what_is_left() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("big", GIB, 1);
    terminal.bandwidth(300 * MIB);
    let upload = terminal.begin(["upload", "big", "s3://bucket/big"]);
    terminal.until("a third has been moved", || terminal.received() > GIB / 3);

    let asked = Instant::now();
    terminal.done(["pause", "1"]);
    assert!(asked.elapsed() < SILENT_AFTER, "{:?}", asked.elapsed());
    terminal.sleep_until(asked + SILENT_AFTER);
    let at_pause = terminal.received();
    let confirmed = terminal.parts_answered("big");
    terminal.sleep(Duration::from_secs(1));
    assert_eq!(terminal.received(), at_pause, "the wire is not silent");
    assert_eq!(terminal.states(), ["paused"]);

    terminal.bandwidth(0);
    terminal.done(["resume", "1"]);
    upload.succeeds();
    assert_eq!(terminal.sha256_of_object("big"), terminal.sha256(&source));
    for part in confirmed {
        let times = terminal.scene.server.history().times_part_sent("big", part);
        assert_eq!(times, 1, "part {part} had been confirmed before the pause");
    }
}

#[test]
fn t15_a_download_of_1_gib_is_paused_from_a_second_terminal_and_fetches_only_what_is_left() {
    let terminal = Terminal::start();
    terminal.scene.object("big", GIB, 2);
    terminal.bandwidth(300 * MIB);
    let download = terminal.begin(["download", "s3://bucket/big", "copy"]);
    terminal.until("a third has been moved", || terminal.sent() > GIB / 3);

    let asked = Instant::now();
    terminal.done(["pause", "1"]);
    terminal.sleep_until(asked + SILENT_AFTER);
    let at_pause = terminal.sent();
    let moved = terminal.list()[0]["bytes_transferred"].as_u64().unwrap();
    terminal.sleep(Duration::from_secs(1));
    assert_eq!(terminal.sent(), at_pause, "the wire is not silent");

    terminal.bandwidth(0);
    let before = terminal.sent();
    terminal.done(["resume", "1"]);
    download.succeeds();
    let copy = terminal.scene.path("copy");
    assert_eq!(terminal.sha256(&copy), terminal.sha256_of_object("big"));
    assert_eq!(terminal.sent() - before, GIB - moved);
}

#[test]
fn t18_an_upload_of_1_gib_canceled_from_a_second_terminal_leaves_nothing_in_the_bucket() {
    let terminal = Terminal::start();
    terminal.scene.file("big", GIB, 3);
    terminal.bandwidth(300 * MIB);
    let upload = terminal.begin(["upload", "big", "s3://bucket/big"]);
    terminal.until("parts are there", || {
        !terminal.parts_answered("big").is_empty()
    });
    terminal.done(["cancel", "s3://bucket/big"]);
    assert_eq!(upload.ends(), Some(1), "what was asked for did not happen");
    assert_eq!(terminal.states(), ["canceled"]);
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);
    assert!(terminal.scene.server.object_bytes(BUCKET, "big").is_err());
}

/// Parts that arrived whole before the cancel take effect after it, and the
/// first Abort is answered as done and is not: FAILURES 4.3, 33.
#[test]
fn t18_parts_that_land_after_the_abort_are_removed_as_well() {
    let terminal = Terminal::start();
    terminal.scene.file("file", 40 * MIB, 12);
    let lands = Duration::from_millis(700);
    let late = |script: Script, part| {
        let rule = Rule::on(Operation::UploadPart).part(part);
        script.rule(
            rule.apply(Apply::LateMs(700))
                .stall(Point::AfterRequest, None),
        )
    };
    let script = (4..=8).fold(Script::new(), late).rule(
        Rule::on(Operation::AbortMultipartUpload)
            .first(1)
            .apply(Apply::No)
            .answer(Answer::status(204)),
    );
    let faults = terminal.scene.server.faults();
    faults.play(script).unwrap();
    let upload = terminal.begin(["upload", "file", "s3://bucket/file"]);
    let history = terminal.scene.server.history();
    let under_way = |part| history.times_part_sent("file", part) > 0;
    terminal.until("parts are under way", || (4..=6).any(under_way));
    terminal.done(["cancel", "1"]);
    assert_eq!(upload.ends(), Some(1));
    assert!(history.count(Operation::AbortMultipartUpload) > 1);
    terminal.sleep(2 * lands);
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);
    assert_eq!(terminal.states(), ["canceled"]);
}

#[test]
fn t19_a_download_of_1_gib_canceled_from_a_second_terminal_leaves_the_target_as_it_was() {
    let terminal = Terminal::start();
    terminal.scene.object("big", GIB, 4);
    std::fs::write(terminal.scene.path("copy"), "stood there before").unwrap();
    terminal.bandwidth(300 * MIB);
    let download = terminal.begin(["download", "s3://bucket/big", "copy"]);
    terminal.until("some has been moved", || terminal.sent() > GIB / 10);
    terminal.done(["cancel", "1"]);
    assert_eq!(download.ends(), Some(1));
    let copy = std::fs::read(terminal.scene.path("copy")).unwrap();
    assert_eq!(copy, b"stood there before");
    assert_eq!(terminal.temporary_files(), 0);
}

#[test]
fn what_nobody_runs_is_paused_resumed_and_canceled_by_the_command_itself() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("file", 40 * MIB, 5);
    terminal.interrupted_half_way("file", 40 * MIB);
    assert_eq!(terminal.list()[0]["reason"], "not_running");

    // Committed, and left.
    terminal.done(["pause", "1"]);
    assert_eq!(terminal.states(), ["paused"]);
    let said = terminal.done(["pause", "1"]);
    assert!(said.contains("already"), "{said}");

    // To its end, in the foreground.
    terminal.done(["resume", "1"]);
    assert_eq!(terminal.states(), ["completed"]);
    assert_eq!(terminal.sha256_of_object("file"), terminal.sha256(&source));

    terminal.interrupted_half_way("other", 40 * MIB);
    terminal.done(["cancel", "2"]);
    assert_eq!(terminal.states(), ["completed", "canceled"]);
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);

    terminal.done(["retry", "2"]);
    assert_eq!(terminal.states(), ["completed", "completed"]);
}

#[test]
fn t22_an_object_names_the_transfers_to_and_from_it_and_no_others() {
    let terminal = Terminal::start();
    for (i, key) in ["a", "b"].into_iter().enumerate() {
        terminal.scene.file(key, 20 * MIB, i as u64);
        terminal.interrupted_half_way(key, 20 * MIB);
    }
    terminal.done(["cancel", "s3://bucket/a"]);
    assert_eq!(terminal.states(), ["canceled", "waiting"]);
    terminal.refused(["cancel", "s3://bucket/c"], "nothing there");
    terminal.refused(
        ["pause", "--type", "download", "s3://bucket/b"],
        "nothing there",
    );
    terminal.done(["pause", "--all", "--type", "download"]);
    assert_eq!(terminal.states(), ["canceled", "waiting"]);
    terminal.done(["pause", "--all"]);
    assert_eq!(terminal.states(), ["canceled", "paused"]);
    // Nothing in bulk revives a canceled one.
    terminal.done(["retry", "--all"]);
    terminal.done(["resume", "--all"]);
    assert_eq!(terminal.states(), ["canceled", "completed"]);
}

#[test]
fn t23_a_removed_transfer_is_gone_with_all_it_held() {
    let terminal = Terminal::start();
    terminal.scene.file("file", 20 * MIB, 6);
    terminal.interrupted_half_way("file", 20 * MIB);
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 1);
    terminal.done(["remove", "1"]);
    assert_eq!(terminal.list(), [] as [serde_json::Value; 0]);
    assert_eq!(terminal.scene.server.open_uploads(BUCKET).len(), 0);
    terminal.refused(["show", "1"], "no transfer 1");
    terminal.refused(["remove", "1"], "no transfer 1");

    terminal.done(["upload", "file", "s3://bucket/file"]);
    terminal.done(["remove", "--all"]);
    assert_eq!(terminal.list(), [] as [serde_json::Value; 0]);
    assert!(terminal.scene.server.object_bytes(BUCKET, "file").is_ok());
}

#[test]
fn what_cannot_be_done_is_said_and_harms_nothing() {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 7);
    terminal.done(["upload", "file", "s3://bucket/file"]);
    for verb in ["pause", "resume", "retry", "cancel"] {
        terminal.refused([verb, "1"], &format!("nothing to {verb}"));
        terminal.refused([verb, "99"], "no transfer 99");
        // Nothing is named.
        assert_eq!(terminal.code([verb]), Some(2));
        assert_eq!(terminal.code([verb, "seven"]), Some(2));
        assert_eq!(terminal.code([verb, "s3://bucket"]), Some(2));
        assert_eq!(terminal.code([verb, "--all", "1"]), Some(2));
    }
    let puts = |op| terminal.scene.server.history().count(op);
    assert_eq!(
        (puts(Operation::PutObject), puts(Operation::DeleteObject)),
        (1, 0)
    );
    assert_eq!(terminal.states(), ["completed"]);
}

#[test]
fn watch_tells_of_each_change_until_all_have_ended() {
    let terminal = Terminal::start();
    terminal.scene.file("file", 20 * MIB, 8);
    terminal.bandwidth(40 * MIB);
    let upload = terminal.begin(["upload", "file", "s3://bucket/file"]);
    terminal.until("it runs", || terminal.received() > 0);
    let watched = terminal.done(["watch", "1"]);
    upload.succeeds();
    let lines: Vec<&str> = watched.lines().collect();
    assert!(lines[0].contains("in_progress"), "{watched}");
    assert!(lines.last().unwrap().contains("completed"), "{watched}");
    // Nobody runs it any more.
    assert!(terminal.done(["watch", "1"]).contains("completed"));
}

/// As a laptop that is closed and opened again.
#[test]
fn f46_a_command_that_stood_still_for_a_while_goes_on_without_an_attempt_spent() {
    let terminal = Terminal::start();
    let source = terminal.scene.file("big", 60 * MIB, 12);
    terminal.bandwidth(12 * MIB);
    let upload = terminal.begin(["upload", "big", "s3://bucket/big"]);
    terminal.until("parts have been moved", || {
        !terminal.parts_answered("big").is_empty()
    });
    upload.signal("STOP");
    terminal.sleep(Duration::from_secs(35)); // longer than any stall may take
    upload.signal("CONT");
    upload.succeeds();
    assert_eq!(terminal.sha256_of_object("big"), terminal.sha256(&source));
    let shown: serde_json::Value =
        serde_json::from_str(&terminal.done(["show", "1", "--json"])).unwrap();
    assert_eq!(shown["generation"], 1);
    for part in terminal.parts_answered("big") {
        assert_eq!(
            terminal.scene.server.history().times_part_sent("big", part),
            1
        );
    }
}

/// As retention forgets it, in time.
#[test]
fn what_was_done_and_is_forgotten_before_the_others_end_was_done() {
    let terminal = Terminal::start();
    terminal.scene.file("small", 1, 20);
    terminal.scene.file("large", 12 * MIB, 21);
    let stalled = Rule::on(Operation::UploadPart).stall(Point::AfterRequest, None);
    let faults = terminal.scene.server.faults();
    faults.play(Script::new().rule(stalled)).unwrap();
    let upload = terminal.begin(["upload", "small", "large", "s3://bucket/p/"]);
    let is_done = |row: &serde_json::Value| row["state"] == "completed";
    terminal.until("the small one is there", || {
        terminal.list().iter().any(is_done)
    });
    let (done, under_way): (Vec<_>, Vec<_>) = terminal.list().into_iter().partition(is_done);
    let (done, large) = (done[0]["id"].to_string(), under_way[0]["id"].to_string());
    terminal.done(["remove", &done]);
    terminal.done(["pause", &large]);
    terminal.scene.server.faults().play(Script::new()).unwrap();
    terminal.done(["resume", &large]);
    upload.succeeds();
}
