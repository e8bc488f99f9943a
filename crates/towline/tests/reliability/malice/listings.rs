//! Listings that never come to an end.

use super::server::{Asked, Evil, Reply, http, xml};
use super::victim::{Verb, suffer};
use super::{all_fail, case, is_failed};

/// An error instead of what was asked, so that the client looks what there is.
fn broken() -> Reply {
    Reply::Whole(http("500 Internal Server Error", "", ""))
}

/// Opens uploads, takes parts and completes nothing; lists parts so.
fn parts(page: impl Fn(usize) -> String + Send + Sync) -> impl Fn(Asked) -> Reply + Send + Sync {
    move |asked| {
        let of_upload = asked.target.contains("uploadId=");
        match asked.method.as_str() {
            "POST" if !of_upload => xml(
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
            ),
            "PUT" => Reply::Whole(http("200 OK", "etag: \"e\"\r\n", "")),
            "GET" if of_upload => xml(&page(asked.before)),
            "DELETE" => Reply::Whole(http("204 No Content", "", "")),
            _ => broken(),
        }
    }
}

fn parts_page(number: usize, next: usize) -> String {
    format!(
        "<ListPartsResult><Part><PartNumber>{number}</PartNumber><ETag>\"e\"</ETag>\
         <Size>5</Size></Part><IsTruncated>true</IsTruncated>\
         <NextPartNumberMarker>{next}</NextPartNumberMarker></ListPartsResult>"
    )
}

#[tokio::test]
async fn listings_of_parts_that_do_not_end_end_with_a_failure() {
    let many: String = (1..120_000)
        .map(|n| format!("<Part><PartNumber>{n}</PartNumber><ETag>e</ETag><Size>5</Size></Part>"))
        .collect();
    let many = format!("<ListPartsResult>{many}</ListPartsResult>");
    let cases = vec![
        case("the same page", parts(|_| parts_page(1, 1))),
        case(
            "back and forth",
            parts(|n| parts_page(1 + n % 2, 1 + n % 2)),
        ),
        case("on and on", parts(|n| parts_page(n + 1, n + 1))),
        case(
            "far on",
            parts(|_| parts_page(4_000_000_000, 4_000_000_000)),
        ),
        case("more parts than there can be", parts(move |_| many.clone())),
    ];
    all_fail(Verb::UploadInParts, cases).await;
}

/// Opens none, and lists open uploads so.
fn uploads(page: impl Fn(usize) -> String + Send + Sync) -> impl Fn(Asked) -> Reply + Send + Sync {
    move |asked| match asked.is("GET", "uploads") {
        true => xml(&page(asked.before)),
        false => broken(),
    }
}

fn uploads_page(key: &str, next_key: &str, next_id: usize) -> String {
    format!(
        "<ListMultipartUploadsResult><Upload><Key>{key}</Key><UploadId>{next_id}</UploadId>\
         </Upload><IsTruncated>true</IsTruncated><NextKeyMarker>{next_key}</NextKeyMarker>\
         <NextUploadIdMarker>{next_id}</NextUploadIdMarker></ListMultipartUploadsResult>"
    )
}

fn endless_uploads() -> Vec<super::Case> {
    vec![
        case("the same page", uploads(|_| uploads_page("key", "key", 1))),
        case(
            "back and forth",
            uploads(|n| uploads_page("key", "key", n % 2)),
        ),
        case("on and on", uploads(|n| uploads_page("key", "key", n))),
    ]
}

#[tokio::test]
async fn listings_of_uploads_that_do_not_end_end_with_a_failure() {
    all_fail(Verb::UploadInParts, endless_uploads()).await;
    all_fail(Verb::Leftovers, endless_uploads()).await;
}

/// Keys are in order, so none that is ours comes behind ours.
#[tokio::test]
async fn uploads_of_other_keys_without_end_are_not_listed_on() {
    let server = Evil::start(uploads(|n| {
        let next = format!("key{n:08}");
        uploads_page(&next, &next, n)
    }))
    .await;
    let told = suffer(Verb::UploadInParts, server.endpoint()).await;
    is_failed("other keys", &told);
    let lists = server
        .heads()
        .iter()
        .filter(|head| head.starts_with("GET"))
        .count();
    assert!(lists < 20, "{lists} lists");
}

#[tokio::test]
async fn pages_of_objects_that_are_wrong_are_refused() {
    let page = |inner: &'static str| {
        move |_| xml(&format!("<ListBucketResult>{inner}</ListBucketResult>"))
    };
    const OBJECT: &str = "<Contents><Key>k</Key><Size>5</Size></Contents>";
    let cases = vec![
        case(
            "a negative size",
            page("<Contents><Key>k</Key><Size>-5</Size></Contents>"),
        ),
        case(
            "a size of 2^64",
            page("<Contents><Key>k</Key><Size>18446744073709551616</Size></Contents>"),
        ),
        case(
            "two sizes",
            page("<Contents><Key>k</Key><Size>5</Size><Size>6</Size></Contents>"),
        ),
        case(
            "two keys",
            page("<Contents><Key>k</Key><Key>l</Key><Size>5</Size></Contents>"),
        ),
        case(
            "two ends",
            page("<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>"),
        ),
        case(
            "text and elements",
            page("<Contents><Key>k<x/>l</Key><Size>5</Size></Contents>"),
        ),
        case(
            "more without a token",
            page("<IsTruncated>true</IsTruncated>"),
        ),
        case("a page that is too long", move |_| {
            xml(&format!(
                "<ListBucketResult>{}</ListBucketResult>",
                OBJECT.repeat(400_000)
            ))
        }),
    ];
    all_fail(Verb::List, cases).await;
}
