//! Bodies that count what passes, and let it wait for the throttle.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use s3s::{Body, StdError};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

use crate::faults::Faults;
use crate::history::Entry;

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
    pub(crate) fn new(incoming: Incoming, entry: Entry, faults: Faults, drains: bool) -> Self {
        let whole = incoming.is_end_stream();
        if whole {
            entry.received_whole();
        }
        Self {
            incoming: Some(incoming),
            entry,
            gate: Gate::new(faults),
            whole,
            drain_when_dropped: drains,
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
    body: Body,
    /// Bytes of a frame that are still to go, cut small by the throttle.
    rest: Bytes,
    /// Bytes to go until the end, where that is known: hyper does not ask for
    /// the end then.
    left: Option<u64>,
    counted: Option<(Entry, Gate)>,
}

impl SentBody {
    pub(crate) fn new(body: Body, length: Option<u64>, entry: Entry, faults: Faults) -> Self {
        if length == Some(0) {
            entry.sent_whole();
        }
        Self {
            body,
            rest: Bytes::new(),
            left: length,
            counted: Some((entry, Gate::new(faults))),
        }
    }

    pub(crate) fn uncounted(body: Full<Bytes>) -> Self {
        Self {
            body: Body::http_body(body),
            rest: Bytes::new(),
            left: None,
            counted: None,
        }
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
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
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
        let hint = self.body.size_hint();
        hint.exact().map_or(hint, |left| {
            SizeHint::with_exact(left + self.rest.len() as u64)
        })
    }
}
