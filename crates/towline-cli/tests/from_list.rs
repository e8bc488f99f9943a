//! `upload` and `download` of lists of pairs, and what else says who goes first
//! and how often. T54, T63, T69.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{BUCKET, Scene, json_lines, stderr};
use serde_json::{Value, json};

fn write(scene: &Scene, name: &str, text: &str) -> String {
    let path = scene.path(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn summary(lines: &[Value]) -> &Value {
    &lines.last().unwrap()["summary"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_uploaded_its_bad_lines_are_told_and_stop_no_other() {
    let scene = Scene::start().await;
    for name in ["a", "b", "c,d"] {
        write(&scene, name, name);
    }
    let dir = scene.path("").to_str().unwrap().to_owned();
    let list = format!(
        "source,target\n\
         {dir}a,s3://{BUCKET}/a\n\
         {dir}b\n\
         {dir}missing,s3://{BUCKET}/missing\n\
         \n\
         {dir}b,s3://{BUCKET}/p/\n\
         {dir}b,http://{BUCKET}/b\n\
         \"{dir}c,d\",s3://{BUCKET}/c\n\
         {dir}a,s3://{BUCKET}/a\n"
    );
    let list = write(&scene, "list.csv", &list);
    let output = scene.run(&["upload", "--from-list", &list, "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let lines = json_lines(&output);
    let refused = lines.iter().filter(|line| line["left_out"] == true);
    let mut refused: Vec<_> = refused
        .map(|line| {
            (
                line["line"].as_u64().unwrap(),
                line["error"]["code"].as_str().unwrap(),
            )
        })
        .collect();
    refused.sort_unstable();
    assert_eq!(
        refused,
        [(3, "BadLine"), (4, "SourceMissing"), (7, "BadLine"),]
    );
    let done: Vec<_> = lines
        .iter()
        .filter(|line| line["state"] == "completed")
        .collect();
    let mut keys: Vec<_> = done
        .iter()
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["a", "c", "p/b"],
        "the same line twice is one transfer"
    );
    let group = format!("list {list}");
    assert!(done.iter().all(|line| line["group"] == group.as_str()));
    let end = summary(&lines);
    let counts = ["lines", "submitted", "repeated", "done"].map(|name| end[name].as_u64());
    assert_eq!(counts, [Some(7), Some(3), Some(1), Some(3)]);
    assert_eq!(end["refused"], json!({ "BadLine": 2, "SourceMissing": 1 }));
    assert!(stderr(&output).contains("line 3: it has one column"));
    for (key, content) in [("a", "a"), ("p/b", "b"), ("c", "c,d")] {
        assert_eq!(
            scene.server.object_bytes(BUCKET, key).unwrap(),
            content.as_bytes(),
            "{key}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_json_from_standard_input_is_downloaded_and_ends_with_0() {
    let scene = Scene::start().await;
    let mut list = String::new();
    for number in 0..40 {
        let key = format!("key \"{number}\"\n");
        scene
            .server
            .put_object(BUCKET, &key, format!("{number}").into())
            .await
            .unwrap();
        let target = scene.path(&format!("file-{number}"));
        let line = json!({ "source": format!("s3://{BUCKET}/{key}"), "target": target, "priority": "high" });
        list += &format!("{line}\n");
    }
    let mut command = scene.towline(&["download", "--from-list", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(list.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = json_lines(&output);
    assert_eq!(summary(&lines)["done"], 40);
    assert!(lines[..40].iter().all(|line| line["priority"] == "high"));
    for number in 0..40 {
        let is = std::fs::read_to_string(scene.path(&format!("file-{number}"))).unwrap();
        assert_eq!(is, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_refuses_is_told_by_its_line_and_wrong_options_do_nothing() {
    let scene = Scene::start().await;
    write(&scene, "a", "a");
    write(&scene, "b", "b");
    let dir = scene.path("").to_str().unwrap().to_owned();
    let long = "k".repeat(1025);
    let list =
        format!("{dir}a,s3://{BUCKET}/a\n{dir}b,s3://{BUCKET}/{long}\n{dir}b,s3://{BUCKET}/b\n");
    let list = write(&scene, "list", &list);
    let output = scene.run(&["upload", "--from-list", &list, "--ephemeral"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("line 2: ") && said.contains("3 lines: 2 done, 0 not, 1 refused"),
        "{said}"
    );

    for wrong in [
        &["upload", "--from-list", &list, "s3://bucket/p/"][..],
        &["download", "--from-list", &list, "--version-id", "v"],
        &["upload"],
        &["download"],
    ] {
        assert_eq!(scene.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = scene.run(&[
        "upload",
        "--from-list",
        &scene.path("none").to_string_lossy(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cannot read"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_has_written_is_moved_while_it_still_writes() {
    let scene = Scene::start().await;
    let file = write(&scene, "a", "a");
    let mut command = scene.towline(&["upload", "--from-list", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut list = child.stdin.take().unwrap();
    for key in ["first", "second"] {
        writeln!(list, "{file},s3://{BUCKET}/{key}").unwrap();
        let begun = Instant::now();
        while scene.server.object_bytes(BUCKET, key).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{key}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    drop(list);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(summary(&json_lines(&output))["done"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_text_is_refused_and_no_other_one_is_written() {
    let scene = Scene::start().await;
    let file = write(&scene, "a", "a");
    let list = [file.as_bytes(), b",s3://bucket/caf\xe9\n"].concat();
    std::fs::write(scene.path("list"), list).unwrap();
    let output = scene.run(&[
        "upload",
        "--from-list",
        &scene.path("list").to_string_lossy(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("line 1: ") && said.contains("not UTF-8"),
        "{said}"
    );
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_with_another_priority_changes_it() {
    let scene = Scene::start().await;
    let file = write(&scene, "a", "a");
    scene.server.faults().offline(true);
    let upload = |priority: &[&str]| {
        let url = format!("s3://{BUCKET}/a");
        let wait = ["upload", &file, &url, "--max-wait", "1s", "--json"];
        let output = scene.run(&[&wait[..], priority].concat());
        assert_eq!(output.status.code(), Some(1));
        let now = scene.run(&["list", "--json"]);
        json_lines(&now).remove(0)
    };
    let first = upload(&[]);
    assert_eq!(first["priority"], Value::Null);
    let second = upload(&["--priority", "high"]);
    assert_eq!(
        (&second["id"], &second["priority"]),
        (&first["id"], &json!("high"))
    );
    assert_eq!(upload(&["--priority", "low"])["priority"], "low");
    assert_eq!(upload(&[])["priority"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_an_upload_with_a_cap_on_requests_is_no_faster() {
    let scene = Scene::start().await;
    let list: String = (0..30)
        .map(|number| {
            let file = write(&scene, &format!("file-{number}"), "content");
            format!("{file},s3://{BUCKET}/{number}\n")
        })
        .collect();
    let list = write(&scene, "list", &list);
    let begun = Instant::now();
    let output = scene.run(&["upload", "--from-list", &list, "--request-rate", "15"]);
    assert!(output.status.success(), "{}", stderr(&output));
    // 2 s, less what may come at once.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1700), "{took:?}");
    let wrong = scene.run(&["upload", "--from-list", &list, "--request-rate", "0"]);
    assert_eq!(wrong.status.code(), Some(2));
}
