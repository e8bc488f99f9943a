//! `rm`: one object, or all below a prefix.

use std::time::Duration;

use serde_json::{Value, json};
use towline_testserver::{Answer, Operation, Rule, Script, TestServer};

use crate::common::{BUCKET, Scene, json_lines, stderr};
use crate::pty::Pty;
use crate::{assert_fails, done, is_there, keys_below, put, stdout};

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
