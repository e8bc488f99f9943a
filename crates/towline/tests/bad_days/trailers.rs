//! Checksums behind the bytes of parts: only to a store that looks at them.

use towline::{Config, Connection, ConnectionSource};
use towline_testserver::{Answer, Operation, Request, Rule};

use crate::{BUCKET, LARGE, Scene};

const SUM: &str = "x-amz-checksum-crc64nvme";

/// Sends one part after the other, so that each knows of those before it.
async fn scene() -> Scene {
    let mut one_by_one = Config::default();
    one_by_one.parts_per_transfer = Some(1);
    Scene::with(one_by_one).await
}

/// Does not say that it checks parts, which S3 does when an upload is opened.
fn says_nothing() -> Rule {
    Rule::on(Operation::CreateMultipartUpload).drop_header("x-amz-checksum-algorithm")
}

fn second_part() -> Rule {
    Rule::on(Operation::UploadPart).part(2)
}

/// Of each UploadPart, by parts: which it was, and whether its checksum was behind the
/// bytes.
fn sent(scene: &Scene) -> Vec<(u32, bool)> {
    let requests = scene.server.history().requests();
    let parts = requests
        .iter()
        .filter(|it| it.operation == Operation::UploadPart);
    let parts = parts.map(|it| (it.part_number.unwrap(), trails(it)));
    let mut sent: Vec<_> = parts.collect();
    sent.sort_by_key(|(part, _)| *part);
    sent
}

fn trails(request: &Request) -> bool {
    let behind = request.header("x-amz-trailer").is_some();
    assert_ne!(behind, request.header(SUM).is_some(), "one of both");
    behind
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_go_behind_the_bytes_once_the_store_has_shown_one() {
    let scene = scene().await;
    scene.play(says_nothing());
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(sent(&scene), [(1, false), (2, true), (3, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_from_the_first_part_on_where_the_store_says_that_it_checks_them() {
    let scene = scene().await;
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(sent(&scene), [(1, true), (2, true), (3, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_so_and_does_not_is_sent_headers() {
    let first_part = || Rule::on(Operation::UploadPart).part(1).first(1);
    for rule in [
        first_part().answer(Answer::error(501, "NotImplemented")),
        first_part().drop_header(SUM),
    ] {
        let scene = scene().await;
        scene.play(rule);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        let expected = [(1, true), (1, false), (2, false), (3, false)];
        assert_eq!(sent(&scene), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_them_there_gets_headers_at_once_and_from_then_on() {
    for (status, code) in [
        (501, "NotImplemented"),
        (400, "InvalidRequest"),
        (400, "XAmzContentSHA256Mismatch"),
        (403, "SignatureDoesNotMatch"),
        (411, "MissingContentLength"),
    ] {
        let scene = scene().await;
        let refused = Answer::error(status, code);
        let rule = second_part().first(1).answer(refused);
        scene.play_all([says_nothing(), rule]);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        let expected = [(1, false), (2, true), (2, false), (3, false)];
        assert_eq!(sent(&scene), expected, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_show_what_was_behind_the_bytes_has_not_proven_the_part() {
    let other = "AAAAAAAAAAA=";
    for rule in [
        second_part().first(1).drop_header(SUM),
        second_part().first(1).set_header(SUM, other),
        second_part().first(1).flip_request(1000, 1),
    ] {
        let scene = scene().await;
        scene.play_all([says_nothing(), rule]);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        let expected = [(1, false), (2, true), (2, false), (3, false)];
        assert_eq!(sent(&scene), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_taken_one_is_sent_more_after_one_was_damaged() {
    let scene = scene().await;
    let damaged = Rule::on(Operation::UploadPart).part(3).first(1);
    scene.play(damaged.flip_request(1000, 1));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(sent(&scene), [(1, true), (2, true), (3, true), (3, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bytes_are_signed_no_checksum_goes_behind_them() {
    let scene = scene().await;
    let connection = Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(scene.server.endpoint()),
        region: Some("us-east-1".into()),
        signed_payload: Some(true),
        ..Connection::default()
    };
    let path = scene.source(LARGE);
    let request = scene.utility.upload(BUCKET, "key", path);
    let observer = request.connection(connection).await.unwrap();
    let end = observer.finished().await.unwrap();
    scene.arrived(&end);
    assert_eq!(sent(&scene), [(1, false), (2, false), (3, false)]);
}
