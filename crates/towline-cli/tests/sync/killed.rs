//! Killed, and run again.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use towline_testkit::crash::bytes;
use towline_testserver::{Operation, Script};

use crate::common::{BUCKET, Scene, json_lines, spawn, stderr, temporary_files};
use crate::{UP, object, sync, synced, tree, write};

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_goes_on_and_sends_nothing_twice_but_what_was_in_flight() {
    let scene = Scene::start().await;
    const FILES: u64 = 24;
    const SIZE: u64 = 300_000;
    const LARGE: u64 = 12 << 20;
    const KILLS: usize = 3;
    for n in 0..FILES {
        write(&scene, &format!("src/{n:02}"), bytes(SIZE, n));
    }
    write(&scene, "src/zz", bytes(LARGE, 99));
    scene.server.faults().bandwidth(3 << 20);
    let source = scene.path("src").to_str().unwrap().to_owned();
    let line = ["sync", &source, UP, "--concurrency", "4"];
    for kill in 1..=KILLS {
        let sent = || {
            scene.server.history().count_where(|request| {
                request.received_whole && request.operation == Operation::PutObject
            })
        };
        let mut child = spawn(scene.towline(&line));
        let deadline = Instant::now() + Duration::from_secs(120);
        while sent() < kill * 6 {
            assert!(Instant::now() < deadline, "nothing is sent");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    scene.server.faults().play(Script::new()).unwrap();
    let output = sync(&scene, "src", UP, &["--json", "--concurrency", "4"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for n in 0..FILES {
        assert!(
            object(&scene, &format!("{n:02}")).unwrap() == bytes(SIZE, n),
            "{n}"
        );
    }
    assert!(object(&scene, "zz").unwrap() == bytes(LARGE, 99));
    assert_eq!(scene.server.open_uploads(BUCKET), []);
    let moved = scene.server.history().bytes_received();
    // Up to four requests at a time were cut, of a file or a part of 5 MiB.
    let most = FILES * SIZE + LARGE + (KILLS as u64) * 4 * (5 << 20);
    assert!(moved <= most + (1 << 20), "{moved} of {most}");
    let puts = scene
        .server
        .history()
        .count_where(|request| request.received_whole && request.operation == Operation::PutObject);
    assert!(puts <= FILES as usize + KILLS * 4, "{puts} files were sent");
    // Nothing is left behind in the state, either.
    let unfinished = scene.run(&["list", "--json", "--state", "waiting,in_progress"]);
    assert_eq!(json_lines(&unfinished), [] as [Value; 0]);

    // And down again, in the same way.
    scene.server.faults().bandwidth(3 << 20);
    let target = scene.path("dst").to_str().unwrap().to_owned();
    let line = ["sync", UP, &target, "--concurrency", "4"];
    for kill in 1..=KILLS {
        let there = || {
            let entries = std::fs::read_dir(scene.path("dst")).into_iter().flatten();
            let names = entries.flatten().map(|entry| entry.file_name());
            names.filter(|name| name.len() == 2).count()
        };
        let mut child = spawn(scene.towline(&line));
        let deadline = Instant::now() + Duration::from_secs(120);
        while there() < kill * 5 {
            assert!(Instant::now() < deadline, "nothing comes");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    scene.server.faults().play(Script::new()).unwrap();
    let output = sync(&scene, UP, "dst", &["--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(tree(&scene.path("dst")) == tree(&scene.path("src")));
    assert_eq!(temporary_files(&scene.path("dst")), [] as [&Path; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_after_a_kill_is_sent_as_it_is_then() {
    let scene = Scene::start().await;
    write(&scene, "src/large", bytes(12 << 20, 1));
    scene.server.faults().bandwidth(2 << 20);
    let source = scene.path("src").to_str().unwrap().to_owned();
    let mut child = spawn(scene.towline(&["sync", &source, UP]));
    let deadline = Instant::now() + Duration::from_secs(120);
    while scene.server.history().count(Operation::UploadPart) == 0 {
        assert!(Instant::now() < deadline, "nothing is sent");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    scene.server.faults().play(Script::new()).unwrap();
    write(&scene, "src/large", bytes(13 << 20, 2));
    let told = synced(&scene, "src", UP, &[]);
    assert_eq!(told["done"], 1, "{told}");
    assert!(object(&scene, "large").unwrap() == bytes(13 << 20, 2));
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}
