//! Bodies that do not end, explode, or are not what they claim to be.

use super::server::{Evil, Reply, chunk, chunked, http, xml};
use super::victim::{Verb, suffer};
use super::{all_fail, case, is_small, object};

const RANGE: &str = "etag: \"e\"\r\ncontent-range: bytes 0-999/1000\r\n";

#[tokio::test]
async fn bodies_of_objects_that_do_not_end_as_announced_end_with_a_failure() {
    let get = |reply: fn() -> Reply| {
        move |asked: super::Asked| match asked.is("HEAD", "") {
            true => object(),
            false => reply(),
        }
    };
    let cases = vec![
        case(
            "endless chunks",
            get(|| Reply::Endless(chunked("206 Partial Content", RANGE), chunk("x"))),
        ),
        case(
            "endless trailers",
            get(|| {
                let mut first = chunked("206 Partial Content", RANGE);
                first.extend_from_slice(b"0\r\n");
                Reply::Endless(first, b"x-trailer: y\r\n".repeat(1000))
            }),
        ),
        case(
            "a chunk of almost all that there is",
            get(|| {
                let mut first = chunked("206 Partial Content", RANGE);
                first.extend_from_slice(b"7fffffffffffffff\r\n");
                Reply::Endless(first, vec![b'x'; 64 << 10])
            }),
        ),
        case(
            "more than the length, on and on",
            get(|| {
                let head = format!("HTTP/1.1 206 P\r\n{RANGE}content-length: 1001\r\n\r\n");
                Reply::Endless(head.into_bytes(), vec![b'x'; 64 << 10])
            }),
        ),
        case(
            "a whole object without a length",
            get(|| Reply::Endless(chunked("200 OK", "etag: \"e\"\r\n"), chunk("x"))),
        ),
        case(
            "an endless error",
            get(|| Reply::Endless(chunked("400 Bad Request", ""), chunk("x"))),
        ),
        case(
            "an endless error of white space",
            get(|| Reply::Endless(chunked("500 Internal Server Error", ""), chunk(" "))),
        ),
    ];
    all_fail(Verb::Download, cases).await;
}

/// Nothing is unpacked: what S3 stores is the object, and a bomb stays one.
#[tokio::test]
async fn what_claims_to_be_packed_stays_as_it_is() {
    let server = Evil::start(|asked| {
        let head = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-encoding: gzip\r\n";
        let body = "\u{1}".repeat(1000);
        Reply::Whole(match asked.is("HEAD", "") {
            true => format!("{head}content-length: 1000\r\n\r\n").into_bytes(),
            false => http(
                "206 Partial Content",
                &format!("{RANGE}content-encoding: gzip\r\n"),
                &body,
            ),
        })
    })
    .await;
    let told = suffer(Verb::Download, server.endpoint()).await;
    assert_eq!(told.state, "completed", "{told:?}");
    assert_eq!(told.fetched, Some(vec![1; 1000]));
    is_small("gzip", &told);
    for head in server.heads() {
        assert!(!head.to_ascii_lowercase().contains("accept-encoding"));
    }
}

/// Pages of XML that a parser with less care dies of.
fn bombs() -> Vec<(&'static str, String)> {
    let lol = "<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
        <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]>";
    let file = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>";
    let attributes: String = (0..100_000).map(|n| format!(" a{n}=\"v\"")).collect();
    vec![
        (
            "a bomb of entities",
            format!("{lol}ROOT<UploadId>&c;</UploadId>END"),
        ),
        (
            "a file as an entity",
            format!("{file}ROOT<UploadId>&f;</UploadId>END"),
        ),
        ("a deep one", format!("ROOT{}END", "<a>".repeat(5_000_000))),
        (
            "a long text",
            format!("ROOT<UploadId>{}</UploadId>END", "x".repeat(15 << 20)),
        ),
        ("a long name", format!("ROOT<{}/>END", "x".repeat(15 << 20))),
        ("many attributes", format!("ROOT<a{attributes}/>END")),
        (
            "many elements",
            format!("ROOT{}END", "<a/>".repeat(3_900_000)),
        ),
        (
            "two answers",
            "ROOT<UploadId>1</UploadId><UploadId>2</UploadId>END".into(),
        ),
        (
            "a comment without an end",
            format!("ROOT<!-- {}", "x".repeat(15 << 20)),
        ),
        ("no end", "ROOT<UploadId>1</UploadId>".into()),
        ("no text", "\u{0}\u{1}\u{2}".into()),
    ]
}

#[tokio::test]
async fn xml_that_explodes_ends_with_a_failure() {
    let mut cases = Vec::new();
    for (name, bomb) in bombs() {
        let page = bomb
            .replacen("ROOT", "<InitiateMultipartUploadResult>", 1)
            .replacen("END", "</InitiateMultipartUploadResult>", 1);
        let bare = "<ListMultipartUploadsResult></ListMultipartUploadsResult>";
        cases.push(case(name, move |asked| {
            match asked.is("POST", "?uploads") {
                true => xml(&page),
                false => xml(bare),
            }
        }));
    }
    cases.push(case("an endless page", |asked| {
        match asked.is("POST", "?uploads") {
            true => Reply::Endless(chunked("200 OK", ""), chunk("<a/>")),
            false => xml("<ListMultipartUploadsResult></ListMultipartUploadsResult>"),
        }
    }));
    all_fail(Verb::UploadInParts, cases).await;
}

#[tokio::test]
async fn errors_that_explode_end_with_a_failure() {
    let mut cases = Vec::new();
    for (name, bomb) in bombs() {
        let page = bomb
            .replacen("ROOT", "<Error><Code>Evil</Code>", 1)
            .replacen("END", "</Error>", 1);
        cases.push(case(name, move |_| {
            Reply::Whole(http("400 Bad Request", "", &page))
        }));
    }
    all_fail(Verb::Upload, cases).await;
}
