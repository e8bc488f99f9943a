//! Conditional reads: 200, 304 and 412, with the precedence S3 documents.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html>

use crate::client::server;

const LONG_AGO: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

#[tokio::test]
async fn every_pair_of_conditions_is_answered_alike_by_get_and_head() {
    let (_server, client) = server().await;
    let etag = client.put("/key", "hello").await.expect(200).etag();
    let modified = client.get("/key").await.header("last-modified").to_owned();
    let (etag, modified) = (etag.as_str(), modified.as_str());
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", etag)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"other\"")], 412),
        (&[("if-none-match", etag)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-modified-since", LONG_AGO)], 200),
        (&[("if-modified-since", modified)], 304),
        (&[("if-unmodified-since", LONG_AGO)], 412),
        (&[("if-unmodified-since", modified)], 200),
        // The ETag decides where both are there.
        (
            &[("if-match", etag), ("if-unmodified-since", LONG_AGO)],
            200,
        ),
        (
            &[("if-match", "\"other\""), ("if-unmodified-since", modified)],
            412,
        ),
        (
            &[("if-none-match", etag), ("if-modified-since", LONG_AGO)],
            304,
        ),
        (
            &[
                ("if-none-match", "\"other\""),
                ("if-modified-since", modified),
            ],
            200,
        ),
        // What must hold is looked at before what need not be sent again.
        (&[("if-match", etag), ("if-none-match", etag)], 304),
        (&[("if-match", "\"other\""), ("if-none-match", etag)], 412),
        (&[("if-match", etag), ("if-modified-since", modified)], 304),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = client.send(method, "/key", headers, "").await;
            assert_eq!(answer.status, *status, "{method} {headers:?}");
            match status {
                304 => {
                    assert_eq!(answer.etag(), etag);
                    assert_eq!(answer.header("last-modified"), modified);
                    assert!(answer.body.is_empty());
                }
                412 if method == "GET" => {
                    assert_eq!(answer.code(), "PreconditionFailed");
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_condition_is_looked_at_before_the_range() {
    let (_server, client) = server().await;
    let etag = client.put("/key", "hello").await.expect(200).etag();
    let get = async |headers: &[(&str, &str)]| client.send("GET", "/key", headers, "").await;
    let part = get(&[("if-match", &etag), ("range", "bytes=1-2")]).await;
    assert_eq!(part.expect(206).body, "el");
    get(&[("if-match", "\"other\""), ("range", "bytes=9-")])
        .await
        .expect_error(412, "PreconditionFailed");
    get(&[("if-none-match", &etag), ("range", "bytes=1-2")])
        .await
        .expect(304);
}

#[tokio::test]
async fn no_condition_holds_for_what_is_not_there() {
    let (_server, client) = server().await;
    for condition in ["if-match", "if-none-match"] {
        let get = client.send("GET", "/key", &[(condition, "*")], "").await;
        get.expect_error(404, "NoSuchKey");
    }
}
