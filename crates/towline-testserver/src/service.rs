//! The service around `s3s`: notes every request, applies the faults, counts the bytes.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, StdError};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

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
        let request =
            request.map(|body| ReceivedBody::new(body, entry.clone(), self.faults.clone()));
        let request = refuse_to_continue_late(request);

        if let Some(delay) = verdict.delay {
            sleep(delay).await;
        }
        let mut response = match verdict.act {
            Some(Act::Fail { status, ref code }) => {
                // Read first, so that the answer never races with the body.
                request.into_body().collect().await.map_err(|_| Cut)?;
                failure(status, code, entry.sequence(), is_head)
            }
            Some(Act::DropResponse) | None => {
                let request = request.map(Body::http_body_unsync);
                self.s3.call(request).await.map_err(|error| {
                    tracing::debug!(error = ?StdError::from(error), "s3s gave no answer");
                    Cut
                })?
            }
        };
        if verdict.act == Some(Act::DropResponse) {
            return Err(Cut);
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        if is_head
            && response.headers().contains_key(header::CONTENT_RANGE)
            && response.status().is_success()
        {
            // s3s says 206 for GET only.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if let Ok(id) = HeaderValue::from_str(&format!("{:016X}", entry.sequence())) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response.headers_mut().insert(
            header::SERVER,
            HeaderValue::from_static("towline-testserver"),
        );
        entry.answered(response.status().as_u16());
        let length = body_length(&response, is_head);
        Ok(response.map(|body| SentBody::new(body, length, entry, self.faults)))
    }
}

/// `Expect: 100-continue` is hyper's business, once the body is asked for.
fn refuse_to_continue_late(mut request: Request<ReceivedBody>) -> Request<ReceivedBody> {
    if request.headers().contains_key(header::EXPECT) {
        request.body_mut().drain_when_dropped = false;
    }
    request
}

/// How long the body of an answer is on the wire, where that is known.
fn body_length(response: &Response<Body>, is_head: bool) -> Option<u64> {
    if is_head
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
    {
        return Some(0);
    }
    let header = response.headers().get(header::CONTENT_LENGTH);
    let header = header.and_then(|length| length.to_str().ok()?.parse().ok());
    header.or_else(|| response.body().size_hint().exact())
}

fn failure(status: u16, code: &str, sequence: u64, is_head: bool) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>A fault the test asked for.</Message><RequestId>{sequence:016X}</RequestId></Error>"
    );
    let body = if is_head {
        Bytes::new()
    } else {
        Bytes::from(xml)
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    response
}

/// Lets bytes wait for the throttle, the same way in both directions.
struct Gate {
    faults: Faults,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    fn new(faults: Faults) -> Self {
        Self {
            faults,
            sleep: None,
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.faults.throttle().wait() {
                None => return Poll::Ready(()),
                Some(wait) => self.sleep = Some(Box::pin(sleep(wait))),
            }
        }
    }
}

/// The body of a request, counted as it arrives.
///
/// Dropped before its end, as by a refusal, it reads on for a moment: a client
/// that is still sending would otherwise see a reset instead of the answer.
pub(crate) struct ReceivedBody {
    incoming: Option<Incoming>,
    entry: Entry,
    gate: Gate,
    whole: bool,
    drain_when_dropped: bool,
}

/// How long, and how many bytes, the rest of a refused body is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DRAIN_BYTES: u64 = 64 * 1024 * 1024;

impl ReceivedBody {
    fn new(incoming: Incoming, entry: Entry, faults: Faults) -> Self {
        let whole = incoming.is_end_stream();
        if whole {
            entry.received_whole();
        }
        Self {
            incoming: Some(incoming),
            entry,
            gate: Gate::new(faults),
            whole,
            drain_when_dropped: true,
        }
    }
}

impl http_body::Body for ReceivedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        ready!(this.gate.poll_open(cx));
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            this.entry.received(bytes.len() as u64);
            this.gate.faults.throttle().passed(bytes.len());
        }
        let ended = frame.is_none() || incoming.is_end_stream();
        let broken = matches!(frame, Some(Err(_)));
        if ended && !broken && !this.whole {
            this.whole = true;
            this.entry.received_whole();
        }
        this.drain_when_dropped &= !broken;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map(Incoming::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for ReceivedBody {
    fn drop(&mut self) {
        if self.whole || !self.drain_when_dropped {
            return;
        }
        let (Some(incoming), Ok(runtime)) = (self.incoming.take(), Handle::try_current()) else {
            return;
        };
        let rest = Self {
            incoming: Some(incoming),
            entry: self.entry.clone(),
            gate: Gate::new(self.gate.faults.clone()),
            whole: false,
            drain_when_dropped: false,
        };
        runtime.spawn(tokio::time::timeout(DRAIN_TIME, drain(rest)));
    }
}

async fn drain(mut body: ReceivedBody) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        if drained > DRAIN_BYTES {
            return;
        }
    }
}

/// The body of an answer, counted as it is handed to the connection.
pub(crate) struct SentBody {
    /// In a mutex only because `s3s`'s body may be of a kind that is not `Sync`.
    body: Arc<Mutex<Body>>,
    /// Bytes of a frame that are still to go, cut small by the throttle.
    rest: Bytes,
    /// Bytes to go until the end, where that is known: hyper does not ask for
    /// the end then.
    left: Option<u64>,
    counted: Option<(Entry, Gate)>,
}

impl SentBody {
    fn new(body: Body, length: Option<u64>, entry: Entry, faults: Faults) -> Self {
        if length == Some(0) {
            entry.sent_whole();
        }
        Self {
            body: Arc::new(Mutex::new(body)),
            rest: Bytes::new(),
            left: length,
            counted: Some((entry, Gate::new(faults))),
        }
    }

    fn uncounted(body: Full<Bytes>) -> Self {
        Self {
            body: Arc::new(Mutex::new(Body::http_body(body))),
            rest: Bytes::new(),
            left: None,
            counted: None,
        }
    }

    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(cx)
    }
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        if let Some((_, gate)) = &mut this.counted {
            ready!(gate.poll_open(cx));
        }
        if this.rest.is_empty() {
            match ready!(this.poll_body(cx)) {
                None => {
                    if let Some((entry, _)) = &this.counted {
                        entry.sent_whole();
                    }
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        let Some((entry, gate)) = &this.counted else {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.rest)))));
        };
        let throttle = gate.faults.throttle();
        let now = this.rest.split_to(throttle.slice().min(this.rest.len()));
        throttle.passed(now.len());
        entry.sent(now.len() as u64);
        this.left = this.left.map(|left| left.saturating_sub(now.len() as u64));
        if this.left == Some(0) {
            entry.sent_whole();
        }
        Poll::Ready(Some(Ok(Frame::data(now))))
    }

    fn is_end_stream(&self) -> bool {
        // Never said before the end was asked for, so that it is noted above.
        false
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = body.size_hint();
        hint.exact().map_or(hint, |left| {
            SizeHint::with_exact(left + self.rest.len() as u64)
        })
    }
}
