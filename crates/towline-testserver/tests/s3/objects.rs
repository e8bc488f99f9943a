//! Single objects: storing, reading, conditions, ranges, listing.

use crate::client::{BUCKET, bytes, server};

#[tokio::test]
async fn an_object_comes_back_with_everything_stored_with_it() {
    let (server, client) = server().await;
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
        ("x-amz-meta-colour", "blue"),
        ("x-amz-tagging", "a=1&b=2"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ];
    let put = client
        .send("PUT", "/key", &headers, "hello")
        .await
        .expect(200);
    assert_eq!(put.etag(), "\"5d41402abc4b2a76b9719d911017c592\"");

    let get = client.get("/key").await.expect(200);
    assert_eq!(get.body, "hello");
    for (name, value) in headers
        .into_iter()
        .filter(|(name, _)| *name != "x-amz-tagging")
    {
        assert_eq!(get.header(name), value, "{name}");
    }
    assert_eq!(get.header("x-amz-tagging-count"), "2");
    assert_eq!(get.header("accept-ranges"), "bytes");
    assert_eq!(get.header("content-length"), "5");
    assert!(get.header("last-modified").ends_with(" GMT"));
    assert_eq!(get.header("x-amz-version-id"), "");
    assert_eq!(
        server.object_sha256(BUCKET, "key").unwrap(),
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    let head = client.send("HEAD", "/key", &[], "").await.expect(200);
    assert_eq!(head.header("content-length"), "5");
    assert_eq!(head.body, "");
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let (_server, client) = server().await;
    client.get("/missing").await.expect_error(404, "NoSuchKey");
    client
        .get("/missing?versionId=unknown")
        .await
        .expect_error(404, "NoSuchVersion");
    client.send("HEAD", "/missing", &[], "").await.expect(404);
    client.send("DELETE", "/missing", &[], "").await.expect(204);
    client
        .send("PUT", "-other/key", &[], "hello")
        .await
        .expect_error(404, "NoSuchBucket");
    client.send("HEAD", "-other", &[], "").await.expect(404);
}

#[tokio::test]
async fn a_bucket_is_made_once_and_deleted_only_when_empty() {
    let (_server, client) = server().await;
    client.put("-two", "").await.expect(200);
    client
        .put("-two", "")
        .await
        .expect_error(409, "BucketAlreadyOwnedByYou");
    client.put("-two/key", "hello").await.expect(200);
    client
        .send("DELETE", "-two", &[], "")
        .await
        .expect_error(409, "BucketNotEmpty");
    client.send("DELETE", "-two/key", &[], "").await.expect(204);
    client.send("DELETE", "-two", &[], "").await.expect(204);
    client.send("HEAD", "-two", &[], "").await.expect(404);
}

#[tokio::test]
async fn a_range_is_answered_with_these_bytes_only() {
    let (_server, client) = server().await;
    let body = bytes(700_000);
    client.put("/key", body.clone()).await.expect(200);
    for (range, expected, told) in [
        ("bytes=0-0", 0..1, "bytes 0-0/700000"),
        (
            "bytes=262143-262144",
            262_143..262_145,
            "bytes 262143-262144/700000",
        ),
        ("bytes=100-", 100..700_000, "bytes 100-699999/700000"),
        ("bytes=-5", 699_995..700_000, "bytes 699995-699999/700000"),
        (
            "bytes=699999-800000",
            699_999..700_000,
            "bytes 699999-699999/700000",
        ),
    ] {
        let get = client
            .send("GET", "/key", &[("range", range)], "")
            .await
            .expect(206);
        assert!(get.body == body[expected], "{range}");
        assert_eq!(get.header("content-range"), told);
    }
    let beyond = client
        .send("GET", "/key", &[("range", "bytes=700000-")], "")
        .await;
    assert_eq!(
        beyond
            .expect_error(416, "InvalidRange")
            .header("content-range"),
        "bytes */700000"
    );
    client.put("/empty", "").await.expect(200);
    let of_nothing = client
        .send("GET", "/empty", &[("range", "bytes=0-0")], "")
        .await;
    of_nothing.expect_error(416, "InvalidRange");
    assert_eq!(client.get("/empty").await.expect(200).body, "");
}

#[tokio::test]
async fn conditional_reads_answer_304_and_412() {
    let (_server, client) = server().await;
    let etag = client.put("/key", "hello").await.expect(200).etag();
    let modified = client.get("/key").await.header("last-modified").to_owned();
    let get = async |name, value| client.send("GET", "/key", &[(name, value)], "").await;

    get("if-match", &etag).await.expect(200);
    get("if-match", "\"other\"")
        .await
        .expect_error(412, "PreconditionFailed");
    get("if-none-match", "\"other\"").await.expect(200);
    let unchanged = get("if-none-match", &etag).await.expect(304);
    assert_eq!((unchanged.body.len(), unchanged.etag()), (0, etag.clone()));
    get("if-modified-since", &modified).await.expect(304);
    get("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT")
        .await
        .expect(200);
    get("if-unmodified-since", "Mon, 01 Jan 2024 00:00:00 GMT")
        .await
        .expect(412);
}

#[tokio::test]
async fn conditional_writes_never_replace_what_they_did_not_mean() {
    let (server, client) = server().await;
    let put = async |name, value, body| client.send("PUT", "/key", &[(name, value)], body).await;

    put("if-match", "\"other\"", "zero")
        .await
        .expect_error(404, "NoSuchKey");
    let etag = put("if-none-match", "*", "one").await.expect(200).etag();
    put("if-none-match", "*", "two")
        .await
        .expect_error(412, "PreconditionFailed");
    put("if-match", "\"other\"", "three")
        .await
        .expect_error(412, "PreconditionFailed");
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"one");
    put("if-match", &etag, "four").await.expect(200);
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"four");
}

#[tokio::test]
async fn a_listing_pages_through_keys_and_prefixes() {
    let (_server, client) = server().await;
    for key in ["a", "dir/1", "dir/2", "dir/sub/3", "e", "other/4", "z"] {
        client.put(&format!("/{key}"), "x").await.expect(200);
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = client
            .get(&format!("?{token}delimiter=%2F&list-type=2&max-keys=2"))
            .await
            .expect(200);
        seen.extend(page.tags("Key"));
        seen.extend(page.tags("CommonPrefixes").iter().map(|_| String::new()));
        seen.extend(
            page.tags("Prefix")
                .into_iter()
                .filter(|prefix| !prefix.is_empty()),
        );
        assert!(page.tag("KeyCount").parse::<usize>().unwrap() <= 2);
        if page.tag("IsTruncated") == "false" {
            break;
        }
        token = format!("continuation-token={}&", page.tag("NextContinuationToken"));
    }
    seen.retain(|key| !key.is_empty());
    assert_eq!(seen, ["a", "dir/", "e", "other/", "z"]);

    let below = client.get("?list-type=2&prefix=dir%2F").await.expect(200);
    assert_eq!(below.tags("Key"), ["dir/1", "dir/2", "dir/sub/3"]);
    let behind = client.get("?list-type=2&start-after=e").await.expect(200);
    assert_eq!(behind.tags("Key"), ["other/4", "z"]);
    let none = client.get("?list-type=2&max-keys=0").await.expect(200);
    assert_eq!(none.tag("KeyCount"), "0");
}
