//! Options of the command that are more than a field of the request.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use common::{Scene, bytes, json_lines, stderr};
use towline_testserver::Operation;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_encrypts_and_is_needed_to_read() {
    let scene = Scene::start().await;
    let dir = scene.dir.path();
    std::fs::write(dir.join("source"), bytes(6 << 20, 3)).unwrap();
    std::fs::write(dir.join("key"), [9; 32]).unwrap();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (source, key, target) = (path("source"), path("key"), path("target"));
    let url = "s3://bucket/secret";

    let up = ["upload", &source, url, "--sse-c-key-file", &key];
    let output = scene.towline(&up).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let output = scene.towline(&["download", url, &target]).output().unwrap();
    assert!(!output.status.success(), "without the key nothing is read");
    let down = [
        "download",
        url,
        &target,
        "--sse-c-key-file",
        &key,
        "--restart",
    ];
    let output = scene.towline(&down).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read(dir.join("target")).unwrap() == bytes(6 << 20, 3));

    let missing = [
        "upload",
        &source,
        "s3://bucket/x",
        "--sse-c-key-file",
        "/no/key",
    ];
    let output = scene.towline(&missing).output().unwrap();
    assert!(stderr(&output).contains("/no/key"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_there_is_skipped_or_gets_a_number_as_asked() {
    let scene = Scene::start().await;
    let dir = scene.dir.path();
    std::fs::write(dir.join("source.txt"), bytes(1000, 3)).unwrap();
    let source = dir.join("source.txt").to_str().unwrap().to_owned();
    let output = scene
        .towline(&["upload", &source, "s3://bucket/a"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let download = |policy: &str| {
        let args = [
            "download",
            "s3://bucket/a",
            &source,
            "--on-exists",
            policy,
            "--json",
        ];
        let output = scene.towline(&args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        json_lines(&output).pop().unwrap()
    };
    assert_eq!(download("skip-if-identical")["outcome"], "skipped");
    assert_eq!(scene.server.history().count(Operation::GetObject), 0);
    let renamed = download("rename");
    assert_eq!(
        renamed["path"],
        dir.join("source (1).txt").to_str().unwrap()
    );
    assert!(std::fs::read(dir.join("source (1).txt")).unwrap() == bytes(1000, 3));
}
