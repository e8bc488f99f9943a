//! What the storage has after it, whatever was answered.

use std::time::Duration;

use towline_testserver::{Answer, Apply, By, Event, Operation, Point, Rule};

use super::{End, eventually, is_stored, playing, put, with_object};
use crate::client::{BUCKET, Upload, bytes};

#[tokio::test]
async fn an_error_may_be_answered_for_what_was_applied() {
    let rule = Rule::on(Operation::PutObject).answer(Answer::error(500, "InternalError"));
    let (server, client) = playing(rule.apply(Apply::Yes)).await;
    assert_eq!(put(&client, b"hello").await.status(), 500);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn success_may_be_answered_for_what_was_not_applied() {
    let rule = Rule::on(Operation::PutObject).answer(Answer::status(200));
    let (server, client) = playing(rule).await;
    assert_eq!(put(&client, b"hello").await.status(), 200);
    assert!(!is_stored(&server));
}

#[tokio::test]
async fn a_late_effect_lands_after_the_cut() {
    let rule = Rule::on(Operation::PutObject)
        .cut(Point::AfterRequest, By::Rst)
        .apply(Apply::LateMs(1500));
    let (server, client) = playing(rule).await;
    let heard = put(&client, b"hello").await;
    assert_eq!((heard.head.as_str(), heard.end), ("", End::Rst));
    assert!(!is_stored(&server), "not yet");
    eventually(|| is_stored(&server)).await;
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn a_late_effect_lands_after_the_answer_and_over_what_came_since() {
    let rule = Rule::on(Operation::PutObject)
        .nth(1)
        .answer(Answer::error(500, "InternalError"))
        .apply(Apply::LateMs(1500));
    let (server, client) = playing(rule).await;
    client
        .put("/key", "old")
        .await
        .expect_error(500, "InternalError");
    client.put("/key", "new").await.expect(200);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"new");
    eventually(|| server.object_bytes(BUCKET, "key").unwrap() == b"old").await;
}

#[tokio::test]
async fn a_duplicate_is_applied_again() {
    let rule = Rule::on(Operation::CreateMultipartUpload).duplicate(Duration::ZERO);
    let (server, client) = playing(rule).await;
    Upload::create(&client, "key", &[]).await;
    eventually(|| server.open_uploads(BUCKET).len() == 2).await;
    assert_eq!(server.history().count(Operation::CreateMultipartUpload), 1);
}

#[tokio::test]
async fn an_object_is_replaced_between_two_requests() {
    let rule = Rule::on(Operation::GetObject)
        .nth(2)
        .event(Event::ReplaceObject);
    let (server, client) = with_object(1000, rule).await;
    let first = client.get("/key").await.expect(200);
    assert_eq!(first.body, bytes(1000));
    let etag = first.etag();
    let second = client.send("GET", "/key", &[("if-match", &etag)], "").await;
    second.expect_error(412, "PreconditionFailed");
    let inverted: Vec<u8> = bytes(1000).iter().map(|byte| !byte).collect();
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), inverted);
}

#[tokio::test]
async fn an_object_is_deleted_behind_the_clients_back() {
    let rule = Rule::on(Operation::GetObject)
        .nth(2)
        .event(Event::DeleteObject);
    let (_server, client) = with_object(1000, rule).await;
    client.get("/key").await.expect(200);
    client.get("/key").await.expect_error(404, "NoSuchKey");
}

#[tokio::test]
async fn an_upload_is_aborted_behind_the_clients_back() {
    let rule = Rule::on(Operation::UploadPart)
        .part(2)
        .event(Event::AbortUpload);
    let (server, client) = playing(rule).await;
    let upload = Upload::create(&client, "key", &[]).await;
    let other = Upload::create(&client, "key", &[]).await;
    upload.part(1, "hello").await.expect(200);
    upload
        .part(2, "hello")
        .await
        .expect_error(404, "NoSuchUpload");
    let open = server.open_uploads(BUCKET);
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].upload_id, other.id);
}
