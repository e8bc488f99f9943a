//! Commands that break promises, as shell scripts: what really happens reaches
//! the oracle, through processes, watcher, files and lists.
#![cfg(target_os = "linux")] // its locks are read from /proc

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A scene whose command runs `work`, and lists `rows`. `$DIR` is the scene's directory.
fn scene_of(work: &str, rows: &str) -> (TempDir, Scene) {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("towline");
    let rows: String = rows.lines().map(|row| format!("{row}\n")).collect();
    let text = format!(
        "#!/bin/sh\nPATH=/usr/bin:/bin\nDIR=$(pwd)\n\
         if [ \"$1\" = list ]; then\ncat <<END\n{rows}END\nexit 0\nfi\n{work}\n"
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o700)).unwrap();
    let scene = Scene::start(&script);
    (place, scene)
}

fn broken(evidence: &Evidence) -> BTreeSet<u8> {
    let promises = violations(evidence).into_iter().map(|v| v.promise);
    promises.collect()
}

#[test]
fn a_command_that_lies_about_an_upload_is_found_out() {
    let row = r#"{"id":1,"type":"upload","state":"completed","key":"key","path":"$DIR/source",
        "verified":null,"generation":1,"bytes_transferred":2,"bytes_total":3}"#;
    let row = row.replace('\n', "");
    // It says so, leaves a temporary file, and fails at last.
    let work = "cat <<END\n{\"id\":2,\"type\":\"upload\",\"state\":\"failed\",\"key\":\"key\",\
         \"path\":\"$DIR/source\",\"generation\":1,\"bytes_transferred\":0,\"bytes_total\":3}\nEND\n\
         : > .towline-0123.part; exit 1";
    let (_place, scene) = scene_of(work, &row);
    let source = scene.file("source", 3, 1);
    let mut oracle = scene.oracle(0);
    oracle.upload(&source, "key");
    let story = scene.until_done(&[scene.task(["upload"])], Kills::none());
    assert_eq!(story.ends(), [(0, End::Code(1))]);
    // 1: the one that was told of is not listed. 7: completed with 2 of 3 bytes.
    assert_eq!(broken(&oracle.collect()), [1, 2, 4, 5, 7].into());
}

#[test]
#[should_panic(expected = "promise 2 is broken, upload of")]
fn a_check_of_a_broken_promise_panics_with_its_number() {
    let row = r#"{"id":1,"type":"upload","state":"completed","key":"key","path":"$DIR/source","verified":"md5","generation":1,"bytes_transferred":3,"bytes_total":3}"#;
    let (_place, scene) = scene_of("exit 0", row);
    let source = scene.file("source", 3, 1);
    let mut oracle = scene.oracle(0).seeded(5);
    oracle.upload(&source, "key");
    scene.until_done(&[scene.task(["upload"])], Kills::none());
    oracle.check();
}

#[test]
fn partial_bytes_under_a_final_name_are_seen_while_they_are_there() {
    let (_place, scene) = scene_of("printf ha > target; sleep 0.3; printf half > target", "");
    let mut oracle = scene.oracle(0);
    oracle.download_of(Content::of(b"half"), "key", &scene.path("target"));
    scene.until_done(&[scene.task(["download"])], Kills::none());
    let evidence = oracle.collect();
    let torn = Content::of(b"ha").to_string();
    let mut said = violations(&evidence).into_iter();
    let found = said.any(|v| v.promise == 3 && v.what.contains(&torn));
    assert!(found, "{:?}", evidence.seen);
}

#[test]
fn two_processes_that_own_one_state_are_seen() {
    // Each takes a lock file away from the other.
    let work = "mkdir -p state; until exec 9>state/towline.lock && flock -n 9; do sleep 0.1; done
        rm state/towline.lock; sleep 1";
    let (_place, scene) = scene_of(work, "");
    let oracle = scene.oracle(0);
    let task = scene.task(["upload"]);
    scene.until_done(&[task.clone(), task], Kills::none());
    let evidence = oracle.collect();
    assert!(evidence.owners_seen > 0);
    assert_eq!(broken(&evidence), [8].into());
}

#[test]
fn what_is_killed_is_run_again_and_what_refuses_to_end_is_told_from_what_ends() {
    let work = "[ -e ran ] && exit 0; : > ran; trap 'exit 143' TERM; sleep 5 & wait";
    for (signal, end) in [
        (Signal::Kill, End::Signal(9)),
        (Signal::Terminate, End::Code(143)),
    ] {
        let (_place, scene) = scene_of(work, "");
        let kills = Kills::once(Trigger::After(Duration::from_millis(300))).by(signal);
        let story = scene.until_done(&[scene.task(["upload"])], kills);
        let ends: Vec<End> = story.runs.iter().map(|run| run.end).collect();
        assert_eq!((story.kills(), ends), (1, vec![end, End::Code(0)]));
    }
}
