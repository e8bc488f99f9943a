//! `towline sync`, up and down.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use common::{BUCKET, Scene, json_lines, spawn, stderr, temporary_files};
use serde_json::Value;
use towline_testkit::crash::bytes;
use towline_testserver::{Answer, Operation, Rule, Script};

const UP: &str = "s3://bucket/p/";

async fn put(scene: &Scene, key: &str, content: impl Into<Vec<u8>>) {
    let key = format!("p/{key}");
    scene
        .server
        .put_object(BUCKET, &key, content.into())
        .await
        .unwrap();
}

fn write(scene: &Scene, path: &str, content: impl AsRef<[u8]>) {
    let path = scene.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn sync(scene: &Scene, from: &str, to: &str, more: &[&str]) -> Output {
    let mut command = scene.towline(&[&["sync", from, to][..], more].concat());
    command.current_dir(scene.dir.path()).output().unwrap()
}

/// One that does all it has to; its summary.
fn synced(scene: &Scene, from: &str, to: &str, more: &[&str]) -> Value {
    let output = sync(scene, from, to, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    summary(&output)
}

fn summary(output: &Output) -> Value {
    let last = json_lines(output).pop();
    last.unwrap_or_else(|| panic!("{}", stderr(output)))["summary"].clone()
}

/// The files below a directory, with their contents.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(root, &path, found);
            } else if kind.is_file() {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

fn object(scene: &Scene, key: &str) -> Option<Vec<u8>> {
    let key = format!("p/{key}");
    scene.server.object_bytes(BUCKET, &key).ok()
}

/// What a dry run says of each: the action, and its reason.
fn decisions(output: &Output) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    json_lines(output)
        .iter()
        .filter(|line| line["action"].is_string())
        .map(|line| {
            (
                text(&line["action"]),
                text(&line["key"]),
                text(&line["reason"]),
            )
        })
        .collect()
}

fn owned(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    all.iter()
        .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()))
        .collect()
}

/// Every request was for a listing.
fn only_listed(scene: &Scene) {
    let others = scene
        .server
        .history()
        .count_where(|request| request.operation != Operation::ListObjectsV2);
    assert_eq!(others, 0, "{:?}", scene.server.history().requests());
    assert!(scene.server.history().count(Operation::ListObjectsV2) > 0);
}

/// Names whose order as paths is another than as keys.
const NAMES: [&str; 8] = ["a-b", "a.b", "a/b", "a/b.c", "a0", "B", "é", ".hidden/x"];

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_all_comes_and_a_second_run_asks_for_the_listing_alone() {
    let scene = Scene::start().await;
    for name in NAMES {
        write(&scene, &format!("src/{name}"), name);
    }
    write(&scene, "src/large", bytes(11 << 20, 1));
    let told = synced(&scene, "src", UP, &[]);
    assert_eq!(told["done"], NAMES.len() + 1);
    for name in NAMES {
        assert_eq!(object(&scene, name).unwrap(), name.as_bytes());
    }
    assert!(object(&scene, "large").unwrap() == bytes(11 << 20, 1));
    let requests = scene.server.history().requests();
    let with_time = requests
        .iter()
        .filter(|request| request.header("x-amz-meta-towline-mtime").is_some());
    assert_eq!(with_time.count(), NAMES.len() + 1);

    scene.server.history().clear();
    let told = synced(&scene, "src", UP, &["--delete"]);
    assert_eq!((&told["done"], &told["same"]), (&0.into(), &9.into()));
    only_listed(&scene);

    let told = synced(&scene, UP, "new/dst", &[]);
    assert_eq!(told["done"], NAMES.len() + 1);
    assert_eq!(tree(&scene.path("new/dst")), tree(&scene.path("src")));
    scene.server.history().clear();
    let told = synced(&scene, UP, "new/dst", &["--delete"]);
    assert_eq!((&told["done"], &told["same"]), (&0.into(), &9.into()));
    only_listed(&scene);

    // By their checksums, too.
    let told = synced(&scene, "src", UP, &["--compare", "checksum"]);
    assert_eq!((&told["done"], &told["same"]), (&0.into(), &9.into()));
    let told = synced(&scene, UP, "new/dst", &["--compare", "always"]);
    assert_eq!(told["done"], NAMES.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_longer_or_newer_at_the_source_is_moved_and_nothing_else() {
    let scene = Scene::start().await;
    for name in ["same", "longer", "newer", "gone"] {
        write(&scene, &format!("src/{name}"), name);
    }
    synced(&scene, "src", UP, &[]);
    write(&scene, "src/longer", "longer than it was");
    write(&scene, "src/newer", "other");
    let later = SystemTime::now() + Duration::from_secs(5);
    let newer = std::fs::File::options()
        .append(true)
        .open(scene.path("src/newer"));
    newer.unwrap().set_modified(later).unwrap();
    write(&scene, "src/sub/new", "new");
    std::fs::remove_file(scene.path("src/gone")).unwrap();
    let output = sync(&scene, "src", UP, &["--dry-run", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = [
        ("upload", "p/longer", "size"),
        ("upload", "p/newer", "newer"),
        ("same", "p/same", "same"),
        ("upload", "p/sub/new", "new"),
    ];
    assert_eq!(decisions(&output), owned(&expected));
    let told = synced(&scene, "src", UP, &["--compare", "size"]);
    assert_eq!(told["done"], 2, "the length of one is as it was");
    let told = synced(&scene, "src", UP, &["--compare", "checksum"]);
    assert_eq!((&told["done"], &told["same"]), (&1.into(), &3.into()));
    assert_eq!(object(&scene, "newer").unwrap(), b"other");
    assert!(object(&scene, "gone").is_some(), "it was not asked for");
    // The other way round: a file that is older than its object.
    synced(&scene, UP, "dst", &[]);
    let old = std::fs::File::options()
        .append(true)
        .open(scene.path("dst/same"));
    old.unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9))
        .unwrap();
    write(&scene, "dst/longer", "cut");
    let told = synced(&scene, UP, "dst", &[]);
    assert_eq!(told["done"], 2);
    assert_eq!(tree(&scene.path("dst"))["longer"], b"longer than it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_a_file_are_deleted_when_that_is_allowed_and_never_before() {
    let scene = Scene::start().await;
    write(&scene, "src/kept", "kept");
    write(&scene, "src/new", "new");
    for key in ["kept", "gone", "gone/too", "dir/", "x/link/below"] {
        put(&scene, key, key.strip_suffix('/').map_or(key, |_| "")).await;
    }
    scene
        .server
        .put_object(BUCKET, "other", b"other".to_vec())
        .await
        .unwrap();
    // Its place at the source is there, and was left out.
    std::fs::create_dir_all(scene.path("src/x")).unwrap();
    symlink("nowhere", scene.path("src/x/link")).unwrap();
    scene.server.history().clear();
    for (more, why) in [
        (&["--delete"][..], "--yes"),
        (
            &["--delete", "--yes", "--max-delete", "1"],
            "--max-delete is 1",
        ),
    ] {
        let output = sync(&scene, "src", UP, more);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert!(stderr(&output).contains("2 objects"), "{}", stderr(&output));
    }
    std::fs::create_dir(scene.path("empty")).unwrap();
    let output = sync(&scene, "empty", UP, &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is empty"), "{}", stderr(&output));
    only_listed(&scene);

    let output = sync(&scene, "src", UP, &["--delete", "--yes", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let told = summary(&output);
    assert_eq!((&told["done"], &told["deleted"]), (&1.into(), &2.into()));
    assert_eq!(told["left_out"]["SymbolicLink"], 1);
    assert_eq!(told["left_out"]["BelowLeftOut"], 1);
    for (key, is_there) in [
        ("kept", true),
        ("new", true),
        ("gone", false),
        ("gone/too", false),
        ("dir/", true),
        ("x/link/below", true),
    ] {
        assert_eq!(object(&scene, key).is_some(), is_there, "{key}");
    }
    assert!(scene.server.object_bytes(BUCKET, "other").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_an_object_are_removed_with_directories_that_get_empty_and_no_link_is_followed()
 {
    let scene = Scene::start().await;
    put(&scene, "kept", "kept").await;
    put(&scene, "d/kept", "kept").await;
    synced(&scene, UP, "dst", &[]);
    write(&scene, "dst/gone", "gone");
    write(&scene, "dst/d/gone", "gone");
    write(&scene, "dst/e/f/gone", "gone");
    write(
        &scene,
        "dst/.towline-0123456789abcdef.part",
        "of a live download",
    );
    write(&scene, "outside/precious", "precious");
    symlink("../outside", scene.path("dst/link")).unwrap();
    symlink("../outside/precious", scene.path("dst/file")).unwrap();
    let output = sync(&scene, UP, "dst", &["--delete"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3 files"), "{}", stderr(&output));
    assert!(scene.path("dst/gone").exists());
    let told = synced(&scene, UP, "dst", &["--delete", "--yes"]);
    assert_eq!((&told["deleted"], &told["same"]), (&3.into(), &2.into()));
    assert!(!scene.path("dst/gone").exists() && !scene.path("dst/e").exists());
    assert!(scene.path("dst/d/kept").exists() && scene.path("dst/link").is_symlink());
    assert!(scene.path("dst/file").is_symlink());
    assert!(scene.path("outside/precious").exists());
    assert_eq!(temporary_files(&scene.path("dst")).len(), 1);
    // A prefix with nothing in it is more likely a mistake.
    let output = sync(&scene, "s3://bucket/none/", "dst", &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(scene.path("dst/kept").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_half_way_deletes_nothing_and_one_in_another_order_is_told() {
    let scene = Scene::start().await;
    for n in 0..1500 {
        put(&scene, &format!("{n:04}"), "x").await;
    }
    write(&scene, "src/0000", "x");
    let rule = Rule::on(Operation::ListObjectsV2)
        .nth(2)
        .answer(Answer::error(403, "AccessDenied"));
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
    let output = sync(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(scene.server.history().count(Operation::DeleteObject), 0);

    let contents = |key: &str| {
        format!(
            "<Contents><Key>p/{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
        )
    };
    let page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>bucket</Name>\
         <IsTruncated>false</IsTruncated>{}{}</ListBucketResult>",
        contents("a/b"),
        contents("a-b")
    );
    let answer = Answer::status(200).body(&page, "application/xml");
    let rule = Rule::on(Operation::ListObjectsV2).answer(answer);
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
    let output = sync(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("not in the order"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.server.history().count(Operation::DeleteObject), 0);
    assert_eq!(scene.server.history().count(Operation::PutObject), 0);
}

/// Directories in one another, of which nobody can read the last by its path.
fn too_deep(top: &Path) {
    let mut dir = std::fs::File::open(top).unwrap();
    let name = "d".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&dir, &name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
        let below = rustix::fs::openat(&dir, &name, flags, rustix::fs::Mode::empty());
        dir = below.unwrap().into();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_read_deletes_nothing() {
    let scene = Scene::start().await;
    write(&scene, "src/a", "a");
    too_deep(&scene.path("src"));
    put(&scene, "gone", "gone").await;
    let output = sync(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("not all could be read"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.server.history().count(Operation::DeleteObject), 0);
    assert!(object(&scene, "gone").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_has_nothing_but_its_own_marker_deletes_no_file() {
    let scene = Scene::start().await;
    put(&scene, "", "").await;
    put(&scene, "below/", "").await;
    write(&scene, "dst/mine", "mine");
    let output = sync(&scene, UP, "dst", &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("empty"), "{}", stderr(&output));
    assert!(scene.path("dst/mine").exists());
}

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
    scene.server.faults().bandwidth(0);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("left out"), "{}", stderr(&output));
    let begun = Instant::now();
    while object(&scene, "a").is_none() || object(&scene, "c").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.run(&["daemon", "stop"]); // it may have left by itself
    assert_ne!(object(&scene, "b"), Some(b"b".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_all_and_touches_nothing() {
    let scene = Scene::start().await;
    write(&scene, "src/new", "new");
    write(&scene, "src/same", "same");
    put(&scene, "same", "same").await;
    put(&scene, "gone", "gone").await;
    scene.server.history().clear();
    let output = sync(&scene, "src", UP, &["--dry-run", "--delete", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = [
        ("delete", "p/gone", "not_at_source"),
        ("upload", "p/new", "new"),
        ("same", "p/same", "same"),
    ];
    assert_eq!(decisions(&output), owned(&expected));
    let lines = json_lines(&output);
    assert_eq!(lines[1]["bytes"], 3);
    let path = scene.path("src/new");
    assert_eq!(lines[1]["path"], path.to_str().unwrap());
    let told = summary(&output);
    assert_eq!(
        (&told["dry_run"], &told["submitted"]),
        (&true.into(), &1.into())
    );
    assert_eq!((&told["deleted"], &told["done"]), (&1.into(), &0.into()));

    let output = sync(&scene, UP, "dst", &["--dry-run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("download s3://bucket/p/gone (new)"), "{said}");
    only_listed(&scene);
    assert!(!scene.path("dst").exists());
    assert!(!scene.path("state").exists(), "nothing is recorded");
    assert_eq!(tree(&scene.path("src")).len(), 2);
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

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_small_files_are_compared_over_pages_of_a_thousand() {
    const FILES: usize = 3000;
    let scene = Scene::start().await;
    for n in 0..FILES {
        write(&scene, &format!("src/{}/{n}", n % 7), n.to_string());
    }
    let told = synced(&scene, "src", UP, &[]);
    assert_eq!(told["done"], FILES);
    scene.server.history().clear();
    let told = synced(&scene, "src", UP, &["--delete"]);
    assert_eq!((&told["same"], &told["done"]), (&FILES.into(), &0.into()));
    only_listed(&scene);
    assert_eq!(scene.server.history().count(Operation::ListObjectsV2), 3);
    std::fs::remove_dir_all(scene.path("src/3")).unwrap();
    let told = synced(&scene, "src", UP, &["--delete", "--yes"]);
    let of_three = (0..FILES).filter(|n| n % 7 == 3).count();
    assert_eq!(
        (&told["deleted"], &told["done"]),
        (&of_three.into(), &0.into())
    );
    let told = synced(&scene, UP, "dst", &[]);
    assert_eq!(told["done"], FILES - of_three);
    assert_eq!(tree(&scene.path("dst")), tree(&scene.path("src")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_synced_is_refused_before_anything_is_asked() {
    let scene = Scene::start().await;
    write(&scene, "src/a", "a");
    for (from, to, more, code) in [
        ("src", "dst", &[][..], 2),
        (UP, "s3://bucket/q/", &[], 2),
        ("src", "s3://bucket/key", &[], 2),
        ("missing", UP, &[], 1),
        ("src/a", UP, &[], 1),
        (UP, "src/a", &[], 1),
        (UP, "dst", &["--storage-class", "GLACIER"], 2),
        ("src", UP, &["--detach", "--delete"], 2),
        ("src", UP, &["--yes"], 2),
        ("src", UP, &["--filter-from", "missing"], 2),
    ] {
        let output = sync(&scene, from, to, more);
        assert_eq!(output.status.code(), Some(code), "{from} {to} {more:?}");
        assert!(!stderr(&output).is_empty());
    }
    assert_eq!(scene.server.history().requests().len(), 0);
    assert!(!scene.path("state").exists() && !scene.path("dst").exists());
    // A bucket's first sync from nothing is nothing.
    std::fs::create_dir(scene.path("empty")).unwrap();
    let told = synced(&scene, "empty", UP, &[]);
    assert_eq!(told["done"], 0);
}
