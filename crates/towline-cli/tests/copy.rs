//! `copy`: from one object to another, by the store itself.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use common::{BUCKET, Scene, json_lines, stderr};
use serde_json::json;

async fn scene() -> Scene {
    let scene = Scene::start().await;
    let put = scene
        .server
        .put_object(BUCKET, "dir/source", b"bytes".to_vec());
    put.await.unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_a_transfer_that_is_said_listed_and_shown() {
    let scene = scene().await;
    let done = scene.run(&["copy", "s3://bucket/dir/source", "s3://bucket/copies/"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let copied = scene.server.object_bytes(BUCKET, "copies/source");
    assert_eq!(copied.unwrap(), b"bytes");
    let said = stderr(&done) + &String::from_utf8_lossy(&done.stdout);
    let sentence = "copied s3://bucket/dir/source to s3://bucket/copies/source";
    assert!(said.contains(sentence), "{said}");
    assert!(said.contains("verified full-object"), "{said}");

    let listed = json_lines(&scene.run(&["list", "--type", "copy", "--json"]));
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["type"], "copy");
    assert_eq!(listed[0]["path"], "s3://bucket/dir/source");
    assert_eq!(listed[0]["key"], "copies/source");
    let others = json_lines(&scene.run(&["list", "--type", "upload", "--json"]));
    assert_eq!(others.len(), 0);
    let shown = scene.run(&["show", "1", "--json"]);
    assert_eq!(json_lines(&shown)[0]["verified"], "full-object");
    let shown = scene.run(&["show", "1"]);
    let words = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(words.contains("s3://bucket/dir/source"), "{words}");
    let verified = scene.run(&["verify", "1"]);
    assert!(
        stderr(&verified).contains("has no file"),
        "{}",
        stderr(&verified)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_can_be_left_to_a_process_in_the_background() {
    let scene = scene().await;
    let left = scene.run(&[
        "copy",
        "s3://bucket/dir/source",
        "s3://bucket/key",
        "--detach",
    ]);
    assert!(left.status.success(), "{}", stderr(&left));
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "1");
    // The same line again stays with it.
    let done = scene.run(&[
        "copy",
        "s3://bucket/dir/source",
        "s3://bucket/key",
        "--json",
    ]);
    assert!(done.status.success(), "{}", stderr(&done));
    let last = json_lines(&done).pop().unwrap();
    assert_eq!(last["state"], json!("completed"));
    assert_eq!(scene.server.object_bytes(BUCKET, "key").unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_refused_before_anything_is_asked() {
    let scene = scene().await;
    for (from, to, code, words) in [
        (
            "s3://bucket/dir/source",
            "s3://bucket/dir/source",
            1,
            "itself",
        ),
        ("s3://bucket/dir/", "s3://bucket/key", 2, "'/' at its end"),
        ("s3://bucket", "s3://bucket/key", 2, "'/' at its end"),
        ("s3://bucket/dir/", "s3://bucket/dir/", 1, "itself"),
        (
            "s3://bucket/dir/",
            "s3://bucket/dir/sub/",
            1,
            "copied again",
        ),
        ("file", "s3://bucket/key", 2, "not an S3 URL"),
    ] {
        let output = scene.run(&["copy", from, to]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{from}: {said}");
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    let version = [
        "copy",
        "--version-id",
        "v",
        "s3://bucket/dir/",
        "s3://bucket/to/",
    ];
    let output = scene.run(&version);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_there_fails_the_copy_with_its_code() {
    let scene = scene().await;
    let output = scene.run(&["copy", "s3://bucket/none", "s3://bucket/key", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let last = json_lines(&output).pop().unwrap();
    assert_eq!(last["error"]["code"], "NoSuchKey", "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_copied_as_one_group_which_tells_what_was_left_out() {
    let scene = scene().await;
    for key in ["dir/sub/", "dir/sub/b"] {
        let put = scene.server.put_object(BUCKET, key, b"".to_vec());
        put.await.unwrap();
    }
    let line = ["copy", "s3://bucket/dir/", "s3://bucket/to/", "--json"];
    let done = scene.run(&[&line[..], &["--metadata", "by=me"]].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let lines = json_lines(&done);
    assert_eq!(lines.len(), 3);
    let name = "s3://bucket/dir/ to s3://bucket/to/";
    assert!(lines.iter().all(|it| it["state"] == "completed"));
    assert!(lines.iter().all(|it| it["group"] == name));
    let copied = scene.server.object_bytes(BUCKET, "to/source");
    assert_eq!(copied.unwrap(), b"bytes");
    let head = json_lines(&scene.run(&["head", "--json", "s3://bucket/to/sub/"]));
    assert_eq!(head[0]["metadata"]["by"], "me");
    let groups = json_lines(&scene.run(&["groups", "--json"]));
    assert_eq!(
        (&groups[0]["type"], &groups[0]["path"]),
        (&json!("copy"), &json!("s3://bucket/dir/"))
    );

    // Of which some would be copied once more.
    let up = ["copy", "s3://bucket/to/", "s3://bucket/", "--json"];
    let put = scene.server.put_object(BUCKET, "to/to/c", b"".to_vec());
    put.await.unwrap();
    let done = scene.run(&up);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    let lines = json_lines(&done);
    let left: Vec<_> = lines.iter().filter(|it| it["left_out"] == true).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["error"]["code"], "WithinSource");
    assert_eq!(left[0]["path"], "s3://bucket/to/to/c");
    assert!(
        stderr(&done).contains("1 objects were left out"),
        "{}",
        stderr(&done)
    );
    assert!(scene.server.object_bytes(BUCKET, "source").is_ok());

    let nothing = scene.run(&["copy", "s3://bucket/none/", "s3://bucket/to/"]);
    assert_eq!(nothing.status.code(), Some(1));
    let said = stderr(&nothing);
    assert!(said.contains("no object below s3://bucket/none/"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_copy_can_be_left_to_a_process_in_the_background_and_steered_as_a_group() {
    let scene = scene().await;
    scene.server.faults().offline(true);
    let line = ["copy", "s3://bucket/dir/", "s3://bucket/to/"];
    let left = scene.run(&[&line[..], &["--detach"]].concat());
    assert!(left.status.success(), "{}", stderr(&left));
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "group 1");
    let paused = scene.run(&["pause", "--group", "1"]);
    assert!(paused.status.success(), "{}", stderr(&paused));
    scene.server.faults().offline(false);
    // The same line resumes it, and stays with it.
    let done = scene.run(&line);
    assert!(done.status.success(), "{}", stderr(&done));
    let told = stderr(&done) + &String::from_utf8_lossy(&done.stdout);
    let sentence = "copied s3://bucket/dir/source to s3://bucket/to/source";
    assert!(told.contains(sentence), "{told}");
    let watched = scene.run(&["watch", "--json", "--group", "1"]);
    assert_eq!(json_lines(&watched).pop().unwrap()["state"], "completed");
}
