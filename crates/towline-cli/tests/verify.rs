//! `towline verify`: whether a file and its object are equal.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Scene, json_lines, spawn, stderr};
use serde_json::Value;

const LARGE: u64 = (11 << 20) + 5;

fn path(scene: &Scene, name: &str) -> String {
    scene.path(name).to_str().unwrap().to_owned()
}

/// What it says to programs, and its exit code.
fn verify(scene: &Scene, args: &[&str]) -> (Value, Option<i32>) {
    let output = scene.run(&[&["verify", "--json"], args].concat());
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1, "{}", stderr(&output));
    (lines[0].clone(), output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_equal_to_its_object_different_or_it_is_said_that_it_cannot_be_told() {
    let scene = Scene::start().await;
    scene.file("file", LARGE, 1);
    scene.file("other", LARGE, 2);
    let (file, other) = (path(&scene, "file"), path(&scene, "other"));
    let uploaded = scene.run(&["upload", &file, "s3://bucket/p/file"]);
    assert!(uploaded.status.success(), "{}", stderr(&uploaded));

    let (said, code) = verify(&scene, &[&file, "s3://bucket/p/file"]);
    assert_eq!(code, Some(0), "{said}");
    for (field, value) in [
        ("result", Value::from("equal")),
        ("proof", "full-object".into()),
        ("code", Value::Null),
        ("bucket", "bucket".into()),
        ("key", "p/file".into()),
        ("path", file.as_str().into()),
        ("bytes_file", LARGE.into()),
        ("bytes_object", LARGE.into()),
    ] {
        assert_eq!(said[field], value, "{field}");
    }
    let words = scene.run(&["verify", &file, "s3://bucket/p/"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(
        words.contains("are equal, by the checksum of all bytes"),
        "{words}"
    );

    let (said, code) = verify(&scene, &[&other, "s3://bucket/p/file"]);
    assert_eq!(
        (code, &said["result"], &said["code"]),
        (Some(1), &"different".into(), &"ChecksumDiffers".into())
    );
    let (said, code) = verify(&scene, &[&other, "s3://bucket/p/file", "--download"]);
    assert_eq!((code, &said["code"]), (Some(1), &"ByteDiffers".into()));
    let (said, code) = verify(&scene, &[&file, "s3://bucket/p/file", "--download"]);
    assert_eq!((code, &said["proof"]), (Some(0), &"bytes".into()));
    let (said, code) = verify(&scene, &[&file, "s3://bucket/none"]);
    assert_eq!((code, &said["code"]), (Some(1), &"NoObject".into()));
    let words = scene.run(&["verify", &file, "s3://bucket/none"]);
    assert_eq!(words.status.code(), Some(1));
    assert!(
        stderr(&words).contains("there is no such object"),
        "{}",
        stderr(&words)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_compared_by_its_number_whoever_owns_the_state() {
    let scene = Scene::start().await;
    scene.file("file", 1000, 1);
    let file = path(&scene, "file");
    assert!(
        scene
            .run(&["upload", &file, "s3://bucket/key"])
            .status
            .success()
    );
    let (said, code) = verify(&scene, &["1"]);
    assert_eq!(
        (code, &said["result"], &said["key"]),
        (Some(0), &"equal".into(), &"key".into())
    );

    // Another process owns the state meanwhile.
    let mut owner = spawn(scene.towline(&["daemon", "run"]));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !scene.path("state/towline.sock").exists() {
        assert!(std::time::Instant::now() < deadline, "no owner");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    scene.file("file", 1000, 2);
    let (said, code) = verify(&scene, &["1"]);
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!((code, &said["result"]), (Some(1), &"different".into()));
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("the file has changed since"), "{message}");
    for (args, code, words) in [
        (["verify", "99", "--quiet"], 1, "no transfer 99"),
        (
            ["verify", "no-number", "--quiet"],
            2,
            "no transfer's number",
        ),
    ] {
        let output = scene.run(&args);
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_and_an_object_with_a_key_in_a_file_are_compared_and_the_key_is_not_told() {
    let scene = Scene::start().await;
    scene.file("file", 1000, 1);
    let (file, key) = (path(&scene, "file"), path(&scene, "key"));
    std::fs::write(&key, [b'k'; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with_key = ["--sse-c-key-file", key.as_str()];
    let args = [&["upload", &file, "s3://bucket/secret"], &with_key[..]].concat();
    assert!(scene.run(&args).status.success());
    let args = [&[file.as_str(), "s3://bucket/secret"], &with_key[..]].concat();
    let (said, code) = verify(&scene, &args);
    assert_eq!((code, &said["proof"]), (Some(0), &"full-object".into()));
    assert!(!said.to_string().contains("kkkk"));
    // The transfer knows where its key is.
    let (said, code) = verify(&scene, &["1"]);
    assert_eq!((code, &said["result"]), (Some(0), &"equal".into()));
    let (said, code) = verify(
        &scene,
        &[&file, "s3://bucket/secret", "--version-id", "none"],
    );
    assert_eq!(code, Some(1), "{said}");
}
