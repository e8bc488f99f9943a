//! `presign`: URLs for clients that know nothing of S3. T65.

use serde_json::json;

use crate::common::{Scene, stderr};
use crate::plain_http::send;
use crate::{assert_fails, done, stdout};

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
