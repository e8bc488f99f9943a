//! Objects are listed and deleted beside the transfers, and a request that
//! fails is sent again where that may help.

use std::time::{Duration, Instant};

use towline::Error;
use towline_testserver::{Answer, By, Operation, Point, Rule, Script};

use crate::{BUCKET, Scene};

async fn scene_with(keys: &[&str]) -> Scene {
    let scene = Scene::start().await;
    for key in keys {
        let put = scene.server.put_object(BUCKET, key, b"x".to_vec());
        put.await.unwrap();
    }
    scene
}

#[tokio::test]
async fn a_listing_is_paged_and_grouped() {
    let scene = scene_with(&["a/1", "a/2", "a/3", "b/1", "c"]).await;
    let page = scene.utility.list(BUCKET).delimiter("/").await.unwrap();
    assert_eq!(page.prefixes, ["a/", "b/"]);
    assert_eq!(page.objects.len(), 1);
    assert_eq!(
        (page.objects[0].key.as_str(), page.objects[0].size),
        ("c", 1)
    );

    let list = || scene.utility.list(BUCKET).prefix("a/").max_keys(2);
    let first = list().await.unwrap();
    let keys = |page: &towline::ObjectsPage| -> Vec<String> {
        page.objects
            .iter()
            .map(|object| object.key.clone())
            .collect()
    };
    assert_eq!(keys(&first), ["a/1", "a/2"]);
    let second = list().continuation(first.next.unwrap()).await.unwrap();
    assert_eq!((keys(&second), second.next), (vec!["a/3".to_owned()], None));
    let behind = list().start_after("a/2").await.unwrap();
    assert_eq!(keys(&behind), ["a/3"]);
}

#[tokio::test]
async fn an_object_is_deleted_and_one_that_is_not_there_is_fine() {
    let scene = scene_with(&["a", "b"]).await;
    scene.utility.delete_object(BUCKET, "a").await.unwrap();
    scene.utility.delete_object(BUCKET, "a").await.unwrap();
    let page = scene.utility.list(BUCKET).await.unwrap();
    assert_eq!(page.objects.len(), 1);
}

#[tokio::test]
async fn many_objects_are_deleted_at_once_and_those_that_are_not_are_told() {
    let scene = scene_with(&["a", "b&<>", "c\u{1}", "d", "e"]).await;
    let (utility, history) = (&scene.utility, scene.server.history());
    let denied = Rule::on(Operation::DeleteObject).key("c\u{1}");
    let denied = denied.answer(Answer::error(403, "AccessDenied"));
    let script = Script::new().rule(denied);
    scene.server.faults().play(script).unwrap();
    let keys = ["a", "b&<>", "c\u{1}", "never there"];
    let done = utility.delete_objects(BUCKET, keys).await.unwrap();
    assert_eq!(done.deleted, 3);
    assert_eq!(done.failed.len(), 1);
    assert_eq!(done.failed[0].object, "c\u{1}".into());
    assert_eq!(done.failed[0].code, "AccessDenied");
    assert_eq!(history.count(Operation::DeleteObjects), 1);
    assert_eq!(history.count(Operation::DeleteObject), 1);
    let left = utility.list(BUCKET).await.unwrap().objects;
    let left: Vec<_> = left.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(left, ["c\u{1}", "d", "e"]);

    history.clear();
    let none: [&str; 0] = [];
    let done = utility.delete_objects(BUCKET, none).await.unwrap();
    assert_eq!((done.deleted, done.failed.len()), (0, 0));
    let refused = utility.delete_objects(BUCKET, vec!["k"; 1001]).await;
    assert_eq!(refused.unwrap_err().code(), "BadOption");
    let refused = utility.delete_objects(BUCKET, ["d", ""]).await;
    assert_eq!(refused.unwrap_err().code(), "EmptyKey");
    assert!(history.requests().is_empty());
    let refused = utility.delete_objects("no-such-bucket", ["d"]).await;
    assert_eq!(refused.unwrap_err().code(), "NoSuchBucket");
}

#[tokio::test]
async fn where_nobody_answers_any_more_the_rest_is_told_and_not_waited_for() {
    let mut config = towline::Config::default();
    config.retry_limit = 1;
    let scene = Scene::with(config).await;
    let lost = Rule::on(Operation::DeleteObject).cut(Point::BeforeRead, By::Rst);
    let script = Script::new().rule(lost);
    scene.server.faults().play(script).unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("{n:02}\u{1}")).collect();
    let done = scene.utility.delete_objects(BUCKET, keys).await.unwrap();
    assert_eq!((done.deleted, done.failed.len()), (0, 40));
    assert!(done.failed.iter().all(|it| it.code == "Transport"));
    let asked = scene.server.history().count(Operation::DeleteObject);
    assert!((16..80).contains(&asked), "{asked}"); // all would be 80
}

#[tokio::test]
async fn a_request_that_may_pass_is_sent_again_and_one_that_may_not_is_not() {
    let scene = scene_with(&["a"]).await;
    let (server, utility) = (&scene.server, &scene.utility);
    let (faults, history) = (server.faults(), server.history());
    faults.fail_next(Operation::ListObjectsV2, 2, 500, "InternalError");
    assert_eq!(utility.list(BUCKET).await.unwrap().objects.len(), 1);
    assert_eq!(history.count(Operation::ListObjectsV2), 3);

    faults.fail_next(Operation::DeleteObject, 1, 503, "SlowDown");
    utility.delete_object(BUCKET, "a").await.unwrap();
    assert_eq!(history.count(Operation::DeleteObject), 2);

    faults.fail_next(Operation::ListObjectsV2, 1, 403, "AccessDenied");
    let error = utility.list(BUCKET).await.unwrap_err();
    assert_eq!(error.code(), "AccessDenied");
    let Error::Request(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.http_status(), Some(403));
    assert!(error.request_id().is_some());

    let error = utility.list("no-such-bucket").await.unwrap_err();
    assert_eq!(error.code(), "NoSuchBucket");
}

#[tokio::test]
async fn what_can_be_put_right_is_and_the_request_sent_once_more() {
    let scene = scene_with(&["a"]).await;
    let (faults, history) = (scene.server.faults(), scene.server.history());
    for (status, code) in [(400, "ExpiredToken"), (403, "RequestTimeTooSkewed")] {
        history.clear();
        faults.fail_next(Operation::ListObjectsV2, 1, status, code);
        assert!(scene.utility.list(BUCKET).await.is_ok(), "{code}");
        assert_eq!(history.count(Operation::ListObjectsV2), 2);
        faults.fail_next(Operation::ListObjectsV2, 2, status, code);
        let error = scene.utility.list(BUCKET).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn a_request_without_an_answer_ends() {
    let mut config = towline::Config::default();
    config.retry_limit = 1;
    config.first_byte_timeout = Duration::from_millis(100);
    config.stall_timeout = Duration::from_millis(100);
    let scene = Scene::with(config).await;
    let faults = scene.server.faults();
    faults.delay(Operation::ListObjectsV2, Duration::from_secs(120));
    let error = scene.utility.list(BUCKET).await.unwrap_err();
    assert_eq!(error.code(), "Stalled");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = crate::to(format!("http://{}", free.local_addr().unwrap()));
    drop(free);
    let error = scene.utility.list(BUCKET).connection(nobody).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "Connect");
}

#[tokio::test]
async fn a_request_is_given_up_after_the_retry_limit() {
    let mut config = towline::Config::default();
    config.retry_limit = 2;
    let scene = Scene::with(config).await;
    scene
        .server
        .faults()
        .fail_next(Operation::ListObjectsV2, 100, 500, "InternalError");
    let error = scene.utility.list(BUCKET).await.unwrap_err();
    assert_eq!(error.code(), "InternalError");
    assert_eq!(scene.server.history().count(Operation::ListObjectsV2), 3);
}

#[tokio::test]
async fn bad_input_is_told_before_anything_is_sent() {
    let scene = Scene::start().await;
    let utility = &scene.utility;
    for (error, code) in [
        (utility.list("").await.map(drop), "NoBucket"),
        (utility.list("no/bucket").await.map(drop), "BadBucket"),
        (utility.delete_object(BUCKET, "").await, "EmptyKey"),
        (
            utility.delete_object(BUCKET, "k".repeat(1025)).await,
            "KeyTooLong",
        ),
    ] {
        assert_eq!(error.unwrap_err().code(), code);
    }
    assert!(scene.server.history().requests().is_empty());
}

#[tokio::test]
async fn a_bucket_of_another_owner_is_refused_where_the_owner_was_named() {
    let scene = scene_with(&["a"]).await;
    let other = towline::Access {
        expected_bucket_owner: Some("999999999999".into()),
        ..towline::Access::default()
    };
    let utility = &scene.utility;
    let list = utility.list(BUCKET).access(other.clone());
    let delete = utility.delete_object(BUCKET, "a").access(other.clone());
    let left = utility.leftovers(BUCKET).access(other);
    for refused in [
        list.await.map(drop),
        delete.await,
        left.list().await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), "AccessDenied");
    }
    assert!(scene.server.object_bytes(BUCKET, "a").is_ok());
}

#[test]
fn requests_need_no_runtime_of_the_caller() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(scene_with(&["a"]));
    let page = polled_outside_a_runtime(scene.utility.list(BUCKET).into_future());
    assert_eq!(page.unwrap().objects.len(), 1);
}

/// Polls a future outside any runtime.
fn polled_outside_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut context = std::task::Context::from_waker(waker);
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        assert!(Instant::now() < deadline, "it never ended");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_closed_utility_asks_nothing() {
    let scene = Scene::start().await;
    scene.utility.close().await.unwrap();
    let error = scene.utility.list(BUCKET).await.unwrap_err();
    assert_eq!(error.code(), "Closed");
}
