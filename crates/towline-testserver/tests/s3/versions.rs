//! Versioning: every write kept, deletes as markers, old versions readable.

use crate::client::{BUCKET, Client, server};

async fn set_versioning(client: &Client, status: &str) {
    let xml = format!(
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status></VersioningConfiguration>"
    );
    client.put("?versioning=", xml).await.expect(200);
    assert_eq!(
        client.get("?versioning=").await.expect(200).tag("Status"),
        status
    );
}

#[tokio::test]
async fn every_version_stays_readable() {
    let (server, client) = server().await;
    assert_eq!(
        client.get("?versioning=").await.expect(200).tag("Status"),
        ""
    );
    client.put("/key", "before").await.expect(200);
    set_versioning(&client, "Enabled").await;
    let one = client
        .put("/key", "one")
        .await
        .expect(200)
        .header("x-amz-version-id")
        .to_owned();
    let two = client
        .put("/key", "two")
        .await
        .expect(200)
        .header("x-amz-version-id")
        .to_owned();

    let get = async |id: &str| {
        client
            .get(&format!("/key?versionId={id}"))
            .await
            .expect(200)
            .body
    };
    assert_eq!(get("null").await, "before");
    assert_eq!(get(&one).await, "one");
    assert_eq!(get(&two).await, "two");
    assert_eq!(
        client
            .get("/key")
            .await
            .expect(200)
            .header("x-amz-version-id"),
        two
    );
    let ids: Vec<String> = server
        .versions(BUCKET, "key")
        .into_iter()
        .map(|version| version.version_id)
        .collect();
    assert_eq!(ids, ["null".to_owned(), one, two]);
}

#[tokio::test]
async fn a_delete_puts_a_marker_that_can_be_taken_away() {
    let (server, client) = server().await;
    set_versioning(&client, "Enabled").await;
    client.put("/key", "hello").await.expect(200);

    let deleted = client.send("DELETE", "/key", &[], "").await.expect(204);
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    let marker = deleted.header("x-amz-version-id");
    let gone = client.get("/key").await.expect_error(404, "NoSuchKey");
    assert_eq!(gone.header("x-amz-delete-marker"), "true");
    client
        .get(&format!("/key?versionId={marker}"))
        .await
        .expect_error(405, "MethodNotAllowed");
    assert!(server.versions(BUCKET, "key")[1].delete_marker);
    assert_eq!(client.get("?list-type=2").await.tag("KeyCount"), "0");
    client
        .send("PUT", "/key", &[("if-none-match", "*")], "again")
        .await
        .expect(200);

    client
        .send("DELETE", &format!("/key?versionId={marker}"), &[], "")
        .await
        .expect(204);
    assert_eq!(server.versions(BUCKET, "key").len(), 2);
    assert_eq!(client.get("/key").await.expect(200).body, "again");
}

#[tokio::test]
async fn a_suspended_bucket_replaces_only_its_null_version() {
    let (server, client) = server().await;
    set_versioning(&client, "Enabled").await;
    client.put("/key", "one").await.expect(200);
    set_versioning(&client, "Suspended").await;
    client.put("/key", "two").await.expect(200);
    assert_eq!(
        client
            .put("/key", "three")
            .await
            .expect(200)
            .header("x-amz-version-id"),
        "null"
    );
    let sizes: Vec<u64> = server
        .versions(BUCKET, "key")
        .iter()
        .map(|version| version.size)
        .collect();
    assert_eq!(sizes, [3, 5]);
}
