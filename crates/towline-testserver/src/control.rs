//! The control route outside S3, `/_towline/…`, for tests in other processes.
//!
//! - `GET /_towline/history`: every request so far, as a JSON array.
//! - `POST /_towline/bandwidth?bytes=N`: the throttle; 0 lifts it.
//!
//! It needs no signature: the server listens on loopback only.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};

use crate::faults::Faults;
use crate::history::History;
use crate::operation::Query;

pub(crate) fn answer<B>(
    route: &str,
    request: &Request<B>,
    history: &History,
    faults: &Faults,
) -> Response<Full<Bytes>> {
    let query = Query(request.uri().query().unwrap_or_default());
    match (request.method().as_str(), route) {
        ("GET", "history") => match serde_json::to_vec(&history.requests()) {
            Ok(json) => response(StatusCode::OK, "application/json", json),
            Err(error) => response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain",
                error.to_string(),
            ),
        },
        ("POST", "bandwidth") => match query.number("bytes") {
            Some(bytes) => {
                faults.bandwidth(bytes);
                response(StatusCode::NO_CONTENT, "text/plain", "")
            }
            None => response(
                StatusCode::BAD_REQUEST,
                "text/plain",
                "bytes=N is missing\n",
            ),
        },
        _ => response(
            StatusCode::NOT_FOUND,
            "text/plain",
            "no such control route\n",
        ),
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
