//! What a filter, a name or a link leaves out, and what is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use towline_testkit::crash::bytes;

use crate::common::{BUCKET, Scene, json_lines, spawn, stderr};
use crate::{UP, object, only_listed, put, summary, sync, synced, tree, write};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_a_link_stays_also_where_only_some_names_are_included() {
    let scene = Scene::start().await;
    write(&scene, "src/a.jpg", "a");
    symlink("/nowhere", scene.path("src/photos")).unwrap();
    put(&scene, "photos/b.jpg", "b").await;
    put(&scene, "old.jpg", "old").await;
    let args = ["--include", "*.jpg", "--delete", "--yes"];
    let output = sync(&scene, "src", UP, &args);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(object(&scene, "photos/b.jpg").is_some());
    assert!(object(&scene, "old.jpg").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_left_unfinished_and_a_filter_leaves_out_is_not_moved() {
    let scene = Scene::start().await;
    write(&scene, "src/a", "a");
    write(&scene, "src/secret", bytes(12 << 20, 5));
    scene.server.faults().bandwidth(1 << 20);
    let mut first = scene.towline(&["sync", "src", UP]);
    first.current_dir(scene.dir.path());
    let mut first = spawn(first);
    let begun = Instant::now();
    while scene.server.open_uploads(BUCKET).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    scene.server.faults().bandwidth(0);
    let output = sync(&scene, "src", UP, &["--exclude", "secret"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(object(&scene, "secret").is_none());
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_stops_no_others_also_where_all_are_left_to_the_background() {
    let scene = Scene::start().await;
    for name in ["a", "b", "c"] {
        write(&scene, &format!("src/{name}"), name);
    }
    // Another file is on its way to the object of one of them.
    write(&scene, "another", bytes(12 << 20, 6));
    scene.server.faults().bandwidth(1 << 20);
    let mut upload = scene.towline(&["upload", "another", "s3://bucket/p/b"]);
    upload.current_dir(scene.dir.path());
    let mut upload = spawn(upload);
    let begun = Instant::now();
    while scene.server.open_uploads(BUCKET).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    upload.kill().unwrap();
    upload.wait().unwrap();
    let output = sync(&scene, "src", UP, &["--detach"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, b"group 1\n");
    scene.server.faults().bandwidth(0);
    let begun = Instant::now();
    while object(&scene, "a").is_none() || object(&scene, "c").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let state = || json_lines(&scene.run(&["groups", "--json", "1"]))[0]["state"].clone();
    while state() != "failed" {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = scene.run(&["groups", "1"]);
    assert!(stderr(&told).contains("left out"), "{}", stderr(&told));
    scene.run(&["daemon", "stop"]); // it may have left by itself
    assert_ne!(object(&scene, "b"), Some(b"b".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_filtered_is_neither_moved_nor_deleted_on_either_side() {
    let scene = Scene::start().await;
    for name in [
        "a.txt",
        "a.tmp",
        "build/x.txt",
        "sub/b.txt",
        "sub/keep.tmp",
        ".git/x.txt",
    ] {
        write(&scene, &format!("src/{name}"), name);
    }
    write(&scene, "src/large.txt", bytes(5000, 1));
    for key in ["old.txt", "old.tmp", "build/old.txt", ".git/old.txt"] {
        put(&scene, key, "old").await;
    }
    put(&scene, "old-large.txt", bytes(5000, 2)).await;
    put(&scene, "a.txt", bytes(5000, 3)).await;
    write(
        &scene,
        "filter",
        "# as git does\n*.tmp\n!keep.tmp\n/build/\n",
    );
    let filters = [
        "--filter-from",
        "filter",
        "--no-hidden",
        "--max-size",
        "4KiB",
        "--delete",
        "--yes",
    ];
    let told = synced(&scene, "src", UP, &filters);
    assert_eq!((&told["done"], &told["deleted"]), (&3.into(), &1.into()));
    for (key, is_there) in [
        ("a.txt", true),
        ("sub/b.txt", true),
        ("sub/keep.tmp", true),
        ("a.tmp", false),
        ("large.txt", false),
        ("build/x.txt", false),
        (".git/x.txt", false),
        ("old.txt", false),
        ("old.tmp", true),
        ("old-large.txt", true),
        ("build/old.txt", true),
        (".git/old.txt", true),
    ] {
        assert_eq!(object(&scene, key).is_some(), is_there, "{key}");
    }
    assert_eq!(object(&scene, "a.txt").unwrap(), b"a.txt");
    let only = [
        "--include",
        "sub/",
        "--exclude",
        "*.tmp",
        "--newer-than",
        "1h",
    ];
    let told = synced(&scene, UP, "dst", &only);
    assert_eq!(told["done"], 1);
    assert_eq!(tree(&scene.path("dst")).len(), 1);
    let told = synced(&scene, UP, "dst", &["--older-than", "1h"]);
    assert_eq!(told["done"], 0);
    let output = sync(&scene, "src", UP, &["--exclude", "[a"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("\"[a\""), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_hostile_keys_stay_in_the_directory_and_go_back_to_where_they_came_from() {
    let scene = Scene::start().await;
    let long = "k".repeat(600);
    let keys = [
        "../escape",
        "a//b",
        "/etc/passwd",
        "a/./c",
        "\u{1b}[2J",
        "%2F",
        ".towline-0123456789abcdef.part",
        "with\nline",
        long.as_str(),
        "bytes/",
    ];
    for key in keys {
        put(&scene, key, key).await;
    }
    put(&scene, "empty/", "").await;
    let told = synced(&scene, UP, "dst", &[]);
    assert_eq!(told["done"], keys.len());
    assert_eq!(tree(&scene.path("dst")).len(), keys.len());
    assert!(!scene.path("escape").exists() && !scene.path("dst/empty").exists());
    for (from, to) in [(UP, "dst"), ("dst", UP)] {
        scene.server.history().clear();
        let told = synced(&scene, from, to, &["--delete"]);
        assert_eq!(
            (&told["same"], &told["deleted"]),
            (&keys.len().into(), &0.into())
        );
        only_listed(&scene);
    }
    // People's terminals hear nothing of it.
    let output = sync(&scene, UP, "other", &["--dry-run"]);
    assert!(!output.stdout.contains(&0x1b), "{:?}", output.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_f73_what_has_no_place_is_left_out_one_by_one_and_the_rest_comes() {
    let scene = Scene::start().await;
    for key in ["a", "a/b", "link/x", "socket", "fine"] {
        put(&scene, key, key).await;
    }
    std::fs::create_dir_all(scene.path("dst")).unwrap();
    std::fs::create_dir_all(scene.path("outside")).unwrap();
    symlink(scene.path("outside"), scene.path("dst/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("dst/socket")).unwrap();
    let output = sync(&scene, UP, "dst", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = summary(&output);
    assert_eq!(told["done"], 2);
    assert_eq!(told["left_out"]["TargetClash"], 1);
    assert_eq!(told["left_out"]["TargetUnwritable"], 2);
    assert_eq!(std::fs::read_dir(scene.path("outside")).unwrap().count(), 0);
    assert_eq!(tree(&scene.path("dst")).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_f68_links_special_files_and_names_that_are_no_text_are_left_out_and_stop_nothing() {
    let scene = Scene::start().await;
    write(&scene, "src/fine", "fine");
    write(&scene, "src/empty", "");
    write(&scene, "src/d/%2F", "file of a key that ends in a slash");
    write(&scene, "src/a%2Fb", "its own key");
    symlink(".", scene.path("src/loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("src/socket")).unwrap();
    let output = sync(&scene, "src", UP, &["--json"]);
    assert!(output.status.success(), "by rule, not by error");
    let told = summary(&output);
    assert_eq!(told["done"], 4);
    assert_eq!(told["left_out"]["SymbolicLink"], 1);
    assert_eq!(told["left_out"]["NotRegular"], 1);
    assert_eq!(object(&scene, "empty").unwrap(), b"");
    assert!(object(&scene, "d/").is_some() && object(&scene, "a%2Fb").is_some());
    let bad = scene.path("src").join(OsStr::from_bytes(b"bad\xff"));
    std::fs::write(bad, "x").unwrap();
    let output = sync(&scene, "src", UP, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = summary(&output);
    assert_eq!(
        (&told["left_out"]["NotUtf8"], &told["same"]),
        (&1.into(), &4.into())
    );
}
