//! `ls`, `du`, `head`, `rm` and `presign`: objects beside the transfers.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;
#[path = "../../towline/tests/acceptance/plain_http.rs"]
mod plain_http;
mod pty;

use std::io::{BufRead, BufReader};
use std::process::Output;
use std::time::Duration;

use common::{BUCKET, Scene, json_lines, stderr};
use plain_http::send;
use pty::Pty;
use serde_json::{Value, json};
use towline_testserver::{Answer, Operation, Rule, Script, TestServer};

/// Of these no list in XML may speak.
const UNSAFE_KEYS: [&str; 6] = [
    "p/\u{1}\u{1b}",
    "p/a\nb",
    "p/tab\t\r",
    "p/end ",
    "p/\u{85}",
    "p/\u{ffff}",
];
const SAFE_KEYS: [&str; 6] = [
    "p/&<>\"'",
    "p/ünï 😀",
    "p/a//b",
    "p/..",
    "p/%0A+%41",
    "p/&amp;]]>",
];

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

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_removed_or_one_version_of_it() {
    let server = TestServer::builder().bucket(BUCKET).versioned("kept");
    let server = server.start().await.unwrap();
    let scene = Scene {
        endpoint: server.endpoint(),
        server,
        dir: tempfile::tempdir().unwrap(),
    };
    put(&scene, "a\u{1b}", vec![1]).await;
    put(&scene, "b", vec![1]).await;
    let dry = scene.run(&["rm", "--dry-run", "s3://bucket/b"]);
    assert!(
        stdout(&dry).contains("would remove s3://bucket/b"),
        "{}",
        stdout(&dry)
    );
    assert!(is_there(&scene, "b"));
    let removed = scene.run(&["rm", "s3://bucket/a\u{1b}"]);
    assert!(removed.status.success(), "{}", stderr(&removed));
    assert_eq!(stdout(&removed), "removed s3://bucket/a\\u{1b}\n");
    assert!(!is_there(&scene, "a\u{1b}") && is_there(&scene, "b"));

    for content in [b"1", b"2"] {
        let written = scene.server.put_object("kept", "k", content.to_vec());
        written.await.unwrap();
    }
    let oldest = scene.server.versions("kept", "k")[0].version_id.clone();
    let head = done(&scene, &["head", "s3://kept/k", "--version-id", &oldest]);
    assert_eq!(head[0]["version_id"], oldest.as_str());
    let report = done(&scene, &["rm", "s3://kept/k", "--version-id", &oldest]);
    assert_eq!(
        (&report[0]["key"], &report[0]["removed"]),
        (&"k".into(), &1.into())
    );
    let left = scene.server.versions("kept", "k");
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].version_id, oldest);
    done(&scene, &["rm", "s3://kept/k"]);
    let left = scene.server.versions("kept", "k");
    assert_eq!((left.len(), left[1].delete_marker), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_many_objects_is_removed_only_where_that_is_confirmed() {
    let scene = Scene::start().await;
    for n in 0..2500 {
        put(&scene, &format!("p/{n:04}"), vec![1, 2]).await;
    }
    put(&scene, "p.not", vec![1]).await;
    let history = scene.server.history();
    let args = ["rm", "--recursive", "s3://bucket/p/"];
    assert_fails(&scene, &args, 2, "--yes");
    assert_eq!(history.requests().len(), 0, "something was sent");

    let shown = done(&scene, &[&args[..], &["--dry-run"]].concat());
    assert_eq!(shown.len(), 2500);
    assert_eq!(
        shown[0],
        json!({"bucket": "bucket", "key": "p/0000", "size": 2, "would_remove": true})
    );
    let text = stdout(&scene.run(&[&args[..], &["--dry-run"]].concat()));
    assert!(text.ends_with("2500 objects (4.88 KiB) below s3://bucket/p/ would be removed\n"));
    assert_eq!(history.count(Operation::DeleteObjects), 0);
    assert_eq!(history.count(Operation::DeleteObject), 0);
    assert_eq!(keys_below(&scene, "p/").len(), 2500);

    let report = done(&scene, &[&args[..], &["--yes"]].concat());
    assert_eq!(
        report,
        [json!({"bucket": "bucket", "prefix": "p/", "removed": 2500, "failed": 0, "newer": 0})]
    );
    assert_eq!(history.count(Operation::DeleteObjects), 3);
    assert_eq!(history.count(Operation::DeleteObject), 0);
    assert_eq!(keys_below(&scene, ""), ["p.not"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_remove_more_than_is_meant_is_refused_before_anything_is_sent() {
    let scene = Scene::start().await;
    put(&scene, "p/a", vec![1]).await;
    for (args, words) in [
        (&["rm", "s3://bucket"][..], "is a bucket"),
        (
            &["rm", "--recursive", "--yes", "s3://bucket"],
            "--all-of-bucket",
        ),
        (
            &["rm", "--recursive", "--yes", "s3://bucket/"],
            "--all-of-bucket",
        ),
        (
            &["rm", "--recursive", "--yes", "s3://bucket/p"],
            "ends in '/'",
        ),
        (
            &[
                "rm",
                "--recursive",
                "--yes",
                "--all-of-bucket",
                "s3://bucket/p/",
            ],
            "has a prefix",
        ),
        (
            &["rm", "--all-of-bucket", "--yes", "s3://bucket"],
            "--recursive",
        ),
        (
            &[
                "rm",
                "--recursive",
                "--yes",
                "--version-id",
                "1",
                "s3://bucket/p/",
            ],
            "--version-id",
        ),
    ] {
        assert_fails(&scene, args, 2, words);
    }
    assert_eq!(scene.server.history().requests().len(), 0);
    assert!(is_there(&scene, "p/a"));
    let args = [
        "rm",
        "--recursive",
        "--yes",
        "--all-of-bucket",
        "s3://bucket",
    ];
    assert_eq!(done(&scene, &args)[0]["removed"], 1);
    assert!(!is_there(&scene, "p/a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_are_removed_and_none_by_the_name_of_another() {
    let scene = Scene::start().await;
    for key in SAFE_KEYS.iter().chain(&UNSAFE_KEYS) {
        put(&scene, key, vec![1]).await;
    }
    // What a reader of XML that trims would take "p/end " for.
    put(&scene, "p", vec![1]).await;
    let args = ["rm", "--recursive", "--yes", "s3://bucket/p/"];
    let report = done(&scene, &args);
    let count = SAFE_KEYS.len() + UNSAFE_KEYS.len();
    assert_eq!(report[0]["removed"], count);
    assert_eq!(keys_below(&scene, ""), ["p"]);
    let history = scene.server.history();
    assert_eq!(history.count(Operation::DeleteObjects), 1);
    assert_eq!(history.count(Operation::DeleteObject), UNSAFE_KEYS.len());
}

/// S3's answer to DeleteObjects that tells of one failure alone.
fn one_failed(key: &str, code: &str) -> Answer {
    let body = format!(
        "<DeleteResult><Error><Key>{key}</Key><Code>{code}</Code><Message>m</Message></Error></DeleteResult>"
    );
    Answer::status(200).body(&body, "application/xml")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_reported_by_its_name_and_the_rest_goes() {
    let scene = Scene::start().await;
    let hostile = "p/z\u{1b}";
    for key in ["p/a", "p/b", "p/c", hostile] {
        put(&scene, key, vec![1]).await;
    }
    let denied = |key| {
        let rule = Rule::on(Operation::DeleteObject).key(key);
        rule.answer(Answer::error(403, "AccessDenied"))
    };
    // Of "p/a" and "p/c" nothing is told, so they are asked for alone.
    let script = Script::new()
        .rule(Rule::on(Operation::DeleteObjects).answer(one_failed("p/b", "AccessDenied")))
        .rule(denied("p/b"))
        .rule(denied(hostile));
    scene.server.faults().play(script).unwrap();
    let args = ["rm", "--recursive", "--yes", "s3://bucket/p/"];
    let output = scene.run(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let failed = |key: &str, line: &Value| {
        assert_eq!(
            (&line["bucket"], &line["key"]),
            (&"bucket".into(), &key.into())
        );
        assert_eq!(line["error"]["code"], "AccessDenied");
    };
    failed("p/b", &lines[0]);
    failed(hostile, &lines[1]);
    assert_eq!(lines[0]["error"]["message"], "m");
    assert_eq!(
        (&lines[2]["removed"], &lines[2]["failed"]),
        (&2.into(), &2.into())
    );
    let said = stderr(&output);
    assert!(
        said.contains("cannot remove s3://bucket/p/b: AccessDenied: m"),
        "{said}"
    );
    assert!(said.contains("2 objects could not be removed"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert_eq!(keys_below(&scene, "p/"), ["p/b", hostile]);
    // Those of which nothing was told, and the one that no list can name.
    assert_eq!(scene.server.history().count(Operation::DeleteObject), 3);

    let output = scene.run(&["rm", "s3://bucket/p/b"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("cannot remove s3://bucket/p/b: DeleteObject: AccessDenied"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_asked_for_again_and_a_store_without_lists_is_asked_one_by_one() {
    let scene = Scene::start().await;
    let history = scene.server.history();
    let args = ["rm", "--recursive", "--yes", "s3://bucket/p/"];
    let removed = |lists: usize, single: usize| {
        history.clear();
        assert_eq!(done(&scene, &args)[0]["removed"], 3);
        let counted = (
            history.count(Operation::DeleteObjects),
            history.count(Operation::DeleteObject),
        );
        assert_eq!(counted, (lists, single));
        assert_eq!(keys_below(&scene, "p/"), [] as [&str; 0]);
    };
    let play = |rule: Rule| {
        scene
            .server
            .faults()
            .play(Script::new().rule(rule))
            .unwrap();
    };
    let lists = || Rule::on(Operation::DeleteObjects);
    for (rule, expected) in [
        (
            lists().first(2).answer(Answer::error(500, "InternalError")),
            (3, 0),
        ),
        (lists().answer(one_failed("p/b", "InternalError")), (1, 3)),
        (lists().answer(Answer::error(501, "NotImplemented")), (1, 3)),
        (
            lists().answer(Answer::error(405, "MethodNotAllowed")),
            (1, 3),
        ),
        (lists().answer(Answer::status(501)), (1, 3)),
    ] {
        for key in ["p/a", "p/b", "p/c"] {
            put(&scene, key, vec![1]).await;
        }
        play(rule);
        removed(expected.0, expected.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_refused_as_a_whole_ends_it_and_what_was_removed_is_said() {
    let scene = Scene::start().await;
    for n in 0..1500 {
        put(&scene, &format!("p/{n:04}"), Vec::new()).await;
    }
    let denied = Answer::error(403, "AccessDenied");
    let rule = Rule::on(Operation::DeleteObjects).nth(2).of_all();
    let script = Script::new().rule(rule.answer(denied));
    scene.server.faults().play(script).unwrap();
    let output = scene.run(&["rm", "--recursive", "--yes", "s3://bucket/p/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("removed 1000 objects"),
        "{}",
        stdout(&output)
    );
    assert!(
        stderr(&output).contains("AccessDenied"),
        "{}",
        stderr(&output)
    );
    assert_eq!(keys_below(&scene, "p/").len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_asks_and_what_was_stored_since_stays() {
    let scene = Scene::start().await;
    for key in ["p/a", "p/b"] {
        put(&scene, key, vec![b'x'; 1024]).await;
    }
    let run = || {
        Pty::run(
            scene.towline(&["rm", "--recursive", "s3://bucket/p/"]),
            120,
            12,
        )
    };
    let question = "remove 2 objects (2.00 KiB) below s3://bucket/p/? [y/N]";
    for answer in ["n\n", "\n", "\u{4}"] {
        let mut pty = run();
        pty.until_it_shows(question);
        pty.types(answer);
        assert_eq!(pty.ends(), Some(1), "{answer:?}");
        pty.until_it_shows("nothing was removed");
        assert!(is_there(&scene, "p/a") && is_there(&scene, "p/b"));
    }
    let mut pty = run();
    pty.until_it_shows(question);
    pty.signal("INT");
    assert_eq!(pty.ends(), Some(130));
    assert!(is_there(&scene, "p/a"));

    let mut pty = run();
    pty.until_it_shows(question);
    // S3 tells whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    put(&scene, "p/new", vec![1]).await;
    pty.types("y\n");
    assert_eq!(pty.ends(), Some(0));
    pty.until_it_shows("removed 2 objects (2.00 KiB) below s3://bucket/p/");
    pty.until_it_shows("stored since the count: 1 object");
    assert_eq!(keys_below(&scene, "p/"), ["p/new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t65_presigned_urls_work_with_a_client_that_knows_nothing_of_s3() {
    let scene = Scene::start().await;
    let url = "s3://bucket/dir/sp ace&ü";
    let signed = done(
        &scene,
        &["presign", "--put", url, "--content-type", "text/x"],
    );
    let signed = &signed[0];
    assert_eq!(signed["method"], "PUT");
    let headers = signed["headers"].as_object().unwrap().iter();
    let headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(headers.len(), 1);
    let put_url = signed["url"].as_str().unwrap();
    let refused = send("PUT", put_url, &[], b"bytes").await;
    assert_eq!(refused.status, 403, "without its header: {}", refused.head);
    let answer = send("PUT", put_url, &headers, b"bytes").await;
    assert_eq!(answer.status, 200, "{}", answer.head);

    // The URL alone, so that a shell can take it; also where it is to be quiet.
    let output = scene.run(&["presign", "--quiet", "--expires", "7d", url]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!((text.lines().count(), stderr(&output)), (1, String::new()));
    assert!(text.contains("X-Amz-Expires=604800"), "{text}");
    let answer = send("GET", text.trim_end(), &[], b"").await;
    assert_eq!((answer.status, answer.body), (200, b"bytes".to_vec()));
    assert!(
        answer.head.contains("content-type: text/x"),
        "{}",
        answer.head
    );

    let signed = &done(&scene, &["presign", url, "--version-id", "v"])[0];
    assert_eq!(
        (&signed["method"], &signed["headers"]),
        (&"GET".into(), &json!({}))
    );
    let text = signed["url"].as_str().unwrap();
    assert!(
        text.contains("X-Amz-Expires=3600") && text.contains("versionId=v"),
        "{text}"
    );
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let left = signed["expires_at"].as_i64().unwrap() - i64::try_from(now).unwrap();
    assert!((3_000_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t65_what_cannot_be_presigned_is_refused_and_nothing_is_sent() {
    let scene = Scene::start().await;
    for (args, code, words) in [
        (
            &["presign", "s3://bucket/k", "--expires", "8d"][..],
            2,
            "7 days",
        ),
        (
            &["presign", "s3://bucket/k", "--expires", "0s"],
            2,
            "a second",
        ),
        (
            &["presign", "s3://bucket/k", "--expires", "soon"],
            2,
            "not a time",
        ),
        (
            &["presign", "s3://bucket/k", "--put", "--version-id", "1"],
            2,
            "--version-id",
        ),
        (&["presign", "s3://bucket"], 2, "key"),
        (
            &["presign", "s3://bucket/k", "--no-sign-request"],
            1,
            "anonymous",
        ),
    ] {
        assert_fails(&scene, args, code, words);
        assert_eq!(stdout(&scene.run(args)), "");
    }
    assert_eq!(scene.server.history().requests().len(), 0);
}
