//! All objects below a prefix, to files below a directory. T63, S15 to S17.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use towline::{Group, GroupObserver, Query, State, WhenTargetExists};
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::{BUCKET, Scene, names};

async fn put(scene: &Scene, key: &str, bytes: &str) {
    scene
        .server
        .put_object(BUCKET, key, bytes.into())
        .await
        .unwrap();
}

fn dir(scene: &Scene) -> PathBuf {
    scene.dir.path().join("dir")
}

async fn download(scene: &Scene) -> GroupObserver {
    scene
        .utility
        .download_prefix(BUCKET, "p/", dir(scene))
        .await
        .unwrap()
}

/// All that was not left out was downloaded.
async fn downloaded(scene: &Scene) -> Group {
    let group = download(scene).await.finished().await.unwrap();
    let left_out = group.found.skipped + group.found.refused;
    let done = group.transfers.completed;
    assert_eq!(done, group.found.entries - left_out, "{group:?}");
    group
}

/// The files below a directory, with their contents.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                walk(root, &path, found);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_keys_of_every_kind_have_a_file_of_their_own_and_none_is_outside_the_directory() {
    let scene = Scene::start().await;
    let long = "k".repeat(1024 - 2);
    let keys = [
        "sp ace+plus",
        "ünï/çødé",
        "a%2Fb",
        "a//b",
        "a/b",
        "q?x=1&y#z",
        "../up",
        "../../etc/passwd",
        "x/..",
        ".",
        "/leading",
        "b/./b/../c",
        "~(x)'!*",
        "%2E%2E/x",
        "c\u{7f}\u{85}d",
        "A/b",
        &long,
        ".towline-0123456789abcdef.part",
        ".bashrc",
        "with bytes/",
    ];
    for key in keys {
        put(&scene, &format!("p/{key}"), key).await;
    }
    put(&scene, "p/", "").await;
    put(&scene, "p/empty/", "").await;
    put(&scene, "other/file", "not asked for").await;
    let before = names(scene.dir.path());
    let told = downloaded(&scene).await;
    assert_eq!(told.state, State::Completed, "{told:?}");
    let directories = 2;
    assert_eq!(told.found.entries, keys.len() as u64 + directories);
    assert_eq!(told.found.skipped, directories);
    let files = tree(&dir(&scene));
    assert_eq!(files.len(), keys.len(), "{files:?}");
    for (path, bytes) in &files {
        assert_eq!(
            towline::key_of(Path::new(path)).as_ref(),
            Some(bytes),
            "{path}"
        );
    }
    for (path, bytes) in [
        ("a/b", "a/b"),
        ("a/%2F/b", "a//b"),
        ("%2E%2E/up", "../up"),
        ("A/b", "A/b"),
    ] {
        assert_eq!(files[path], bytes);
    }
    assert!(dir(&scene).join("empty").is_dir());
    let mut after = names(scene.dir.path());
    after.retain(|name| name != "dir");
    assert_eq!(after, before, "nothing else was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn f73_what_has_no_file_of_its_own_is_left_out_and_told_and_the_rest_comes() {
    let scene = Scene::start().await;
    std::fs::create_dir_all(dir(&scene).join("taken")).unwrap();
    for key in ["a", "a/b", "a/c/d", "a-b", "taken", "fine"] {
        put(&scene, &format!("p/{key}"), key).await;
    }
    let told = downloaded(&scene).await;
    let observer = scene.utility.observe_group(told.id).await.unwrap();
    let refused = observer.refused(0, 100).await.unwrap();
    let left: Vec<_> = refused
        .iter()
        .map(|left| (left.key.as_deref().unwrap(), left.code.as_str()))
        .collect();
    let clash = "TargetClash";
    let expected = [
        ("p/a/b", clash),
        ("p/a/c/d", clash),
        ("p/taken", "TargetUnwritable"),
    ];
    assert_eq!(left, expected);
    assert_eq!((told.transfers.completed, told.found.refused), (3, 3));
    assert_eq!(told.state, State::Failed, "not all is there");
    let files: Vec<_> = tree(&dir(&scene)).into_keys().collect();
    assert_eq!(files, ["a", "a-b", "fine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_a_link_in_the_directory_is_not_followed_and_what_it_leads_to_stays() {
    let scene = Scene::start().await;
    let outside = scene.dir.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir(dir(&scene)).unwrap();
    let precious = scene.file("precious", b"precious");
    symlink(&outside, dir(&scene).join("sub")).unwrap();
    symlink(&precious, dir(&scene).join("file")).unwrap();
    for key in ["sub/x", "sub/deep/y", "sub/z/", "file", "fine"] {
        put(
            &scene,
            &format!("p/{key}"),
            if key.ends_with('/') { "" } else { key },
        )
        .await;
    }
    let told = downloaded(&scene).await;
    let counts = (told.transfers.completed, told.found.refused);
    assert_eq!(counts, (2, 3), "{told:?}");
    let observer = scene.utility.observe_group(told.id).await.unwrap();
    let refused = observer.refused(0, 100).await.unwrap();
    assert!(
        refused
            .iter()
            .all(|left| left.why.contains("symbolic link"))
    );
    assert_eq!(names(&outside), [] as [String; 0]);
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    assert!(!dir(&scene).join("file").is_symlink());
    assert_eq!(std::fs::read(dir(&scene).join("file")).unwrap(), b"file");
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_a_link_that_is_put_in_the_way_after_the_call_is_not_followed_either_nor_after_a_restart()
 {
    let mut scene = Scene::start().await;
    let outside = scene.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    put(&scene, "p/sub/x", "x").await;
    // Nothing is moved until the link is there.
    let stalled = Rule::on(Operation::GetObject).answer(Answer::error(503, "SlowDown"));
    scene
        .server
        .faults()
        .play(Script::new().rule(stalled))
        .unwrap();
    let group = download(&scene).await;
    let id = group.id();
    while group.group().await.unwrap().transfers.going == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(group);
    scene.utility.close().await.unwrap();
    std::fs::remove_dir_all(dir(&scene).join("sub")).ok();
    symlink(&outside, dir(&scene).join("sub")).unwrap();
    scene.server.faults().play(Script::new()).unwrap();
    scene.utility = crate::open(&scene.server, scene.dir.path().join("state")).await;
    let group = scene.utility.observe_group(id).await.unwrap();
    group.finished().await.unwrap();
    let query = Query {
        group_id: Some(id),
        ..Query::default()
    };
    let (transfers, _) = scene.utility.find(query).await.unwrap();
    assert_eq!(transfers.len(), 1);
    assert_eq!(transfers[0].state, State::Failed);
    let error = transfers[0].error.as_ref().unwrap();
    assert!(error.message.contains("symbolic link"), "{}", error.message);
    assert_eq!(names(&outside), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s17_neither_mode_nor_owner_are_taken_from_what_an_object_says_of_itself() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"#!/bin/sh");
    let mut request = scene.utility.upload(BUCKET, "p/run.sh", source);
    for (name, value) in [
        ("mode", "35309"),
        ("file-permissions", "4755"),
        ("uid", "0"),
        ("gid", "0"),
        ("s3cmd-attrs", "mode:35309/uid:0/gid:0"),
    ] {
        request = request.metadata(name, value);
    }
    crate::completed(request.await.unwrap().finished().await.unwrap());
    downloaded(&scene).await;
    let usual = std::fs::metadata(scene.file("usual", b"")).unwrap();
    let made = std::fs::metadata(dir(&scene).join("run.sh")).unwrap();
    assert_eq!(made.permissions().mode(), usual.permissions().mode());
    assert_eq!((made.uid(), made.gid()), (usual.uid(), usual.gid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_again_goes_on_and_does_not_fetch_again_what_is_there() {
    let mut scene = Scene::start().await;
    for n in 0..20 {
        put(&scene, &format!("p/{n:02}"), "bytes").await;
    }
    let refused = Rule::on(Operation::GetObject)
        .key("p/07")
        .answer(Answer::error(403, "AccessDenied"));
    scene
        .server
        .faults()
        .play(Script::new().rule(refused))
        .unwrap();
    let told = download(&scene).await.finished().await.unwrap();
    assert_eq!((told.transfers.completed, told.transfers.failed), (19, 1));
    assert_eq!(told.state, State::Failed);
    scene.reopen().await;
    scene.server.faults().play(Script::new()).unwrap();
    // One of those that are there is not what it was, by its time in whole seconds.
    let other = dir(&scene).join("03");
    std::fs::write(&other, "other").unwrap();
    let later = SystemTime::now() + Duration::from_secs(2);
    let other = std::fs::File::options().write(true).open(other);
    other.unwrap().set_modified(later).unwrap();
    scene.server.history().clear();
    let told = download(&scene).await.finished().await.unwrap();
    assert_eq!(told.state, State::Completed, "{told:?}");
    assert_eq!((told.transfers.completed, told.found.skipped), (2, 18));
    // That one's name is taken: it is seen as it is fetched, and goes beside it first.
    assert_eq!(scene.server.history().count(Operation::GetObject), 3);
    let files = tree(&dir(&scene));
    assert!(files.len() == 20 && files.values().all(|bytes| bytes == "bytes"));
    // All is done: the call again is a new one, which the policy may make short.
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let request = request.when_target_exists(WhenTargetExists::SkipIfIdentical);
    let told = request.await.unwrap().finished().await.unwrap();
    assert_eq!((told.transfers.completed, told.found.skipped), (20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_several_pages_comes_whole_and_a_listing_that_does_not_advance_fails() {
    let scene = Scene::start().await;
    for n in 0..1100 {
        put(&scene, &format!("p/{}/{n}", n % 7), "").await;
    }
    scene.server.history().clear();
    let told = downloaded(&scene).await;
    assert_eq!(told.transfers.completed, 1100);
    assert_eq!(tree(&dir(&scene)).len(), 1100);
    assert_eq!(scene.server.history().count(Operation::ListObjectsV2), 2);

    let page = "<ListBucketResult><IsTruncated>false</IsTruncated>\
        <Contents><Key>p/b</Key><Size>1</Size></Contents>\
        <Contents><Key>p/a</Key><Size>1</Size></Contents></ListBucketResult>";
    let answer = Answer::status(200).body(page, "application/xml");
    let rule = Rule::on(Operation::ListObjectsV2).answer(answer);
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let told = request.await.unwrap().finished().await.unwrap();
    assert_eq!(told.state, State::Failed);
    let why = told.error.unwrap().message;
    assert!(why.contains("does not advance"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_is_none_and_a_directory_that_cannot_be_one_are_refused_at_the_call() {
    let scene = Scene::start().await;
    let file = scene.file("file", b"");
    let code = |prefix: &str, dir: &Path| {
        let request = scene.utility.download_prefix(BUCKET, prefix, dir);
        async { request.await.unwrap_err().code().to_owned() }
    };
    assert_eq!(code("p", &dir(&scene)).await, "BadOption");
    assert_eq!(code("p/", &file).await, "TargetUnwritable");
    assert_eq!(code("p/", &file.join("x")).await, "TargetUnwritable");
    assert!(!dir(&scene).exists());
}
