//! Lifecycle rules and the location of a bucket.

use std::path::Path;

use towline_testserver::TestServer;

use crate::client::{BUCKET, Client, server};

const RULES: &str = "<LifecycleConfiguration>\
    <Rule><ID>uploads</ID><Status>Enabled</Status><Filter><Prefix>in/</Prefix></Filter>\
    <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
    <Rule><ID>old</ID><Status>Disabled</Status><Prefix></Prefix><Expiration><Days>30</Days></Expiration></Rule>\
    </LifecycleConfiguration>";

async fn start(directory: &Path) -> (TestServer, Client) {
    let builder = TestServer::builder().directory(directory).bucket(BUCKET);
    let server = builder.start().await.unwrap();
    let client = Client::of(&server);
    (server, client)
}

#[tokio::test]
async fn rules_are_kept_over_a_restart_until_they_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = start(directory.path()).await;
    client
        .get("?lifecycle=")
        .await
        .expect_error(404, "NoSuchLifecycleConfiguration");
    client.put("?lifecycle=", RULES).await.expect(200);
    server.shutdown().await;

    let (_server, client) = start(directory.path()).await;
    let told = client.get("?lifecycle=").await.expect(200);
    assert_eq!(told.tags("ID"), ["uploads", "old"]);
    assert_eq!(told.tags("Status"), ["Enabled", "Disabled"]);
    assert_eq!(told.tags("DaysAfterInitiation"), ["7"]);
    assert_eq!(told.tags("Prefix"), ["in/", ""]);
    assert_eq!(told.tags("Days"), ["30"]);
    client
        .send("DELETE", "?lifecycle=", &[], "")
        .await
        .expect(204);
    client
        .get("?lifecycle=")
        .await
        .expect_error(404, "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn a_rule_that_would_abort_an_upload_is_told_with_it() {
    let (_server, client) = server().await;
    client.put("?lifecycle=", RULES).await.expect(200);
    let create = async |key: &str| {
        let path = format!("/{key}?uploads=");
        client.send("POST", &path, &[], "").await.expect(200)
    };
    let within = create("in/key").await;
    assert_eq!(within.header("x-amz-abort-rule-id"), "uploads");
    assert!(within.header("x-amz-abort-date").ends_with(" 00:00:00 GMT"));
    let path = format!("/in/key?uploadId={}", within.tag("UploadId"));
    let list = client.get(&path).await.expect(200);
    assert_eq!(list.header("x-amz-abort-rule-id"), "uploads");
    let outside = create("out/key").await;
    assert!(!outside.headers.contains_key("x-amz-abort-rule-id"));
}

#[tokio::test]
async fn rules_that_say_nothing_or_nonsense_are_refused() {
    let (_server, client) = server().await;
    let put = async |rule: &str| {
        let xml = format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>");
        client.put("?lifecycle=", xml).await
    };
    let status = "<Status>Enabled</Status>";
    let days = "<Expiration><Days>1</Days></Expiration>";
    put("").await.expect_error(400, "MalformedXML");
    put(&format!("<Rule>{status}{days}</Rule>"))
        .await
        .expect_error(400, "MalformedXML");
    put(&format!("<Rule>{status}<Prefix>a</Prefix></Rule>"))
        .await
        .expect_error(400, "InvalidRequest");
    let never = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    put(&format!("<Rule>{status}<Prefix>a</Prefix>{never}</Rule>"))
        .await
        .expect_error(400, "InvalidArgument");
    let twin = format!("<Rule><ID>a</ID>{status}<Prefix>a</Prefix>{days}</Rule>");
    put(&format!("{twin}{twin}"))
        .await
        .expect_error(400, "InvalidArgument");
    // S3 names a rule that has no name.
    put(&format!("<Rule>{status}<Prefix>a</Prefix>{days}</Rule>"))
        .await
        .expect(200);
    let told = client.get("?lifecycle=").await.expect(200);
    assert!(!told.tag("ID").is_empty());
}

#[tokio::test]
async fn the_first_region_has_no_name_as_a_location() {
    let (_server, client) = server().await;
    let location = client.get("?location=").await.expect(200);
    assert_eq!(location.tag("LocationConstraint"), "");
    let body = String::from_utf8_lossy(&location.body).into_owned();
    assert!(body.contains("<LocationConstraint"), "{body}");
    client
        .get("-missing?location=")
        .await
        .expect_error(404, "NoSuchBucket");
}
