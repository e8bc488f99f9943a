//! `towline doctor`: what works with a bucket, and what cannot be promised there.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::process::Output;

use common::{BUCKET, Scene, json_lines, stderr};
use serde_json::{Value, json};
use towline_testkit::fault_proxy::{BadCertificate, FaultProxy};
use towline_testserver::{Answer, Operation, Rule, Script, WrongRegion};

const URL: &str = "s3://bucket/some/prefix/";

async fn with(script: Script) -> Scene {
    let scene = Scene::start().await;
    scene.server.faults().play(script).unwrap();
    scene
}

/// What it says to programs, and its exit code.
fn doctor(scene: &Scene, more: &[&str]) -> (Value, Option<i32>) {
    let output = scene.run(&[&["doctor", URL, "--json"], more].concat());
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1, "{}", stderr(&output));
    (lines[0].clone(), output.status.code())
}

fn check<'a>(said: &'a Value, name: &str) -> &'a Value {
    let checks = said["checks"].as_array().unwrap();
    let mut named = checks.iter().filter(|check| check["name"] == name);
    let found = named.next().unwrap_or_else(|| panic!("{name}: {said:#}"));
    assert_eq!(named.next(), None, "{name} is told once");
    found
}

fn failed(said: &Value) -> Vec<&str> {
    let checks = said["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["result"] == "failed");
    failed
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

/// Nothing of the probe is left.
fn is_clean(scene: &Scene) {
    assert_eq!(probes(scene), [] as [String; 0]);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

/// The probe's keys, as they were asked about, that have an object.
fn probes(scene: &Scene) -> Vec<String> {
    let requests = scene.server.history().requests();
    let mut keys: Vec<String> = requests.into_iter().filter_map(|it| it.key).collect();
    keys.sort();
    keys.dedup();
    assert!(keys.len() <= 1, "one probe: {keys:?}");
    for key in &keys {
        let random = key.strip_prefix("some/prefix/.towline-doctor-").unwrap();
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        assert!(random.len() == 16 && random.chars().all(is_hex), "{key}");
    }
    keys.retain(|key| scene.server.object_bytes(BUCKET, key).is_ok());
    keys
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A lifecycle that aborts uploads after three days.
fn lifecycle() -> Rule {
    let rules = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation>\
        </AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    let answer = Answer::status(200).body(rules, "application/xml");
    Rule::on(Operation::GetBucketLifecycleConfiguration).answer(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_where_all_works_is_said_to_be_well_and_is_left_as_it_was() {
    let scene = with(Script::new().rule(lifecycle())).await;
    let (said, code) = doctor(&scene, &[]);
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!(said["well"], true);
    assert_eq!(said["verified"], "full-object");
    assert_eq!(said["not_promised"], json!([]));
    let profile = json!({
        "crc64nvme": "shown", "crc32c": null, "ranges": true, "if_match": "kept",
        "if_none_match": "kept", "pages_of_parts": true, "denied": [],
    });
    assert_eq!(said["profile"], profile);
    for name in [
        "name",
        "connection",
        "clock",
        "region",
        "credentials",
        "ListObjects",
        "ListMultipartUploads",
        "PutObject",
        "HeadObject",
        "GetObject",
        "CreateMultipartUpload",
        "UploadPart",
        "ListParts",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "DeleteObject",
        "lifecycle",
    ] {
        assert_eq!(check(&said, name)["result"], "ok", "{name}");
    }
    let days = check(&said, "lifecycle")["detail"].as_str().unwrap();
    assert!(days.contains("3 days"), "{days}");
    is_clean(&scene);

    let output = scene.run(&["doctor", URL]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("cannot be promised"), "{text}");
    assert!(text.contains("verified by"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_missing_is_named_with_what_it_costs() {
    use Operation::*;
    for (operation, name, cost) in [
        (ListObjectsV2, "ListObjects", "cannot be listed"),
        (ListMultipartUploads, "ListMultipartUploads", "stays open"),
        (PutObject, "PutObject", "nothing can be uploaded"),
        (HeadObject, "HeadObject", "downloads do not begin"),
        (GetObject, "GetObject", "nothing can be downloaded"),
        (
            CreateMultipartUpload,
            "CreateMultipartUpload",
            "above 5 MiB",
        ),
        (UploadPart, "UploadPart", "above 5 MiB"),
        (ListParts, "ListParts", "under way are sent again"),
        (
            CompleteMultipartUpload,
            "CompleteMultipartUpload",
            "above 5 MiB",
        ),
        (DeleteObject, "DeleteObject", "cannot be deleted"),
        (AbortMultipartUpload, "AbortMultipartUpload", "paid for"),
    ] {
        let denied = Rule::on(operation).answer(Answer::error(403, "AccessDenied"));
        let scene = with(Script::new().rule(denied)).await;
        let (said, code) = doctor(&scene, &[]);
        assert_eq!(code, Some(1), "{name}");
        let told = check(&said, name);
        assert_eq!(told["result"], "failed", "{name}: {said:#}");
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains(cost), "{name}: {detail}");
        assert_eq!(said["profile"]["denied"], json!([name]));
        let not_promised = said["not_promised"].to_string();
        assert!(
            not_promised.contains(&format!("{name} is denied")),
            "{not_promised}"
        );
        // What stays, because it may not be removed, is named.
        match operation {
            DeleteObject => {
                let key = probes(&scene).pop().unwrap();
                let left = check(&said, "clean-up")["detail"].as_str().unwrap();
                assert!(left.contains(&format!("s3://bucket/{key}")), "{left}");
                assert_eq!(failed(&said), [name, "clean-up"]);
            }
            AbortMultipartUpload => {
                let open = scene.server.open_uploads(BUCKET);
                let left = check(&said, "clean-up")["detail"].as_str().unwrap();
                assert!(left.contains(&open[0].upload_id), "{left}");
                assert_eq!(failed(&said), [name, "clean-up"]);
            }
            _ => {
                assert_eq!(failed(&said), [name]);
                is_clean(&scene);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_and_a_wrong_clock_are_told_and_all_works_in_spite_of_them() {
    for how in [WrongRegion::Malformed, WrongRegion::Redirect] {
        let scene = with(Script::new().region("eu-west-1", how)).await;
        let (said, code) = doctor(&scene, &[]);
        assert_eq!((code, failed(&said)), (Some(0), vec![]), "{said:#}");
        let region = check(&said, "region");
        assert_eq!(region["result"], "warning");
        assert!(region["detail"].as_str().unwrap().contains("eu-west-1"));
        is_clean(&scene);
    }
    for (seconds, words) in [(3600, "behind"), (-3600, "ahead of"), (300, "behind")] {
        let scene = with(Script::new().clock_offset(seconds)).await;
        let (said, code) = doctor(&scene, &[]);
        assert_eq!((code, failed(&said)), (Some(0), vec![]), "{said:#}");
        let clock = check(&said, "clock");
        assert_eq!(clock["result"], "warning", "{seconds}");
        let detail = clock["detail"].as_str().unwrap();
        let by: i64 = detail.split(' ').next().unwrap().parse().unwrap();
        assert!((by - i64::abs(seconds)).abs() < 30, "{detail}");
        assert!(detail.contains(words), "{detail}");
        is_clean(&scene);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_lifecycle_rule_is_a_warning_and_so_is_one_that_may_not_be_read() {
    let scene = Scene::start().await;
    let (said, code) = doctor(&scene, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(check(&said, "lifecycle")["result"], "warning");
    let operation = Operation::GetBucketLifecycleConfiguration;
    let denied = Rule::on(operation).answer(Answer::error(403, "AccessDenied"));
    let scene = with(Script::new().rule(denied)).await;
    let (said, code) = doctor(&scene, &[]);
    assert_eq!((code, failed(&said)), (Some(0), vec![]));
    let detail = check(&said, "lifecycle")["detail"].as_str().unwrap();
    assert!(detail.contains("not known"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lacks_is_what_cannot_be_promised() {
    let silent = Rule::on_any()
        .drop_header("x-amz-checksum-crc64nvme")
        .drop_header("x-amz-checksum-crc32c")
        .drop_header("x-amz-checksum-type");
    let ranges = Rule::on(Operation::GetObject)
        .ignore_range()
        .drop_header("x-amz-checksum-crc64nvme");
    let parts = "<ListPartsResult><IsTruncated>false</IsTruncated>\
        <Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>64</Size></Part>\
        <Part><PartNumber>2</PartNumber><ETag>\"a\"</ETag><Size>64</Size></Part></ListPartsResult>";
    let pages = Rule::on(Operation::ListParts)
        .first(4) // the listing, the page behind it, and that twice again
        .answer(Answer::status(200).body(parts, "application/xml"));
    let script = Script::new().rule(ranges).rule(pages).rule(silent);
    let scene = with(script).await;
    let (said, code) = doctor(&scene, &[]);
    assert_eq!(code, Some(0), "it works: {said:#}");
    assert_eq!(said["verified"], "md5");
    let profile = &said["profile"];
    assert_eq!(profile["crc64nvme"], "silent");
    assert_eq!(profile["crc32c"], "silent");
    assert_eq!(profile["ranges"], false);
    assert_eq!(profile["pages_of_parts"], false);
    let not_promised = said["not_promised"].to_string();
    for words in [
        "shows no CRC64NVME",
        "ignores ranges",
        "only the first page",
        "verified will be md5",
    ] {
        assert!(not_promised.contains(words), "{words}: {not_promised}");
    }
    is_clean(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_or_refuses_conditions_is_seen_through() {
    // The first PUT is the probe, the second one on condition.
    let ignored = Rule::on(Operation::PutObject)
        .nth(2)
        .answer(Answer::status(200))
        .set_header("etag", "\"e\"");
    let reads = Rule::on(Operation::GetObject)
        .nth(2)
        .answer(Answer::error(501, "NotImplemented"));
    let scene = with(Script::new().rule(ignored).rule(reads)).await;
    let (said, _) = doctor(&scene, &[]);
    assert_eq!(said["profile"]["if_none_match"], "ignored", "{said:#}");
    let not_promised = said["not_promised"].to_string();
    assert!(
        not_promised.contains("ignores If-None-Match"),
        "{not_promised}"
    );
    let refused = Rule::on(Operation::PutObject)
        .nth(2)
        .answer(Answer::error(501, "NotImplemented"));
    let scene = with(Script::new().rule(refused)).await;
    let (said, _) = doctor(&scene, &[]);
    assert_eq!(said["profile"]["if_none_match"], "refused", "{said:#}");
    is_clean(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_checksums_is_written_to_without() {
    let refused = Rule::on(Operation::PutObject).first(2);
    let script = Script::new().rule(refused.answer(Answer::error(400, "InvalidArgument")));
    let scene = with(script).await;
    let (said, code) = doctor(&scene, &[]);
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!(said["profile"]["crc64nvme"], "refused");
    assert_eq!(said["profile"]["crc32c"], "refused");
    assert_eq!(said["verified"], "md5");
    is_clean(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_writing_only_what_is_there_is_read() {
    let scene = Scene::start().await;
    let (said, code) = doctor(&scene, &["--read-only"]);
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!(check(&said, "GetObject")["result"], "skipped");
    let key = "some/prefix/object";
    let bytes = vec![7; 1000];
    scene.server.put_object(BUCKET, key, bytes).await.unwrap();
    scene.server.history().clear();
    let (said, code) = doctor(&scene, &["--read-only"]);
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!(said["read_only"], true);
    assert_eq!(said["verified"], "full-object");
    assert_eq!(said["profile"]["ranges"], true);
    assert_eq!(said["profile"]["if_match"], "kept");
    assert_eq!(said["profile"]["if_none_match"], Value::Null);
    let reads = |operation| {
        use Operation::*;
        matches!(
            operation,
            GetObject
                | HeadObject
                | ListObjectsV2
                | ListMultipartUploads
                | GetBucketLifecycleConfiguration
        )
    };
    let history = scene.server.history();
    assert_eq!(history.count_where(|it| !reads(it.operation)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_out_of_reach_bad_keys_and_a_missing_bucket_are_told_apart() {
    let scene = Scene::start().await;
    let of = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        let said = json_lines(&output).remove(0);
        assert_eq!(output.status.code(), Some(1), "{said:#}");
        let names: Vec<String> = failed(&said).into_iter().map(str::to_owned).collect();
        (names, said)
    };
    let mut nobody = scene.towline(&["doctor", URL, "--json"]);
    nobody.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    assert_eq!(of(nobody).0, ["connection"]);
    let mut nowhere = scene.towline(&["doctor", URL, "--json"]);
    nowhere.env("AWS_ENDPOINT_URL", "http://no-such-host.invalid");
    assert_eq!(of(nowhere).0, ["name"]);
    let mut stranger = scene.towline(&["doctor", URL, "--json"]);
    stranger.env("AWS_ACCESS_KEY_ID", "nobody");
    let (names, said) = of(stranger);
    assert_eq!(names, ["credentials"], "{said:#}");
    let mut keyless = scene.towline(&["doctor", URL, "--json"]);
    keyless
        .env_remove("AWS_ACCESS_KEY_ID")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    assert_eq!(of(keyless).0, ["credentials"]);
    let (names, said) = of(scene.towline(&["doctor", "s3://no-bucket", "--json"]));
    assert_eq!(names, ["bucket"]);
    assert_eq!(check(&said, "bucket")["code"], "NoSuchBucket");
    assert_eq!(scene.run(&["doctor", "bucket/x"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_told_and_one_that_is_trusted_is_fine() {
    let scene = Scene::start().await;
    let server = ([127, 0, 0, 1], scene.server.port()).into();
    let proxy = FaultProxy::start(server).await.unwrap();
    let bundle = scene.path("bundle.pem");
    std::fs::write(&bundle, proxy.bad_tls(BadCertificate::SelfSigned)).unwrap();
    let secure = || {
        let mut command = scene.towline(&["doctor", URL, "--json"]);
        command.env("AWS_ENDPOINT_URL", format!("https://{}", proxy.address()));
        command
    };
    let output = secure().output().unwrap();
    let said = json_lines(&output).remove(0);
    assert_eq!(
        (output.status.code(), failed(&said)),
        (Some(1), vec!["tls"])
    );
    let output = secure().env("AWS_CA_BUNDLE", &bundle).output().unwrap();
    let said = json_lines(&output).remove(0);
    assert_eq!(
        (output.status.code(), failed(&said)),
        (Some(0), vec![]),
        "{said:#}"
    );
    assert_eq!(check(&said, "tls")["result"], "ok");
    let (plain, _) = doctor(&scene, &[]);
    assert_eq!(check(&plain, "tls")["result"], "warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_says_cannot_steer_the_terminal_or_pass_for_a_check() {
    let evil = "<Error><Code>AccessDenied</Code>\
        <Message>no\u{202e}\u{9b}31m\nDeleteObject ok</Message></Error>";
    let answer = Answer::status(403).body(evil, "application/xml");
    let scene = with(Script::new().rule(Rule::on(Operation::ListObjectsV2).answer(answer))).await;
    let output = scene.run(&["doctor", URL]);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("DeleteObject ok"), "it is shown: {text}");
    assert!(
        !text.lines().any(|line| line == "DeleteObject ok"),
        "{text}"
    );
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!text.chars().any(steers), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_no_state_and_leaves_none() {
    let scene = Scene::start().await;
    assert!(scene.run(&["doctor", URL]).status.success());
    assert!(!scene.path("state").exists());
}
