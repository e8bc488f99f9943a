//! What the server as a whole refuses: signatures of another time, of expired credentials, for another region, of
//! less than there is to sign.

use std::time::{Duration, Instant, SystemTime};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode, Uri};
use s3s::Body;
use s3s::dto::{Timestamp, TimestampFormat};

use crate::answer::error_document;
use crate::faults::{Globals, WrongRegion};
use crate::operation::Query;
use crate::presigned;

/// How far the date of a request may be from the server's clock.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationTimeStamp>
pub(crate) const MOST_SKEW: Duration = Duration::from_secs(900);

/// What a request says of its signature.
struct Signature {
    access_key: String,
    region: String,
    /// `20261122T061500Z`
    date: Option<String>,
    /// The names it covers, in lower case.
    signed_headers: Vec<String>,
}

impl Signature {
    fn of(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let query = Query(uri.query().unwrap_or_default());
        let presigned = query.value("X-Amz-Credential");
        let (scope, signed_headers) = match text("authorization") {
            Some(line) => {
                let field = |name: &str| {
                    let (_, rest) = line.split_once(name)?;
                    rest.split(',').next().map(str::to_owned)
                };
                (field("Credential=")?, field("SignedHeaders="))
            }
            None => (presigned.clone()?, query.value("X-Amz-SignedHeaders")),
        };
        let signed_headers = signed_headers.unwrap_or_default();
        let mut fields = scope.split('/');
        Some(Self {
            access_key: fields.next()?.to_owned(),
            region: fields.nth(1)?.to_owned(),
            // A presigned request has a time of its own.
            date: text("x-amz-date").filter(|_| presigned.is_none()),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
        })
    }
}

/// `20261122T061500Z`, the form every date of a signature has.
pub(crate) fn time_of(date: &str) -> Option<Timestamp> {
    let at = |from: usize, to: usize| date.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        at(0, 4)?,
        at(4, 6)?,
        at(6, 8)?,
        at(9, 11)?,
        at(11, 13)?,
        at(13, 15)?
    );
    Timestamp::parse(TimestampFormat::DateTime, &text).ok()
}

/// A refusal.
pub(crate) struct Refusal {
    /// Which of the globals it is by; S3 itself would refuse without them.
    pub(crate) by: Option<&'static str>,
    pub(crate) response: Response<Body>,
}

/// The refusal of a request, if the server as a whole refuses it.
pub(crate) fn of(
    globals: &Globals,
    uri: &Uri,
    headers: &HeaderMap,
    request_id: &str,
) -> Option<Refusal> {
    let now = shifted_now(globals.clock_offset_s);
    if let Some(refusal) = presigned(uri, headers, now, request_id) {
        return Some(refusal);
    }
    let signature = Signature::of(uri, headers)?;
    let clock = || wrong_clock(globals, &signature, request_id);
    let credentials = || expired(globals, &signature, request_id);
    let region = || wrong_region(globals, &signature, request_id);
    let unsigned = || unsigned(headers, &signature, request_id);
    clock()
        .or_else(credentials)
        .or_else(region)
        .or_else(unsigned)
}

/// A presigned URL that is no good, or not any more.
fn presigned(uri: &Uri, headers: &HeaderMap, now: SystemTime, request_id: &str) -> Option<Refusal> {
    let query = Query(uri.query().unwrap_or_default());
    let response = match presigned::fault_of(&query, headers, now)? {
        presigned::Fault::Parameters(message) => refusal(
            StatusCode::BAD_REQUEST,
            "AuthorizationQueryParametersError",
            message,
            "",
            request_id,
        ),
        presigned::Fault::TwoSignatures => refusal(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter \
             or the Authorization header should be specified",
            "",
            request_id,
        ),
        presigned::Fault::Time(message, more) => refusal(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            message,
            &more,
            request_id,
        ),
    };
    Some(Refusal { by: None, response })
}

/// S3 takes no `x-amz-` header that anyone could have added on the way.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
fn unsigned(headers: &HeaderMap, signature: &Signature, request_id: &str) -> Option<Refusal> {
    let names = headers.keys().map(HeaderName::as_str);
    let unsigned: Vec<&str> = names
        .filter(|name| name.starts_with("x-amz-"))
        .filter(|name| !signature.signed_headers.iter().any(|signed| signed == name))
        .collect();
    if unsigned.is_empty() {
        return None;
    }
    let names = unsigned.join(", ");
    let response = refusal(
        StatusCode::FORBIDDEN,
        "AccessDenied",
        "There were headers present in the request which were not signed",
        &format!("<HeadersNotSigned>{names}</HeadersNotSigned>"),
        request_id,
    );
    Some(Refusal { by: None, response })
}

fn wrong_clock(globals: &Globals, signature: &Signature, request_id: &str) -> Option<Refusal> {
    let asked = time_of(signature.date.as_deref()?)?;
    let now = shifted_now(globals.clock_offset_s);
    let near = Timestamp::from(now - MOST_SKEW)..=Timestamp::from(now + MOST_SKEW);
    if near.contains(&asked) {
        return None;
    }
    let more = format!(
        "<RequestTime>{}</RequestTime><ServerTime>{}</ServerTime>\
         <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
        signature.date.as_deref().unwrap_or_default(),
        text(&Timestamp::from(now), TimestampFormat::DateTime),
    );
    Some(Refusal {
        by: Some("the clock"),
        response: refusal(
            StatusCode::FORBIDDEN,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            &more,
            request_id,
        ),
    })
}

fn expired(globals: &Globals, signature: &Signature, request_id: &str) -> Option<Refusal> {
    let expiry = globals.credentials.as_ref()?;
    let renewed = expiry
        .then
        .as_ref()
        .is_some_and(|keys| keys.access_key == signature.access_key);
    if renewed || Instant::now() < expiry.at {
        return None;
    }
    Some(Refusal {
        by: Some("expired credentials"),
        response: refusal(
            StatusCode::BAD_REQUEST,
            "ExpiredToken",
            "The provided token has expired.",
            "",
            request_id,
        ),
    })
}

fn wrong_region(globals: &Globals, signature: &Signature, request_id: &str) -> Option<Refusal> {
    let region = globals.region.as_ref()?;
    if region.name == signature.region {
        return None;
    }
    let name = &region.name;
    let mut response = match region.answer {
        WrongRegion::Malformed => refusal(
            StatusCode::BAD_REQUEST,
            "AuthorizationHeaderMalformed",
            &format!(
                "The authorization header is malformed; the region '{}' is wrong; expecting '{name}'",
                signature.region
            ),
            &format!("<Region>{name}</Region>"),
            request_id,
        ),
        WrongRegion::Redirect => refusal(
            StatusCode::MOVED_PERMANENTLY,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint.",
            &format!("<Endpoint>s3.{name}.amazonaws.com</Endpoint>"),
            request_id,
        ),
    };
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert("x-amz-bucket-region", name);
    }
    Some(Refusal {
        by: Some("the region"),
        response,
    })
}

fn refusal(
    status: StatusCode,
    code: &str,
    message: &str,
    more: &str,
    request_id: &str,
) -> Response<Body> {
    let xml = error_document(code, message, more, request_id);
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

/// The `Date` of an answer, where it is not the true one.
pub(crate) fn date(globals: &Globals) -> Option<HeaderValue> {
    let offset = Some(globals.clock_offset_s).filter(|offset| *offset != 0)?;
    let date = text(
        &Timestamp::from(shifted_now(offset)),
        TimestampFormat::HttpDate,
    );
    HeaderValue::from_str(&date).ok()
}

fn shifted_now(offset_s: i64) -> SystemTime {
    let shift = Duration::from_secs(offset_s.unsigned_abs());
    let now = SystemTime::now();
    let shifted = if offset_s < 0 {
        now.checked_sub(shift)
    } else {
        now.checked_add(shift)
    };
    shifted.unwrap_or(now)
}

pub(crate) fn text(time: &Timestamp, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail, and a year of five digits is not asked for.
    let _ = time.format(format, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
