//! The service around `s3s`: notes every request, applies the faults, finishes the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, HttpError, StdError};
use tokio::time::sleep;

use crate::answer::{change_body, change_headers};
use crate::body::{ReceivedBody, SentBody};
use crate::control;
use crate::faults::{Act, Apply, Event, Faults, Point};
use crate::history::{Entry, History};
use crate::operation::Target;
use crate::ops::{self, IgnoreRange};
use crate::presigned;
use crate::refusals;
use crate::storage::Storage;
use crate::wire::{Plan, Wire};

/// Serves the requests of one server.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) s3: S3Service,
    pub(crate) storage: Arc<Storage>,
    pub(crate) history: History,
    pub(crate) faults: Faults,
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("there is no answer")]
pub(crate) struct NoAnswer;

impl Service {
    pub(crate) async fn call(
        self,
        mut request: Request<Incoming>,
        wire: Arc<Wire>,
    ) -> Result<Response<SentBody>, NoAnswer> {
        let reused = wire.begin();
        if request.uri().path().starts_with(control::PREFIX) {
            let answer = control::answer(request, &self.history, &self.faults).await;
            return Ok(answer.map(|body| SentBody::uncounted(body, wire)));
        }
        let target = Target::of(request.method(), request.uri(), request.headers());
        let entry = self.history.begin(&target, request.headers());
        let verdict = self.faults.verdict(&target, reused);
        if let Some(told) = verdict.told {
            entry.fault(told);
        }
        let act = verdict.act;
        if act.ignore_range {
            request.extensions_mut().insert(IgnoreRange);
        }
        let is_head = request.method() == Method::HEAD;
        // With `Expect`, reading a body nobody wants would ask the client for
        // it; of one whose connection is cut, nothing more is read.
        let cut = act.cut.is_some_and(|cut| cut.at.is_before_applying());
        let drains = !cut && !request.headers().contains_key(header::EXPECT);
        let faults = self.faults.clone();
        let mut request = request
            .map(|body| ReceivedBody::new(body, entry.clone(), faults, drains).act(&act, &wire));

        if let Some(delay_ms) = act.delay_ms {
            sleep(Duration::from_millis(delay_ms)).await;
        }
        reach(Point::BeforeRead, &act, &wire).await;
        let response = match self.refusal(&request, &entry) {
            Some(response) => {
                read_some(&mut request.into_body(), u64::MAX).await?;
                response
            }
            None => {
                if self.faults.globals().clock_offset_s != 0 {
                    presigned::into_headers(&mut request);
                }
                self.perform(request, &act, &target, &entry).await?
            }
        };
        reach(Point::AfterRequest, &act, &wire).await;
        Ok(self.finish(response, &act, entry, is_head, wire))
    }

    /// The answer to a request that the server as a whole refuses.
    fn refusal(&self, request: &Request<ReceivedBody>, entry: &Entry) -> Option<Response<Body>> {
        let globals = self.faults.globals();
        let id = request_id(entry.sequence());
        let refusal = refusals::of(&globals, request.uri(), request.headers(), &id)?;
        if let Some(by) = refusal.by {
            entry.fault(format!("refused by {by}"));
        }
        Some(refusal.response)
    }

    /// Applies the request or not, and gives its answer or another.
    async fn perform(
        &self,
        request: Request<ReceivedBody>,
        act: &Act,
        target: &Target,
        entry: &Entry,
    ) -> Result<Response<Body>, NoAnswer> {
        let id = request_id(entry.sequence());
        let other = act.answer.as_ref().map(|answer| answer.response(&id));
        if let Some(early) = act.answer.as_ref().and_then(|answer| answer.early) {
            read_some(&mut request.into_body(), early).await?;
            return other.ok_or(NoAnswer);
        }
        let own = match (act.applies(), act.duplicate_ms) {
            (Apply::Yes, None) => {
                self.happen(act, target).await;
                let request = request.map(Body::http_body_unsync);
                Some(self.s3.call(request).await.map_err(no_answer)?)
            }
            (Apply::Yes, Some(again_ms)) => {
                let (head, body) = request.into_parts();
                let body = read(body).await?;
                self.happen(act, target).await;
                let first = Request::from_parts(head.clone(), Body::from(body.clone()));
                let own = self.s3.call(first).await.map_err(no_answer)?;
                self.apply_late(head, body, again_ms);
                Some(own)
            }
            (Apply::No, _) => {
                // Read first, so that the answer never races with the body.
                read_some(&mut request.into_body(), u64::MAX).await?;
                self.happen(act, target).await;
                None
            }
            (Apply::LateMs(late_ms), _) => {
                let (head, body) = request.into_parts();
                let body = read(body).await?;
                self.happen(act, target).await;
                self.apply_late(head, body, late_ms);
                None
            }
        };
        // Without either, the connection is cut or stalls before an answer.
        Ok(other
            .or(own)
            .unwrap_or_else(|| Response::new(Body::empty())))
    }

    /// Applies a request when its time has come, whatever becomes of its connection.
    fn apply_late(&self, head: Parts, body: Bytes, late_ms: u64) {
        let s3 = self.s3.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(late_ms)).await;
            match s3.call(Request::from_parts(head, Body::from(body))).await {
                Ok(response) => tracing::debug!(status = %response.status(), "applied late"),
                Err(error) => {
                    tracing::debug!(error = %StdError::from(error), "s3s gave no late answer");
                }
            }
        });
    }

    /// Does what else happens in the storage.
    async fn happen(&self, act: &Act, target: &Target) {
        let (Some(event), Some(bucket), Some(key)) = (&act.event, &target.bucket, &target.key)
        else {
            return;
        };
        let storage = &self.storage;
        let result = match event {
            Event::ReplaceObject => {
                let mut bytes = storage.object_bytes(bucket, key).unwrap_or_default();
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
                ops::replace(storage, bucket, key, bytes).await
            }
            Event::DeleteObject => storage.delete_object(bucket, key, None).map(|_| ()),
            Event::AbortUpload => storage
                .open_uploads(bucket)
                .into_iter()
                .filter(|upload| upload.key == *key)
                .filter(|upload| {
                    let asked = target.upload_id.as_ref();
                    asked.is_none_or(|id| *id == upload.upload_id)
                })
                .try_for_each(|upload| storage.abort_upload(bucket, key, &upload.upload_id)),
        };
        if let Err(error) = result {
            tracing::warn!(%error, ?event, "what was to happen did not");
        }
    }

    /// Adds what every answer of S3 has, changes it as asked, and has its body counted.
    fn finish(
        self,
        mut response: Response<Body>,
        act: &Act,
        entry: Entry,
        is_head: bool,
        wire: Arc<Wire>,
    ) -> Response<SentBody> {
        if is_head || response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        let ranged = response.headers().contains_key(header::CONTENT_RANGE);
        if is_head && ranged && response.status().is_success() {
            // s3s says 206 for GET only.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let mut plan = Plan {
            stall: act.stall,
            cut: act.cut,
            drip: act.drip,
            extra: Bytes::new(),
        };
        if let Some(body) = &act.body
            && !is_head
        {
            response = change_body(response, body, &mut plan);
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request_id(entry.sequence())) {
            headers.insert("x-amz-request-id", id);
        }
        headers.insert(
            header::SERVER,
            HeaderValue::from_static("towline-testserver"),
        );
        if let Some(date) = refusals::date(&self.faults.globals()) {
            headers.insert(header::DATE, date);
        }
        if let Some(headers) = &act.headers {
            change_headers(&mut response, headers);
        }
        entry.answered(response.status().as_u16());
        let length = body_length(&response, is_head);
        let chunked = act.headers.as_ref().is_some_and(|headers| {
            let mut dropped = headers.drop.iter();
            dropped.any(|name| name.eq_ignore_ascii_case("content-length"))
        });
        wire.plan(plan);
        response
            .map(|body| SentBody::new(body, length, entry, self.faults, wire).unsized_when(chunked))
    }
}

/// Stalls and cuts at this point, if asked to. Does not return from a cut.
async fn reach(point: Point, act: &Act, wire: &Wire) {
    if let Some(stall) = act.stall.filter(|stall| stall.at == point) {
        match stall.for_ms {
            Some(time) => sleep(Duration::from_millis(time)).await,
            None => std::future::pending().await,
        }
    }
    if let Some(cut) = act.cut.filter(|cut| cut.at == point) {
        wire.cut(cut.by);
        std::future::pending().await
    }
}

/// Reads a request to its end.
async fn read(body: ReceivedBody) -> Result<Bytes, NoAnswer> {
    let body = body.collect().await.map_err(|_| NoAnswer)?;
    Ok(body.to_bytes())
}

/// Reads this many bytes of a request, or to its end.
async fn read_some(body: &mut ReceivedBody, bytes: u64) -> Result<(), NoAnswer> {
    let mut got = 0;
    while got < bytes {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|_| NoAnswer)?;
        got += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
    }
    Ok(())
}

fn no_answer(error: HttpError) -> NoAnswer {
    tracing::debug!(error = %StdError::from(error), "s3s gave no answer");
    NoAnswer
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
