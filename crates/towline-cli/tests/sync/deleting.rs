//! `--delete`: what the source does not have, and never more.

use std::os::unix::fs::symlink;
use std::path::Path;

use towline_testserver::{Answer, Operation, Rule, Script};

use crate::common::{BUCKET, Scene, stderr, temporary_files};
use crate::{UP, object, only_listed, put, summary, sync, synced, write};

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
