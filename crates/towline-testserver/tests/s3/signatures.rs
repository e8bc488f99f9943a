//! Who may ask, and that a signed payload is the one that arrives.

use towline_testserver::TestServer;

use crate::client::{BUCKET, Client, Payload, server};

#[tokio::test]
async fn a_wrong_signature_is_refused_and_nothing_is_stored() {
    let (server, client) = server().await;
    let stranger = client.with_secret("another secret");
    stranger
        .put("/key", "hello")
        .await
        .expect_error(403, "SignatureDoesNotMatch");
    assert_eq!(server.versions(BUCKET, "key"), []);
}

#[tokio::test]
async fn an_unknown_access_key_is_refused() {
    let server = TestServer::builder()
        .credentials("other", "testsecret")
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    Client::of(&server)
        .put("/key", "hello")
        .await
        .expect_error(403, "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_payload_other_than_the_signed_one_is_refused() {
    let (server, client) = server().await;
    let hash_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    client
        .try_send("PUT", "/key", &[], "hello", Payload::Hash(hash_of_nothing))
        .await
        .unwrap()
        .expect_error(400, "XAmzContentSHA256Mismatch");
    assert_eq!(server.versions(BUCKET, "key"), []);
}

#[tokio::test]
async fn a_key_of_many_characters_is_signed_stored_and_listed() {
    let (server, client) = server().await;
    client
        .put("/a%20b%2Bc/%C3%A4%25%26%27%28%29~x", "hello")
        .await
        .expect(200);
    assert_eq!(
        server.object_bytes(BUCKET, "a b+c/ä%&'()~x").unwrap(),
        b"hello"
    );
    let listed = client
        .get("?encoding-type=url&list-type=2")
        .await
        .expect(200);
    assert_eq!(listed.tag("Key"), "a%20b%2Bc/%C3%A4%25%26%27%28%29%7Ex");
}
