//! `ls`, `du`, `head`, `rm` and `presign`: objects beside the transfers.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../towline/tests/acceptance/plain_http.rs"]
mod plain_http;
mod presigning;
#[path = "../pty/mod.rs"]
mod pty;
mod removing;

use std::io::{BufRead, BufReader};
use std::process::Output;

use common::{BUCKET, Scene, json_lines, stderr};
use serde_json::{Value, json};
use towline_testserver::Operation;

async fn put(scene: &Scene, key: &str, content: Vec<u8>) {
    scene.server.put_object(BUCKET, key, content).await.unwrap();
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn is_there(scene: &Scene, key: &str) -> bool {
    scene.server.object_bytes(BUCKET, key).is_ok()
}

/// What it says to programs, where it is to succeed.
fn done(scene: &Scene, args: &[&str]) -> Vec<Value> {
    let output = scene.run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    json_lines(&output)
}

/// The keys below a prefix, as `ls` tells them.
fn keys_below(scene: &Scene, prefix: &str) -> Vec<String> {
    let url = format!("s3://{BUCKET}/{prefix}");
    let output = scene.run(&["ls", "--recursive", "--json", &url]);
    let lines = json_lines(&output);
    let keys = lines.iter().map(|line| line["key"].as_str().unwrap());
    keys.map(str::to_owned).collect()
}

fn assert_fails(scene: &Scene, args: &[&str], code: i32, words: &str) {
    let output = scene.run(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{words:?} is not in {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_listed_in_order_with_its_prefixes_and_no_name_steers_the_terminal() {
    let scene = Scene::start().await;
    let hostile = "p/a\u{1b}[31m\nb\u{202e}";
    for (key, len) in [
        (hostile, 1),
        ("p/dir/x", 1),
        ("p/dir/y", 1),
        ("p/z", 2048),
        ("q", 1),
    ] {
        put(&scene, key, vec![b'x'; len]).await;
    }
    let output = scene.run(&["ls", "s3://bucket/p/"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 3, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    assert!(
        rows[0].ends_with("p/a\\u{1b}[31m\\u{a}b\\u{202e}"),
        "{text}"
    );
    assert!(rows[0].contains(" UTC "), "{text}");
    assert!(rows[1].ends_with("prefix  p/dir/"), "{text}");
    assert!(rows[2].ends_with("2.00 KiB  p/z"), "{text}");
    let exact = stdout(&scene.run(&["ls", "--bytes", "s3://bucket/p/"]));
    assert!(exact.contains(" 2048  p/z"), "{exact}");

    let lines = done(&scene, &["ls", "s3://bucket/p/"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["key"], hostile);
    assert_eq!(lines[1], json!({"prefix": "p/dir/"}));
    assert_eq!(
        (&lines[2]["key"], &lines[2]["size"]),
        (&"p/z".into(), &2048.into())
    );
    assert_eq!(lines[2]["storage_class"], "STANDARD");
    assert!(lines[2]["etag"].as_str().unwrap().starts_with('"'));
    assert!(lines[2]["modified"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        keys_below(&scene, "p/"),
        [hostile, "p/dir/x", "p/dir/y", "p/z"]
    );
    // Taken literally: what keys begin with, and not a directory.
    assert_eq!(keys_below(&scene, "p/d"), ["p/dir/x", "p/dir/y"]);
    let root = done(&scene, &["ls", "s3://bucket"]);
    assert_eq!(root[0], json!({"prefix": "p/"}));
    assert_eq!(root[1]["key"], "q");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_many_pages_is_whole_and_in_order_and_du_tells_its_sums() {
    let scene = Scene::start().await;
    let mut sums = [(0, 0); 3];
    let mut keys = Vec::new();
    for n in 0..2100 {
        let (group, len) = (n % 3, n % 7);
        let key = format!("many/{group}/{n:04}");
        put(&scene, &key, vec![b'x'; len]).await;
        sums[group].0 += 1;
        sums[group].1 += len;
        keys.push(key);
    }
    put(&scene, "many/direct", vec![b'x'; 11]).await;
    keys.push("many/direct".into());
    put(&scene, "other", vec![b'x'; 1000]).await;
    keys.sort();
    assert_eq!(keys_below(&scene, "many/"), keys);
    let pages = scene.server.history().count(Operation::ListObjectsV2);
    assert_eq!(pages, 3);

    let bytes = sums.iter().map(|sum| sum.1).sum::<usize>() + 11;
    let all = json!({"bucket": "bucket", "prefix": "many/", "objects": 2101, "bytes": bytes});
    let sum = done(&scene, &["du", "s3://bucket/many/"]);
    assert_eq!((sum.len(), &sum[0]), (1, &all));
    let lines = done(&scene, &["du", "--depth", "1", "s3://bucket/many/"]);
    let group = |n: usize| {
        json!({
            "bucket": "bucket", "prefix": format!("many/{n}/"), "objects": sums[n].0, "bytes": sums[n].1,
        })
    };
    assert_eq!(lines, [group(0), group(1), group(2), all]);
    let text = stdout(&scene.run(&["du", "--bytes", "s3://bucket"]));
    let words: Vec<&str> = text.split_whitespace().collect();
    let expected = (bytes + 1000).to_string();
    assert_eq!(words, ["2102", expected.as_str(), "s3://bucket/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_ends_with_its_reader() {
    let scene = Scene::start().await;
    for n in 0..1100 {
        put(&scene, &format!("p/{n:04}-{}", "k".repeat(100)), Vec::new()).await;
    }
    let mut child = scene
        .towline(&["ls", "--recursive", "--json", "s3://bucket/p/"])
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("p/0000-"), "{line}");
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // A page is more than a pipe holds, so it had not gone on to the second.
    let pages = scene.server.history().count(Operation::ListObjectsV2);
    assert_eq!(pages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_and_an_empty_bucket_is_fine() {
    let scene = Scene::start().await;
    for verb in ["ls", "du"] {
        let output = scene.run(&[verb, "s3://bucket"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let words = "there is no object below s3://bucket/none/";
        assert_fails(&scene, &[verb, "s3://bucket/none/"], 1, words);
        assert_fails(&scene, &[verb, "s3://no-such-bucket"], 1, "NoSuchBucket");
        assert_fails(&scene, &[verb], 2, "s3://BUCKET");
    }
    assert_eq!(stdout(&scene.run(&["ls", "s3://bucket"])), "");
    let sum = json!({"bucket": "bucket", "prefix": "", "objects": 0, "bytes": 0});
    assert_eq!(done(&scene, &["du", "s3://bucket"]), [sum]);
    let words = "there is no object s3://bucket/none";
    assert_fails(&scene, &["head", "s3://bucket/none"], 1, words);
    assert_fails(&scene, &["head", "s3://bucket"], 2, "key");
    // Nothing to remove is what was asked for.
    let args = ["rm", "--recursive", "--yes", "s3://bucket/none/"];
    assert_eq!(done(&scene, &args)[0]["removed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_tells_what_an_upload_was_given() {
    let scene = Scene::start().await;
    let file = scene.file("file", 6 << 20, 1);
    let file = file.to_str().unwrap();
    let uploaded = scene.run(&[
        "upload",
        file,
        "s3://bucket/key",
        "--content-type",
        "text/x",
        "--metadata",
        "who=me",
        "--storage-class",
        "STANDARD_IA",
        "--tag",
        "k=v",
        "--sse",
        "AES256",
    ]);
    assert!(uploaded.status.success(), "{}", stderr(&uploaded));
    let lines = done(&scene, &["head", "s3://bucket/key"]);
    assert_eq!(lines.len(), 1);
    let head = &lines[0];
    for (field, value) in [
        ("bucket", json!("bucket")),
        ("key", json!("key")),
        ("size", json!(6 << 20)),
        ("content_type", json!("text/x")),
        ("metadata", json!({"who": "me"})),
        ("storage_class", json!("STANDARD_IA")),
        ("tags", json!(1)),
        ("encryption", json!("AES256")),
        ("customer_key", json!(false)),
        ("parts", json!(2)),
        ("version_id", Value::Null),
        ("cache_control", Value::Null),
    ] {
        assert_eq!(head[field], value, "{field} of {head:#}");
    }
    assert!(head["etag"].as_str().unwrap().ends_with("-2\""), "{head:#}");
    assert!(head["modified"].as_i64().unwrap() > 1_700_000_000_000);
    let checksum = &head["checksums"][0];
    assert_eq!(
        (&checksum["algorithm"], &checksum["kind"]),
        (&"CRC64NVME".into(), &"full-object".into())
    );
    let value = checksum["value"].as_str().unwrap();
    assert_eq!(value.len(), 16, "{value}");

    let text = stdout(&scene.run(&["head", "s3://bucket/key"]));
    for words in [
        "s3://bucket/key",
        "6291456 (6.00 MiB)",
        "text/x",
        "who me",
        "STANDARD_IA",
        &format!("CRC64NVME {value}, full-object"),
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_a_key_of_ones_own_is_told_with_it_alone() {
    let scene = Scene::start().await;
    let file = scene.file("file", 1000, 1);
    let key = scene.path("key");
    std::fs::write(&key, [9; 32]).unwrap();
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    let url = "s3://bucket/secret";
    let uploaded = scene.run(&["upload", file, url, "--sse-c-key-file", key]);
    assert!(uploaded.status.success(), "{}", stderr(&uploaded));
    assert_eq!(scene.run(&["head", url]).status.code(), Some(1));
    let head = done(&scene, &["head", url, "--sse-c-key-file", key]);
    assert_eq!(
        (&head[0]["size"], &head[0]["customer_key"]),
        (&1000.into(), &true.into())
    );
}
