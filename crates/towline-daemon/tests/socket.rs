//! The control socket, as a client meets it.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod scene;

use std::collections::HashMap;

use scene::{LONG, Scene, ends};
use tokio::time::timeout;
use towline::{TransferId, TransferUtility};
use towline_daemon::{Client, ClientError, Event, Find, Follow, Mode, Server, Steer, Submit, Verb};

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told_once_to_who_follows() {
    let scene = Scene::start().await;
    // Small ones: their ends are read from the store as they are made.
    for round in 0..20 {
        let requests = (0..20).map(|i| scene.upload(&format!("{round}-{i}"), 10));
        let (ids, cursor) = scene.submit(requests.collect()).await;
        let (told, _) = ends(&mut scene.follow(cursor).await, &ids).await;
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        assert_eq!(told.len(), ids.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_kept_a_cursor_misses_nothing_and_hears_nothing_twice_across_owners() {
    let scene = Scene::start().await;
    let (first, cursor) = scene.submit(vec![scene.upload("first", 10)]).await;
    let (_, kept) = ends(&mut scene.follow(cursor).await, &first).await;
    let (second, cursor) = scene.submit(vec![scene.upload("second", 10)]).await;
    ends(&mut scene.follow(cursor).await, &second).await;
    let scene = scene.again().await;
    let (told, _) = ends(&mut scene.follow(kept).await, &second).await;
    assert_eq!(told, HashMap::from([(second[0], 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_that_a_record_is_gone_and_that_the_owner_leaves() {
    let scene = Scene::start().await;
    let (ids, cursor) = scene.submit(vec![scene.upload("one", 10)]).await;
    let mut events = scene.follow(cursor).await;
    ends(&mut events, &ids).await;
    let steer = Steer {
        ids: ids.clone(),
        ..Steer::default()
    };
    let removed = scene.client.steer(Verb::Remove, &steer).await.unwrap();
    let removed = &removed.transfers[0];
    assert_eq!((removed.changed, removed.state), (true, None));
    let mut heard = Vec::new();
    let mut server = Some(scene.server);
    while let Some(event) = timeout(LONG, events.next()).await.unwrap().unwrap() {
        heard.push(event);
        if heard.contains(&Event::Removed(ids[0]))
            && let Some(server) = server.take()
        {
            tokio::spawn(server.stop());
        }
    }
    assert_eq!(heard.last(), Some(&Event::Handover));
    let gone = scene.client.find(&Find::default()).await.unwrap_err();
    assert!(gone.is_gone(), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_a_problem_with_its_code_and_records_nothing() {
    let scene = Scene::start().await;
    let mut bad = scene.upload("good", 10);
    bad.path = scene.path("not there");
    let submit = Submit {
        requests: vec![scene.upload("good", 10), bad],
        credentials: None,
    };
    let code = |error: ClientError| match error {
        ClientError::Problem(problem) => (problem.status, problem.code),
        other => panic!("{other}"),
    };
    let refused = scene.client.submit(&submit).await.unwrap_err();
    assert_eq!(code(refused), (422, "SourceMissing".into()));
    assert_eq!(scene.list().await, []);
    let unknown = scene.client.show(TransferId::new(7)).await.unwrap_err();
    assert_eq!(code(unknown), (404, "UnknownTransfer".into()));
    let elsewhere = Follow {
        after: Some("00000000000000000000000000000001-1-1".parse().unwrap()),
        ..Follow::default()
    };
    let refused = scene.client.events(&elsewhere).await.unwrap_err();
    assert_eq!(code(refused), (410, "UnknownCursor".into()));
    for (method, path, body, status) in [
        ("POST", "/v1/transfers", "{", 400),
        ("POST", "/v1/transfers", r#"{"requests":[],"more":1}"#, 400),
        ("POST", "/v1/transfers/explode", "{}", 400),
        ("POST", "/v1/transfers/1/explode", "", 400),
        ("GET", "/v1/transfers?state=lost", "", 400),
        ("GET", "/v1/transfers/x", "", 400),
        ("GET", "/v1/events?ids=x", "", 400),
        ("GET", "/nowhere", "", 404),
        ("DELETE", "/v1/transfers/7", "", 404),
    ] {
        let answer = scene.raw(method, path, body);
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
        assert!(
            answer.contains("application/problem+json"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_with_a_long_path_has_a_socket_too() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    let utility = TransferUtility::builder().state_dir(&deep);
    let utility = utility.open().await.unwrap();
    let server = Server::start(utility, &deep, Mode::Command).unwrap();
    let (_, about) = Client::connect(&deep).await.unwrap();
    assert_eq!(about.mode, Mode::Command);
    server.stop().await;
    assert!(Client::connect(&deep).await.unwrap_err().is_gone());
}
