//! `towline sync`, up and down.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

#[path = "../common/mod.rs"]
mod common;
mod deleting;
mod group;
mod killed;
mod left_out;
mod many;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use common::{BUCKET, Scene, json_lines, stderr};
use serde_json::Value;
use towline_testkit::crash::bytes;
use towline_testserver::Operation;

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
