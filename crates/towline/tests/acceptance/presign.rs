//! Presigned URLs, used by a client that knows nothing of S3. T65.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use towline::Error;

use crate::plain_http::send;
use crate::{BUCKET, Scene, content};

const ODD_KEYS: [&str; 9] = [
    "plain.txt",
    "sp ace+plus",
    "100%/%41",
    "ünï 😀/ß",
    "what?#not",
    "a//b",
    "/lead",
    "trail/",
    "a&b=c;d:e@f,g$h!'(i)*j~",
];

#[tokio::test]
async fn t65_presigned_urls_work_with_a_plain_client_for_odd_keys_too() {
    let scene = Scene::start().await;
    for key in ODD_KEYS {
        let bytes = content(1000 + key.len());
        let put = scene.utility.presign_put(BUCKET, key).await.unwrap();
        let answer = send(put.method(), put.as_str(), put.headers(), &bytes).await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.head);
        assert_eq!(scene.server.object_bytes(BUCKET, key).unwrap(), bytes);

        let get = scene.utility.presign_get(BUCKET, key).await.unwrap();
        let answer = send(get.method(), get.as_str(), get.headers(), b"").await;
        assert_eq!((answer.status, answer.body), (200, bytes), "{key}");
    }
}

#[tokio::test]
async fn t65_a_url_allows_its_one_request_and_no_other() {
    let scene = Scene::start().await;
    let get = scene.utility.presign_get(BUCKET, "one").await.unwrap();
    let url = get.as_str();
    for (method, url) in [
        ("PUT", url.to_owned()),
        ("GET", url.replace("/one?", "/other?")),
        ("GET", url.replace("X-Amz-Expires=900", "X-Amz-Expires=901")),
    ] {
        let answer = send(method, &url, &[], b"").await;
        assert_eq!(answer.status, 403, "{method}");
    }
}

#[tokio::test]
async fn t65_what_a_put_was_signed_with_has_to_be_sent() {
    let scene = Scene::start().await;
    let put = scene.utility.presign_put(BUCKET, "page");
    let put = put.content_type("text/html").await.unwrap();
    assert_eq!(send("PUT", put.as_str(), &[], b"<p>").await.status, 403);
    let other = [("Content-Type".to_owned(), "text/plain".to_owned())];
    assert_eq!(send("PUT", put.as_str(), &other, b"<p>").await.status, 403);
    let answer = send("PUT", put.as_str(), put.headers(), b"<p>").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    let get = scene.utility.presign_get(BUCKET, "page").await.unwrap();
    let answer = send("GET", get.as_str(), &[], b"").await;
    assert!(
        answer.head.contains("content-type: text/html"),
        "{}",
        answer.head
    );
}

#[tokio::test]
async fn t65_a_url_expires_when_said() {
    let scene = Scene::start().await;
    let file = scene.file("short", b"short");
    scene.upload("short", &file).await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let get = scene.utility.presign_get(BUCKET, "short");
    let get = get.expires_in(Duration::from_secs(1)).await.unwrap();
    let told = get.expires_at().as_millis();
    let soonest = i64::try_from(before.as_secs() * 1000).unwrap() + 1000;
    assert!((soonest..soonest + 30_000).contains(&told), "{told}");
    let expired = Duration::from_millis(u64::try_from(told).unwrap() + 1000);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tokio::time::sleep(expired.saturating_sub(now)).await;
    let answer = send("GET", get.as_str(), &[], b"").await;
    assert_eq!(answer.status, 403, "{}", answer.head);
}

#[tokio::test]
async fn t65_over_seven_days_and_no_time_at_all_are_refused_before_anything_is_asked() {
    let scene = Scene::start().await;
    let week = Duration::from_secs(7 * 24 * 3600);
    for (time, code) in [
        (week + Duration::from_secs(1), "PresignTooLong"),
        (Duration::ZERO, "PresignNoTime"),
    ] {
        let get = scene.utility.presign_get(BUCKET, "k").expires_in(time);
        let error = get.validate_exists(true).await.unwrap_err();
        assert!(matches!(error, Error::Presign(_)), "{error:?}");
        assert_eq!(error.code(), code);
        let put = scene.utility.presign_put(BUCKET, "k").expires_in(time);
        assert_eq!(put.await.unwrap_err().code(), code);
    }
    assert!(scene.server.history().requests().is_empty());
    let put = scene.utility.presign_put(BUCKET, "k").expires_in(week);
    assert!(put.await.is_ok());
}

#[tokio::test]
async fn t65_a_url_can_be_asked_for_only_if_its_object_is_there() {
    let scene = Scene::start().await;
    let there = || {
        let get = scene.utility.presign_get(BUCKET, "cat");
        get.validate_exists(true)
    };
    let error = there().await.unwrap_err();
    let Error::Request(error) = error else {
        panic!("{error:?}")
    };
    assert!(error.is_not_found());
    let file = scene.file("cat", b"meow");
    scene.upload("cat", &file).await;
    let url = there().await.unwrap();
    assert_eq!(send("GET", url.as_str(), &[], b"").await.body, b"meow");
}

#[tokio::test]
async fn t65_a_version_is_signed_for_and_the_answers_headers_can_be_chosen() {
    let scene = Scene::start().await;
    let url = scene
        .utility
        .presign_get(BUCKET, "cat")
        .version_id("v 1")
        .response_content_disposition("attachment; filename=\"cat.jpg\"")
        .response_content_type("image/jpeg")
        .await
        .unwrap();
    for part in [
        "versionId=v%201&",
        "response-content-disposition=attachment%3B%20filename%3D%22cat.jpg%22&",
        "response-content-type=image%2Fjpeg&",
    ] {
        assert!(url.as_str().contains(part), "{part}");
    }
    // Signed with them: the server finds no fault but that there is no such version.
    let answer = send("GET", url.as_str(), &[], b"").await;
    assert!([400, 404].contains(&answer.status), "{}", answer.head);
    assert!(!format!("{url:?}").contains("X-Amz"), "{url:?}");
}
