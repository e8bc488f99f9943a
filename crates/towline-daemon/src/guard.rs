//! The outermost layer: every request passes it before any route is looked
//! for, and every answer on its way out. `docs/security.md` says against what.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::door::Door;
use crate::secret::Secret;
use crate::{Problem, page};

/// The largest body over TCP, but for files.
pub(crate) const BODY_MAX: usize = 1 << 20;
/// How long a body may take to come over TCP, but for files.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How a request came.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    /// Over the socket, from this user.
    Socket,
    /// Over TCP, from anybody on this machine.
    Tcp {
        /// The client's end.
        peer: SocketAddr,
        /// What it came to.
        door: Arc<Door>,
    },
}

impl Via {
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Credentials go over the socket alone.
    pub(crate) fn refuse_credentials(&self, given: bool) -> Result<(), Problem> {
        if given && self.is_tcp() {
            let detail = "credentials are taken over the control socket only; name a profile";
            return Err(refused(StatusCode::FORBIDDEN, "SocketOnly", detail));
        }
        Ok(())
    }
}

/// What a route may be asked for with, other than the token.
const NEEDS_NO_TOKEN: [(&Method, &str); 2] =
    [(&Method::GET, "/v1/alive"), (&Method::POST, "/v1/login")];
/// The one route that takes bytes instead of JSON.
const FILES: &str = "/v1/spool";

/// Passes a request on, or says why not.
pub(crate) async fn admit(request: Request, via: &Via) -> Result<Request, Problem> {
    check_site(&request, via)?;
    let Via::Tcp { door, .. } = via else {
        check_content(&request)?;
        return Ok(request);
    };
    if !needs_no_token(request.method(), request.uri().path()) {
        check_token(request.headers(), &door.token)?;
    }
    check_content(&request)?;
    if request.uri().path() == FILES {
        return Ok(request);
    }
    whole(request).await
}

/// Whether it holds nothing worth a token.
pub(crate) fn needs_no_token(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    NEEDS_NO_TOKEN.contains(&(method, path)) || (reads && page::has(path))
}

/// Who sent it: no page of another site, and none that calls this machine by
/// another name.
fn check_site(request: &Request, via: &Via) -> Result<(), Problem> {
    let headers = request.headers();
    let host = match via {
        Via::Socket => None,
        Via::Tcp { door, .. } => {
            let host = only(headers, &header::HOST).flatten();
            let ours = host.filter(|host| names(door.address).any(|name| name == *host));
            // In absolute form it is the target that names the host.
            if ours.is_none() || request.uri().authority().is_some() {
                let detail = "this address is asked for under the name of another";
                return Err(refused(StatusCode::MISDIRECTED_REQUEST, "Host", detail));
            }
            ours
        }
    };
    let foreign = || {
        let detail = "pages of other sites may not ask for this";
        refused(StatusCode::FORBIDDEN, "Foreign", detail)
    };
    let own = |origin: &str| host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    match only(headers, &header::ORIGIN) {
        Some(None) => {}
        Some(Some(origin)) if own(origin) => {}
        _ => return Err(foreign()),
    }
    match only(headers, &SEC_FETCH_SITE) {
        Some(None | Some("same-origin" | "none")) => Ok(()),
        _ => Err(foreign()),
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names that this machine has for itself.
fn names(address: SocketAddr) -> impl Iterator<Item = String> {
    let port = address.port();
    // Of 127.0.0.0/8 only the one that it listens on is its own.
    let own = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let hosts = [
        "127.0.0.1".to_owned(),
        "localhost".into(),
        "[::1]".into(),
        own,
    ];
    let with_port = hosts.clone().map(|host| format!("{host}:{port}"));
    // Browsers leave the usual port out.
    let without = hosts.into_iter();
    with_port
        .into_iter()
        .chain(without.filter(move |_| port == 80))
}

fn check_token(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    let given = only(headers, &header::AUTHORIZATION).flatten();
    let given = given.and_then(|given| given.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") && token.is(given) => Ok(()),
        _ => {
            let detail = "the token of this service is needed: `towline open` logs a browser in";
            Err(refused(StatusCode::UNAUTHORIZED, "Unauthorized", detail))
        }
    }
}

/// What changes something is no form: a page could send that without asking.
fn check_content(request: &Request) -> Result<(), Problem> {
    let needed = match *request.method() {
        Method::PUT if request.uri().path() == FILES => "application/octet-stream",
        Method::POST | Method::PUT | Method::PATCH => "application/json",
        _ => return Ok(()),
    };
    let given = only(request.headers(), &header::CONTENT_TYPE).flatten();
    let kind = given.map(|given| given.split(';').next().unwrap_or_default().trim());
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case(needed)) {
        return Ok(());
    }
    let detail = format!("the content type must be {needed}");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "ContentType", detail))
}

/// The request with its body, once all of it has come: little, and soon.
async fn whole(request: Request) -> Result<Request, Problem> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body is longer than {BODY_MAX} bytes");
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "TooLong", &detail));
        }
        Ok(Err(_)) => return Err(crate::routes::bad("the body was cut off")),
        Err(_) => {
            let detail = "the body took too long to come";
            return Err(refused(StatusCode::REQUEST_TIMEOUT, "TooSlow", detail));
        }
    };
    Ok(Request::from_parts(head, Body::from(body)))
}

/// The value of a header that is there at most once; `None` where it is there
/// twice or is no text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

fn refused(status: StatusCode, code: &str, detail: &str) -> Problem {
    Problem::new(status, code, detail)
}

/// Nothing is kept, framed, guessed at, or run that is not of this service.
const ON_EVERY_ANSWER: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The answer as it leaves.
pub(crate) fn release(answer: Result<Response, Problem>) -> Response {
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    if answer.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    for (name, value) in ON_EVERY_ANSWER {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}
