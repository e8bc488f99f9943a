//! What is wrong is named at the call, and nothing is recorded. T10.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::{Duration, Instant};

use common::{BUCKET, Scene, json_lines, stderr};

impl Scene {
    /// Asserts that a command was refused with these words and left no record.
    fn assert_refused(&self, output: &Output, code: i32, words: &str) {
        assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
        assert!(
            stderr(output).contains(words),
            "{:?} is not in {:?}",
            words,
            stderr(output)
        );
        assert_eq!(self.recorded().len(), 0);
        assert_eq!(
            self.server.history().requests().len(),
            0,
            "something was sent"
        );
    }

    fn recorded(&self) -> Vec<serde_json::Value> {
        json_lines(&self.run(&["list", "--json"]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_bad_uploads_are_refused_at_the_call_and_leave_no_record() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let file = file.to_str().unwrap();
    let dir = scene.dir.path().to_str().unwrap();
    let missing = scene.path("missing");
    let missing = missing.to_str().unwrap();
    let long_key = format!("s3://{BUCKET}/{}", "k".repeat(1025));
    for (args, code, words) in [
        (vec!["upload", missing, "s3://bucket/key"], 1, "missing"),
        (vec!["upload", dir, "s3://bucket/key"], 2, "is a directory"),
        (vec!["upload", file, "s3://"], 2, "no bucket"),
        (vec!["upload", file, "s3:///key"], 2, "no bucket"),
        (vec!["upload", file, "bucket/key"], 2, "not an S3 URL"),
        (vec!["upload", file, &long_key], 2, "1,024"),
        (vec!["upload", file, "s3://b@d/key"], 2, "not a bucket name"),
        (
            vec!["upload", file, "s3://bucket/k", "--endpoint-url", "ftp://x"],
            2,
            "ftp://x",
        ),
        (
            vec![
                "upload",
                file,
                "s3://bucket/k",
                "--endpoint-url",
                "not a url",
            ],
            2,
            "not a url",
        ),
        (
            vec!["upload", file, "s3://bucket/k", "--profile", "nobody"],
            2,
            "nobody",
        ),
        (vec!["upload", file, file, "s3://bucket/k"], 2, "prefix"),
        (
            vec!["upload", file, "s3://bucket/k", "--part-size", "4MiB"],
            2,
            "5 MiB",
        ),
        (vec!["upload", file], 2, "PATH"),
    ] {
        scene.assert_refused(&scene.run(&args), code, words);
    }
    // One bad file among good ones: none is recorded.
    let output = scene.run(&["upload", file, missing, "s3://bucket/prefix/"]);
    scene.assert_refused(&output, 1, "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_bad_downloads_are_refused_at_the_call_and_leave_no_record() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let below_a_file = file.join("x");
    let below_a_file = below_a_file.to_str().unwrap();
    let no_dir = scene.path("no/such/dir/x");
    let no_dir = no_dir.to_str().unwrap();
    for (args, code, words) in [
        (
            vec!["download", "s3://bucket/p/", below_a_file],
            1,
            "cannot write",
        ),
        (
            vec!["download", "s3://bucket", "/proc/sys/x"],
            1,
            "cannot write",
        ),
        (
            vec!["download", "s3://bucket/p/", "x", "--version-id", "1"],
            2,
            "--version-id",
        ),
        (vec!["download", "s3://bucket/..", "/tmp/"], 2, "file name"),
        (
            vec!["download", "s3://bucket/k", below_a_file],
            1,
            "cannot write",
        ),
        (vec!["download", "s3://bucket/k", no_dir], 1, "cannot write"),
        (
            vec!["download", "s3://bucket/k", "/proc/sys/x"],
            1,
            "cannot write",
        ),
    ] {
        scene.assert_refused(&scene.run(&args), code, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_or_key_ends_failed_with_the_code_of_s3() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let big = scene.file("b", 6 << 20, 2);
    let target = scene.path("target");
    let target = target.to_str().unwrap();
    for (args, code) in [
        (
            vec!["upload", file.to_str().unwrap(), "s3://no-such-bucket/k"],
            "NoSuchBucket",
        ),
        (
            vec!["upload", big.to_str().unwrap(), "s3://no-such-bucket/k"],
            "NoSuchBucket",
        ),
        (
            vec!["download", "s3://no-such-bucket/k", target],
            "NoSuchBucket",
        ),
        (
            vec!["download", "s3://bucket/no-such-key", target],
            "NoSuchKey",
        ),
    ] {
        let output = scene.run(&[args.as_slice(), &["--json"]].concat());
        assert_eq!(
            output.status.code(),
            Some(1),
            "{args:?}: {}",
            stderr(&output)
        );
        let ended = json_lines(&output).remove(0);
        assert_eq!(ended["state"], "failed", "{ended}");
        assert_eq!(ended["error"]["code"], code, "{ended}");
        assert_eq!(ended["error"]["http_status"], 404, "{ended}");
    }
    assert!(!std::path::Path::new(target).exists());
    assert_eq!(scene.temporary_files().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_it_gives_up_after_the_connect_timeout_saying_why() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let start = Instant::now();
    let args = [
        "upload",
        file.to_str().unwrap(),
        "s3://bucket/k",
        "--connect-timeout",
        "2",
    ];
    let output = scene
        .towline(&args)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("credentials"),
        "{}",
        stderr(&output)
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_given_up_after_the_connect_timeout_saying_why() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let url = "http://no-such-host.invalid:9";
    let args = [
        "upload",
        file.to_str().unwrap(),
        "s3://bucket/k",
        "--connect-timeout",
        "2",
        "--endpoint-url",
        url,
    ];
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no-such-host.invalid"),
        "{}",
        stderr(&output)
    );
    // It stays recorded, and goes on when the host is there.
    let recorded = scene.recorded();
    assert_eq!(recorded[0]["state"], "waiting_for_network", "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t36_a_store_owned_by_an_app_that_serves_no_socket_is_refused_with_exit_code_4() {
    let scene = Scene::start().await;
    let small = scene.file("small", 3, 2);
    // An app, that serves no socket.
    let app = towline::TransferUtility::builder().state_dir(scene.path("state"));
    let app = app.open().await.unwrap();
    let output = scene.run(&["upload", small.to_str().unwrap(), "s3://bucket/small"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("in use by another process"));
    // Looking is possible all the same.
    assert_eq!(scene.recorded().len(), 0);
    app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_refused_with_exit_code_3_and_left_as_it_is() {
    let scene = Scene::start().await;
    let file = scene.file("a", 3, 1);
    let state = scene.path("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    let db = state.join("towline.db");
    std::fs::write(&db, common::bytes(8192, 7)).unwrap();
    let output = scene.run(&["upload", file.to_str().unwrap(), "s3://bucket/k"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(std::fs::read(&db).unwrap(), common::bytes(8192, 7));
}
