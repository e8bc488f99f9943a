//! The control route outside S3, `/_towline/…`, for tests in other processes.
//!
//! - `GET /_towline/history`: every request so far, as a JSON array.
//! - `POST /_towline/bandwidth?bytes=N`: the throttle; 0 lifts it.
//! - `PUT /_towline/script`: another script, as JSON; `DELETE` takes back every fault.
//!
//! It needs no signature: the server listens on loopback only.

use std::error::Error as _;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};

use crate::faults::{Faults, Script};
use crate::history::History;
use crate::operation::Query;

/// What the paths of these routes begin with.
pub(crate) const PREFIX: &str = "/_towline/";

pub(crate) async fn answer<B: Body>(
    request: Request<B>,
    history: &History,
    faults: &Faults,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let route = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let query = Query(head.uri.query().unwrap_or_default());
    match (head.method.as_str(), route) {
        ("PUT", "script") => match body.collect().await {
            Ok(body) => play(faults, &body.to_bytes()),
            Err(_) => response(StatusCode::BAD_REQUEST, "text/plain", "a body broke off\n"),
        },
        ("DELETE", "script") => {
            faults.clear();
            response(StatusCode::NO_CONTENT, "text/plain", "")
        }
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

fn play(faults: &Faults, json: &[u8]) -> Response<Full<Bytes>> {
    let script = Script::from_json(&String::from_utf8_lossy(json));
    match script.and_then(|script| faults.play(script)) {
        Ok(()) => response(StatusCode::NO_CONTENT, "text/plain", ""),
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}"));
            let text = format!("{error}{}\n", source.unwrap_or_default());
            response(StatusCode::BAD_REQUEST, "text/plain", text)
        }
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
