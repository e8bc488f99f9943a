//! Heads of answers that do not end, contradict themselves or are none.

use super::server::{Reply, http};
use super::victim::Verb;
use super::{all_fail, case, object};

#[tokio::test]
async fn heads_that_do_not_end_or_are_none_end_with_a_failure() {
    let endless = |first: &'static str, again: &'static [u8]| {
        move |_| Reply::Endless(first.into(), again.repeat(500))
    };
    let whole = |head: String| move |_| Reply::Whole(head.clone().into_bytes());
    let many: String = (0..150).map(|n| format!("x-{n}: v\r\n")).collect();
    let wide = format!("x: {}\r\n", "v".repeat(2 << 20));
    let large: String = (0..90)
        .map(|n| format!("x-{n}: {}\r\n", "v".repeat(4000)))
        .collect();
    let cases = vec![
        case(
            "endless headers",
            endless("HTTP/1.1 200 OK\r\n", b"x-header: value\r\n"),
        ),
        case(
            "an endless header",
            endless("HTTP/1.1 200 OK\r\nx: ", b"vvvvvvvvvvvvvvvv"),
        ),
        case("an endless status", endless("HTTP/1.1 200 ", b"OK")),
        case("an endless word", endless("", b"HTTP")),
        case(
            "endless informational answers",
            endless("", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ),
        case(
            "endless promises to go on",
            endless("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        case(
            "many headers",
            whole(format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ),
        case(
            "a wide header",
            whole(format!("HTTP/1.1 200 OK\r\n{wide}\r\n")),
        ),
        case(
            "large headers",
            whole(format!("HTTP/1.1 200 OK\r\n{large}\r\n")),
        ),
        case(
            "another protocol",
            whole("SSH-2.0-OpenSSH_9.2p1\r\n\r\n".into()),
        ),
        case("HTTP/2", whole("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into())),
        case("zeroes", |_| Reply::Endless(Vec::new(), vec![0; 4096])),
        case("a page of HTML", |_| {
            let html = "content-type: text/html\r\n";
            Reply::Whole(http("200 OK", html, "<html>Log in</html>"))
        }),
    ];
    all_fail(Verb::Upload, cases).await;
}

#[tokio::test]
async fn sizes_that_cannot_be_end_with_a_failure() {
    let told = |headers: &'static str| {
        let head = format!("HTTP/1.1 200 OK\r\netag: \"e\"\r\n{headers}\r\n\r\n");
        move |_| Reply::Whole(head.clone().into_bytes())
    };
    let cases = vec![
        case("negative", told("content-length: -1")),
        case("signed", told("content-length: +10")),
        case("hexadecimal", told("content-length: 0x10")),
        case("two", told("content-length: 10\r\ncontent-length: 11")),
        case("a list", told("content-length: 10, 11")),
        case("2^64", told("content-length: 18446744073709551616")),
        case("2^64-1", told("content-length: 18446744073709551615")),
        case("2^63", told("content-length: 9223372036854775808")),
        case("2^62", told("content-length: 4611686018427387904")),
        case("none", told("x-amz-request-id: 1")),
        case("a range of nothing", told("content-range: bytes 9-0/10")),
    ];
    all_fail(Verb::Download, cases).await;
}

#[tokio::test]
async fn ranges_that_are_not_those_asked_for_end_with_a_failure() {
    let told = |status: &'static str, headers: String| {
        move |asked: super::Asked| match asked.is("HEAD", "") {
            true => object(),
            false => {
                let headers = format!("{headers}\r\n");
                Reply::Whole(http(status, &headers, &"x".repeat(1000)))
            }
        }
    };
    const PARTIAL: &str = "206 Partial Content";
    const RANGE: &str = "content-range: bytes 0-999/1000\r\n";
    let of = |range: &str| told(PARTIAL, format!("etag: \"e\"\r\ncontent-range: {range}"));
    let with = |more: &str| told(PARTIAL, format!("{RANGE}{more}"));
    let several = "etag: \"e\"\r\ncontent-type: multipart/byteranges; boundary=x";
    let cases = vec![
        case("another", of("bytes 1-1000/1001")),
        case("a longer one", of("bytes 0-1999/2000")),
        case("beyond its object", of("bytes 0-999/10")),
        case("overflowing", of("bytes 0-18446744073709551615/*")),
        case("negative", of("bytes -1-998/1000")),
        case("in other units", of("lines 0-999/1000")),
        case("none", told(PARTIAL, "etag: \"e\"".into())),
        case("several", told(PARTIAL, several.into())),
        case("of another object", with("etag: \"f\"")),
        case("of two objects", with("etag: \"e\"\r\netag: \"f\"")),
        case(
            "two ranges",
            with("etag: \"e\"\r\ncontent-range: bytes 1-1000/1001"),
        ),
        case(
            "a status of one's own",
            told("299 Fine", "etag: \"e\"".into()),
        ),
    ];
    all_fail(Verb::Download, cases).await;
}
