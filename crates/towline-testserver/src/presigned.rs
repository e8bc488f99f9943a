//! Presigned URLs: how long they are good, by the server's own clock.
//!
//! `s3s` checks their signatures, and would check their time by the true clock.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::time::{Duration, SystemTime};

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Uri};
use s3s::dto::{Timestamp, TimestampFormat};

use crate::operation::Query;
use crate::refusals::{MOST_SKEW, text, time_of};

/// A week.
const LONGEST: u64 = 604_800;

const PARAMETERS: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
];

/// Why a presigned URL is no good.
pub(crate) enum Fault {
    /// 400 `AuthorizationQueryParametersError`
    Parameters(&'static str),
    /// 400 `InvalidArgument`
    TwoSignatures,
    /// 403 `AccessDenied`; the second is more XML.
    Time(&'static str, String),
}

/// What is wrong with the times and parameters of a request, if it is presigned.
pub(crate) fn fault_of(query: &Query<'_>, headers: &HeaderMap, now: SystemTime) -> Option<Fault> {
    query.value("X-Amz-Signature")?;
    if headers.contains_key(header::AUTHORIZATION) {
        return Some(Fault::TwoSignatures);
    }
    if PARAMETERS.iter().any(|name| query.value(name).is_none()) {
        return Some(Fault::Parameters(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
             X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        ));
    }
    let expires = query.value("X-Amz-Expires").unwrap_or_default();
    let Ok(seconds) = expires.parse::<i64>() else {
        return Some(Fault::Parameters("X-Amz-Expires should be a number"));
    };
    let Ok(seconds) = u64::try_from(seconds) else {
        return Some(Fault::Parameters("X-Amz-Expires must be non-negative"));
    };
    if seconds > LONGEST {
        return Some(Fault::Parameters(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds",
        ));
    }
    let date = query.value("X-Amz-Date").unwrap_or_default();
    let Some(signed) = time_of(&date) else {
        return Some(Fault::Parameters(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ));
    };
    // Compared as what the URL's own time would have to be.
    let oldest = Timestamp::from(now - Duration::from_secs(seconds));
    if signed > Timestamp::from(now + MOST_SKEW) {
        return Some(Fault::Time("Request is not yet valid", String::new()));
    }
    if signed < oldest {
        let server_time = text(&Timestamp::from(now), TimestampFormat::DateTime);
        return Some(Fault::Time(
            "Request has expired",
            format!(
                "<X-Amz-Expires>{seconds}</X-Amz-Expires><ServerTime>{server_time}</ServerTime>"
            ),
        ));
    }
    None
}

/// Moves the signature of a presigned request from the query into headers, where `s3s` looks at it
/// without its clock. What was signed stays the same.
pub(crate) fn into_headers<B>(request: &mut Request<B>) {
    let query = Query(request.uri().query().unwrap_or_default());
    if query.value("X-Amz-Signature").is_none() {
        return;
    }
    let value = |name: &str| query.value(name).unwrap_or_default();
    let line = format!(
        "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}",
        value("X-Amz-Credential"),
        value("X-Amz-SignedHeaders"),
        value("X-Amz-Signature"),
    );
    let date = value("X-Amz-Date");
    let rest: Vec<&str> = query
        .0
        .split('&')
        .filter(|pair| !pair.starts_with("X-Amz-Signature="))
        .collect();
    let uri = format!("{}?{}", request.uri().path(), rest.join("&"));
    let (Ok(line), Ok(date), Ok(uri)) = (
        HeaderValue::from_str(&line),
        HeaderValue::from_str(&date),
        uri.parse::<Uri>(),
    ) else {
        return;
    };
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, line);
    headers.insert("x-amz-date", date);
    headers
        .entry(HeaderName::from_static("x-amz-content-sha256"))
        .or_insert(HeaderValue::from_static("UNSIGNED-PAYLOAD"));
}
