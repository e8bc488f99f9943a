//! The service around `s3s`: notes every request, applies the faults, finishes the answer.

use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, HttpError, StdError};
use tokio::time::sleep;

use crate::body::{ReceivedBody, SentBody};
use crate::control;
use crate::faults::{Act, Faults};
use crate::history::{Entry, History};
use crate::operation::Target;

/// Serves the requests of one server.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) s3: S3Service,
    pub(crate) history: History,
    pub(crate) faults: Faults,
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut, as asked")]
pub(crate) struct Cut;

impl Service {
    pub(crate) async fn call(self, request: Request<Incoming>) -> Result<Response<SentBody>, Cut> {
        if let Some(route) = request.uri().path().strip_prefix("/_towline/") {
            let answer = control::answer(route, &request, &self.history, &self.faults);
            return Ok(answer.map(SentBody::uncounted));
        }
        let target = Target::of(request.method(), request.uri(), request.headers());
        let entry = self.history.begin(&target);
        let verdict = self.faults.verdict(target.operation);
        let is_head = request.method() == Method::HEAD;
        // With `Expect`, reading a body nobody wants would ask the client for it.
        let drains = !request.headers().contains_key(header::EXPECT);
        let faults = self.faults.clone();
        let request = request.map(|body| ReceivedBody::new(body, entry.clone(), faults, drains));

        if let Some(delay) = verdict.delay {
            sleep(delay).await;
        }
        let response = match &verdict.act {
            Some(Act::Fail { status, code }) => {
                // Read first, so that the answer never races with the body.
                let mut body = request.into_body();
                while let Some(frame) = body.frame().await {
                    frame.map_err(|_| Cut)?;
                }
                failure(*status, code, entry.sequence())
            }
            applied => {
                let request = request.map(Body::http_body_unsync);
                let response = self.s3.call(request).await.map_err(no_answer)?;
                if *applied == Some(Act::DropResponse) {
                    return Err(Cut);
                }
                response
            }
        };
        Ok(self.finish(response, entry, is_head))
    }

    /// Adds what every answer of S3 has, and has its body counted.
    fn finish(
        self,
        mut response: Response<Body>,
        entry: Entry,
        is_head: bool,
    ) -> Response<SentBody> {
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        let ranged = response.headers().contains_key(header::CONTENT_RANGE);
        if is_head && ranged && response.status().is_success() {
            // s3s says 206 for GET only.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request_id(entry.sequence())) {
            headers.insert("x-amz-request-id", id);
        }
        headers.insert(
            header::SERVER,
            HeaderValue::from_static("towline-testserver"),
        );
        entry.answered(response.status().as_u16());
        let length = body_length(&response, is_head);
        response.map(|body| SentBody::new(body, length, entry, self.faults))
    }
}

fn no_answer(error: HttpError) -> Cut {
    tracing::debug!(error = %StdError::from(error), "s3s gave no answer");
    Cut
}

fn request_id(sequence: u64) -> String {
    format!("{sequence:016X}")
}

/// How long the body of an answer is on the wire, where that is known.
fn body_length(response: &Response<Body>, is_head: bool) -> Option<u64> {
    if is_head || response.status() == StatusCode::NO_CONTENT {
        return Some(0);
    }
    let header = response.headers().get(header::CONTENT_LENGTH);
    let header = header.and_then(|length| length.to_str().ok()?.parse().ok());
    header.or_else(|| response.body().size_hint().exact())
}

fn failure(status: u16, code: &str, sequence: u64) -> Response<Body> {
    let id = request_id(sequence);
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>A fault the test asked for.</Message><RequestId>{id}</RequestId></Error>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}
