//! Keys of every kind: whole, or a clear error. T63. What SeaweedFS makes of them is
//! told in docs/compatibility.md.

use std::collections::BTreeMap;
use std::path::Path;

use super::{BUCKET, MIB, Scene, code, completed, content};

/// These come back as they went.
const WHOLE: [&str; 17] = [
    "sp ace+plus",
    "ünï/çødé",
    "a%2Fb",
    "%2E%2E/x",
    "q?x=1&y#z",
    "q",
    "a//c",
    "/leading",
    "~(x)'!*",
    "A/b",
    "a/b",
    "x",
    "x/y",
    ".bashrc",
    "ends.",
    "tab\there",
    "b\\c",
];

/// Names of directories on the way are no keys of it.
const WITH_DOTS: [&str; 6] = ["../up", "../../etc/passwd", "x/..", ".", "..", "b/./c/../d"];

/// Different keys that are one object there: the last that was stored.
const ONE: [(&str, &str); 3] = [("d/e", "d//e"), ("f", "/f"), ("g/h", "g\\h")];

/// A key of 1,024 bytes, with as long names in it as it takes for files.
fn long() -> String {
    let names = ["k", "l", "m"].map(|letter| letter.repeat(255));
    let key = format!("{}/n/{}", names.join("/"), "n".repeat(254));
    assert_eq!(key.len(), 1024);
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_keys_of_every_kind_come_back_as_they_went_or_are_refused_on_seaweedfs() {
    let scene = Scene::start().await;
    let target = scene.path("target");
    let long = long();
    for key in WHOLE.into_iter().chain([&*long]) {
        let source = scene.file("source", key.as_bytes());
        completed(scene.upload(key, &source).await);
        completed(scene.download(key, &target).await);
        assert_eq!(std::fs::read(&target).unwrap(), key.as_bytes(), "{key}");
    }
    // All of them still, though many have names in common.
    for key in WHOLE {
        assert_eq!(scene.stored(key).await, key.as_bytes(), "{key}");
    }
    let refused = WITH_DOTS.map(|key| (key, "InvalidRequest"));
    let names = [1024, 256].map(|len| "k".repeat(len));
    let too_long = names.iter().map(|name| (&**name, "KeyTooLongError"));
    for (key, why) in refused.into_iter().chain(too_long) {
        let source = scene.file("source", key.as_bytes());
        assert_eq!(code(&scene.upload(key, &source).await), why, "{key}");
        let none = scene.path("none");
        let ended = scene.download(key, &none).await;
        assert!(["InvalidRequest", "NoSuchKey"].contains(&code(&ended)));
        assert!(!none.exists(), "{key}");
    }
    for (key, other) in ONE {
        let source = scene.file("source", key.as_bytes());
        completed(scene.upload(key, &source).await);
        assert_eq!(scene.stored(other).await, key.as_bytes(), "{other}");
        let source = scene.file("source", other.as_bytes());
        completed(scene.upload(other, &source).await);
        assert_eq!(scene.stored(key).await, other.as_bytes(), "{key}");
    }
    let mut there = scene.keys();
    there.retain(|key| key.starts_with(['d', 'f', 'g']));
    assert_eq!(there, ["d/e", "f", "g/h"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_a_key_that_ends_in_a_slash_is_a_directory_and_no_bytes_are_lost_in_it_on_seaweedfs() {
    let scene = Scene::start().await;
    let empty = scene.file("empty", b"");
    completed(scene.upload("directory/", &empty).await);
    let source = scene.file("source", b"some bytes");
    let ended = scene.upload("with bytes/", &source).await;
    assert_eq!(code(&ended), "StoredWrong");
    let message = ended.error.unwrap().message;
    assert!(
        message.ends_with("it has 0 bytes, ours has 10"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_keys_of_every_kind_go_in_parts_as_they_go_in_one_put_on_seaweedfs() {
    let scene = Scene::start().await;
    let bytes = content(5 * MIB + 1, 1);
    let source = scene.file("source", &bytes);
    let long = long();
    for key in ["sp ace+ünï?#%2F", "a//c", "/leading", "b\\c", &long] {
        completed(scene.upload(key, &source).await);
        assert!(scene.stored(key).await == bytes, "{key}");
    }
    for key in ["../up", "x/..", "b/./c"] {
        assert_eq!(
            code(&scene.upload(key, &source).await),
            "InvalidRequest",
            "{key}"
        );
    }
    assert_eq!(scene.open_uploads(), 0);
    assert_eq!(scene.keys().len(), 5);
}

/// The files below a directory, with their contents.
fn tree(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            tree(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_a_prefix_stays_in_its_directory_and_each_object_has_its_file_on_seaweedfs() {
    let scene = Scene::start().await;
    for key in WHOLE.into_iter().chain(WITH_DOTS) {
        let source = scene.file("source", key.as_bytes());
        scene.upload(&format!("p/{key}"), &source).await;
    }
    let before = scene.names();
    let dir = scene.path("dir");
    let prefix = scene.utility.download_prefix(BUCKET, "p/", &dir).await;
    let prefix = prefix.unwrap();
    let group = prefix.finished().await.unwrap();
    let listed = scene.keys();
    assert_eq!(group.found.entries as usize, WHOLE.len());
    assert_eq!(listed.len(), WHOLE.len(), "{listed:?}");
    let refused = prefix.refused(0, 100).await.unwrap();
    let refused: Vec<_> = refused
        .iter()
        .map(|left| (left.key.as_deref().unwrap(), left.code.as_str()))
        .collect();
    assert_eq!(refused, [("p/x/y", "TargetClash")]);
    let mut files = BTreeMap::new();
    tree(&dir, &dir, &mut files);
    assert_eq!(files.len(), WHOLE.len() - 1, "{files:?}");
    for (path, bytes) in &files {
        let key = towline::key_of(Path::new(path)).unwrap();
        assert!(listed.contains(&format!("p/{key}")), "{key}");
        assert!(scene.stored(&format!("p/{key}")).await == *bytes, "{key}");
    }
    assert_eq!(files.len() as u64, group.transfers.completed);
    assert_eq!(group.transfers.failed, 0);
    let mut after = scene.names();
    after.retain(|name| name != "dir");
    assert_eq!(after, before, "nothing else was made");
}
