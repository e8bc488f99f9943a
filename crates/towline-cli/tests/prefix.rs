//! `towline download s3://BUCKET/PREFIX/ DIR/`. T63.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::os::unix::fs::symlink;

use common::{BUCKET, Scene, json_lines, spawn, stderr};
use towline_testkit::crash::bytes;
use towline_testserver::{Operation, Script};

async fn put(scene: &Scene, key: &str, content: Vec<u8>) {
    scene.server.put_object(BUCKET, key, content).await.unwrap();
}

fn download<'a>(dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["download", "s3://bucket/p/", dir], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_a_prefix_comes_whole_into_a_directory_that_is_made_for_it() {
    let scene = Scene::start().await;
    let dir = scene.path("new/dir").to_str().unwrap().to_owned();
    for key in ["a", "sub/b", "sub//c", "../d", "é"] {
        put(&scene, &format!("p/{key}"), key.into()).await;
    }
    put(&scene, "p/large", bytes(11 << 20, 1)).await;
    put(&scene, "p/empty/", Vec::new()).await;
    let output = scene.run(&download(&dir, &["--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 6);
    assert!(lines.iter().all(|line| line["state"] == "completed"));
    let group = format!("s3://bucket/p/ to {dir}");
    assert!(lines.iter().all(|line| line["group"] == group.as_str()));
    let dir = scene.path("new/dir");
    for (path, content) in [
        ("a", "a"),
        ("sub/b", "sub/b"),
        ("sub/%2F/c", "sub//c"),
        ("%2E%2E/d", "../d"),
        ("é", "é"),
    ] {
        assert_eq!(std::fs::read_to_string(dir.join(path)).unwrap(), content);
    }
    assert!(std::fs::read(dir.join("large")).unwrap() == bytes(11 << 20, 1));
    assert!(dir.join("empty").is_dir());
    assert!(!scene.path("new/d").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_file_is_left_out_and_told_one_by_one_and_the_exit_code_is_1() {
    let scene = Scene::start().await;
    std::fs::create_dir_all(scene.path("dir")).unwrap();
    std::fs::create_dir_all(scene.path("outside")).unwrap();
    symlink(scene.path("outside"), scene.path("dir/link")).unwrap();
    for key in ["a", "a/b", "link/x", "fine"] {
        put(&scene, &format!("p/{key}"), key.into()).await;
    }
    let dir = scene.path("dir").to_str().unwrap().to_owned();
    let output = scene.run(&download(&dir, &["--json"]));
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(&output);
    let left: Vec<_> = lines
        .iter()
        .filter(|line| line["left_out"] == true)
        .map(|line| {
            (
                line["key"].as_str().unwrap(),
                line["error"]["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        left,
        [("p/a/b", "TargetClash"), ("p/link/x", "TargetUnwritable")]
    );
    let done = lines.iter().filter(|line| line["state"] == "completed");
    assert_eq!(done.count(), 2);
    assert!(
        stderr(&output).contains("2 objects were left out"),
        "{}",
        stderr(&output)
    );
    assert_eq!(std::fs::read_dir(scene.path("outside")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_half_way_the_same_line_again_fetches_the_rest_and_no_more() {
    let scene = Scene::start().await;
    let dir = scene.path("dir").to_str().unwrap().to_owned();
    const FILES: u64 = 24;
    const SIZE: u64 = 300_000;
    for n in 0..FILES {
        put(&scene, &format!("p/{n:02}"), bytes(SIZE, n)).await;
    }
    scene.server.faults().bandwidth(2 << 20);
    let mut child = spawn(scene.towline(&download(&dir, &["--concurrency", "4"])));
    let there = || {
        (0..FILES)
            .filter(|n| scene.path("dir").join(format!("{n:02}")).exists())
            .count()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while there() < 5 {
        assert!(std::time::Instant::now() < deadline, "no file ever came");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = there();
    assert!(before < FILES as usize, "it was killed half way");
    scene.server.faults().play(Script::new()).unwrap();
    scene.server.history().clear();
    let output = scene.run(&download(&dir, &[]));
    assert!(output.status.success(), "{}", stderr(&output));
    for n in 0..FILES {
        let file = scene.path("dir").join(format!("{n:02}"));
        assert!(std::fs::read(file).unwrap() == bytes(SIZE, n), "{n}");
    }
    // Of those that were there some may not have been recorded as done.
    let fetched = scene.server.history().count(Operation::GetObject);
    assert!(
        fetched <= FILES as usize - before + 8,
        "{fetched} fetched, {before} were there"
    );
    let dir = scene.path("dir");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), FILES as usize);
    // A prefix without objects is said to be none.
    let output = scene.run(&["download", "s3://bucket/none/", dir.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no object below"),
        "{}",
        stderr(&output)
    );
}
