//! Everything an upload may say of its object comes back, whichever way it was uploaded.

use crate::client::{Answer, BUCKET, Client, Upload, server};

/// The object by one PUT, and the same by a multipart upload: key and answer of PUT or Create.
async fn both_ways(client: &Client, headers: &[(&str, &str)]) -> [(&'static str, Answer); 2] {
    let put = client.send("PUT", "/put", headers, "hello").await;
    let create = client.send("POST", "/multi?uploads=", headers, "").await;
    if create.status == 200 {
        let id = create.tag("UploadId");
        let key = "multi";
        let upload = Upload { client, key, id };
        let etag = upload.part(1, "hello").await.expect(200).etag();
        upload.complete(&[(1, &etag)], &[]).await.expect(200);
    }
    [("/put", put), ("/multi", create)]
}

/// Both ways are refused alike.
async fn refused(client: &Client, headers: &[(&str, &str)], status: u16, code: &str) {
    for (_, answer) in both_ways(client, headers).await {
        answer.expect_error(status, code);
    }
}

#[tokio::test]
async fn headers_stored_with_an_object_come_back_on_head_and_get() {
    let (_server, client) = server().await;
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-encoding", "gzip"),
        ("content-disposition", "attachment; filename=\"a b.txt\""),
        ("content-language", "de-CH, en"),
        ("cache-control", "max-age=60, public"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-meta-colour", "blue"),
        ("x-amz-meta-empty", ""),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-website-redirect-location", "/elsewhere"),
    ];
    for (key, answer) in both_ways(&client, &headers).await {
        answer.expect(200);
        for method in ["HEAD", "GET"] {
            let told = client.send(method, key, &[], "").await.expect(200);
            for (name, value) in headers {
                assert_eq!(told.header(name), value, "{method} {key} {name}");
                assert!(told.headers.contains_key(name), "{method} {key} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_query_may_ask_for_other_headers_than_those_stored() {
    let (_server, client) = server().await;
    let stored = [("content-type", "text/plain"), ("cache-control", "private")];
    client
        .send("PUT", "/key", &stored, "hello")
        .await
        .expect(200);
    let query = "response-cache-control=no-store&response-content-type=image%2Fpng";
    let get = client.get(&format!("/key?{query}")).await.expect(200);
    assert_eq!(get.header("content-type"), "image/png");
    assert_eq!(get.header("cache-control"), "no-store");
    let get = client.get("/key").await.expect(200);
    assert_eq!(get.header("content-type"), "text/plain");
}

#[tokio::test]
async fn what_s3_does_not_store_is_refused() {
    let (_server, client) = server().await;
    let refused = async |name, value, code| refused(&client, &[(name, value)], 400, code).await;
    refused("x-amz-storage-class", "FROZEN", "InvalidStorageClass").await;
    let redirect = "x-amz-website-redirect-location";
    refused(redirect, "elsewhere", "InvalidRedirectLocation").await;
    let long = "x".repeat(2048);
    refused("x-amz-meta-a", &long, "MetadataTooLarge").await;
    refused("x-amz-object-lock-legal-hold", "ON", "InvalidRequest").await;
}

#[tokio::test]
async fn an_archived_object_is_told_of_and_not_given() {
    let (_server, client) = server().await;
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        for (key, answer) in both_ways(&client, &[("x-amz-storage-class", class)]).await {
            answer.expect(200);
            let head = client.send("HEAD", key, &[], "").await.expect(200);
            assert_eq!(head.header("x-amz-storage-class"), class);
            let get = client.get(key).await;
            get.expect_error(403, "InvalidObjectState");
        }
    }
}

#[tokio::test]
async fn tags_are_counted_on_reads_and_told_by_their_own_operation() {
    let (_server, client) = server().await;
    let tagging = [("x-amz-tagging", "team=blue+sky&cost%2Fcentre=7%2B1&empty=")];
    for (key, answer) in both_ways(&client, &tagging).await {
        answer.expect(200);
        for method in ["HEAD", "GET"] {
            let told = client.send(method, key, &[], "").await.expect(200);
            assert_eq!(told.header("x-amz-tagging-count"), "3");
        }
        let tags = client.get(&format!("{key}?tagging=")).await.expect(200);
        assert_eq!(tags.tags("Key"), ["team", "cost/centre", "empty"]);
        assert_eq!(tags.tags("Value"), ["blue sky", "7+1", ""]);
    }
    client.put("/plain", "hello").await.expect(200);
    let plain = client.get("/plain").await.expect(200);
    assert!(!plain.headers.contains_key("x-amz-tagging-count"));
    client
        .get("/missing?tagging=")
        .await
        .expect_error(404, "NoSuchKey");
}

#[tokio::test]
async fn tags_may_be_replaced_and_removed_without_another_version() {
    let (server, client) = server().await;
    client
        .send("PUT", "/key", &[("x-amz-tagging", "a=1")], "hello")
        .await
        .expect(200);
    let before = server.versions(BUCKET, "key");
    let tagging = |tags: &[(&str, &str)]| {
        let tags: String = tags
            .iter()
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
            .collect();
        format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
    };
    let put = async |xml: String| client.put("/key?tagging=", xml).await;
    put(tagging(&[("b", "2"), ("c", "3")])).await.expect(200);
    let tags = client.get("/key?tagging=").await.expect(200);
    assert_eq!(tags.tags("Key"), ["b", "c"]);
    assert_eq!(server.versions(BUCKET, "key"), before);

    put(tagging(&[("b", "2"), ("b", "3")]))
        .await
        .expect_error(400, "InvalidTag");
    put(tagging(&[("aws:b", "2")]))
        .await
        .expect_error(400, "InvalidTag");
    client
        .send("DELETE", "/key?tagging=", &[], "")
        .await
        .expect(204);
    let get = client.get("/key").await.expect(200);
    assert!(!get.headers.contains_key("x-amz-tagging-count"));
}

#[tokio::test]
async fn tags_that_are_too_many_too_long_or_twice_are_refused() {
    let (_server, client) = server().await;
    let refused = async |tags: &str, code| {
        refused(&client, &[("x-amz-tagging", tags)], 400, code).await;
    };
    let eleven: Vec<String> = (0..11).map(|at| format!("k{at}=v")).collect();
    refused(&eleven.join("&"), "BadRequest").await;
    refused("a=1&a=2", "InvalidArgument").await;
    refused("a=%FF", "InvalidArgument").await;
    refused(&format!("{}=1", "k".repeat(129)), "InvalidTag").await;
    refused(&format!("k={}", "v".repeat(257)), "InvalidTag").await;
}

#[tokio::test]
async fn canned_acls_are_stored_as_the_grants_they_stand_for() {
    let (_server, client) = server().await;
    let all = "http://acs.amazonaws.com/groups/global/AllUsers";
    let signed_in = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
    for (canned, permissions, groups) in [
        ("private", vec!["FULL_CONTROL"], vec![]),
        ("public-read", vec!["FULL_CONTROL", "READ"], vec![all]),
        (
            "public-read-write",
            vec!["FULL_CONTROL", "READ", "WRITE"],
            vec![all, all],
        ),
        (
            "authenticated-read",
            vec!["FULL_CONTROL", "READ"],
            vec![signed_in],
        ),
        ("aws-exec-read", vec!["FULL_CONTROL", "READ"], vec![]),
        ("bucket-owner-read", vec!["FULL_CONTROL"], vec![]),
        ("bucket-owner-full-control", vec!["FULL_CONTROL"], vec![]),
    ] {
        for (key, answer) in both_ways(&client, &[("x-amz-acl", canned)]).await {
            answer.expect(200);
            let acl = client.get(&format!("{key}?acl=")).await.expect(200);
            assert_eq!(acl.tags("Permission"), permissions, "{canned}");
            assert_eq!(acl.tags("URI"), groups, "{canned}");
            let owner = towline_testserver::OWNER_CANONICAL_ID;
            let owners = acl.tags("ID").into_iter().filter(|id| id == owner);
            assert_eq!(owners.count(), 2, "{canned}");
        }
    }
    for (key, answer) in both_ways(&client, &[]).await {
        answer.expect(200);
        let acl = client.get(&format!("{key}?acl=")).await.expect(200);
        assert_eq!(acl.tags("Permission"), ["FULL_CONTROL"]);
        let body = String::from_utf8_lossy(&acl.body).into_owned();
        assert!(body.contains("<AccessControlPolicy"), "{body}");
        assert!(body.contains("xsi:type=\"CanonicalUser\""), "{body}");
    }
}

#[tokio::test]
async fn grants_are_stored_as_they_were_given() {
    let (_server, client) = server().await;
    let headers = [
        ("x-amz-grant-full-control", "id=\"aaaa\", id=\"bbbb\""),
        (
            "x-amz-grant-read",
            "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"",
        ),
        ("x-amz-grant-read-acp", "emailAddress=\"a,b@example.com\""),
        ("x-amz-grant-write-acp", "id=cccc"),
    ];
    for (key, answer) in both_ways(&client, &headers).await {
        answer.expect(200);
        let acl = client.get(&format!("{key}?acl=")).await.expect(200);
        assert_eq!(
            acl.tags("Permission"),
            [
                "FULL_CONTROL",
                "FULL_CONTROL",
                "READ",
                "READ_ACP",
                "WRITE_ACP"
            ]
        );
        assert_eq!(acl.tags("ID")[..3], ["aaaa", "bbbb", "cccc"]);
        assert_eq!(acl.tags("EmailAddress"), ["a,b@example.com"]);
    }
}

#[tokio::test]
async fn acls_that_s3_does_not_know_are_refused() {
    let (_server, client) = server().await;
    let refused = async |headers: &[(&str, &str)], code| {
        refused(&client, headers, 400, code).await;
    };
    refused(&[("x-amz-acl", "public")], "InvalidArgument").await;
    refused(&[("x-amz-acl", "log-delivery-write")], "InvalidArgument").await;
    refused(&[("x-amz-grant-read", "aaaa")], "InvalidArgument").await;
    refused(&[("x-amz-grant-read", "name=\"a\"")], "InvalidArgument").await;
    refused(
        &[("x-amz-grant-read", "uri=\"http://elsewhere\"")],
        "InvalidArgument",
    )
    .await;
    refused(
        &[("x-amz-grant-read", "emailAddress=\"nobody\"")],
        "UnresolvableGrantByEmailAddress",
    )
    .await;
    let both = [
        ("x-amz-acl", "private"),
        ("x-amz-grant-read", "id=\"aaaa\""),
    ];
    refused(&both, "InvalidRequest").await;
}
