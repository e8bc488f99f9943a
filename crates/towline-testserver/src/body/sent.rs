//! The bodies of answers, counted as they are handed to the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use s3s::{Body, StdError};

use super::Gate;
use crate::faults::Faults;
use crate::history::Entry;
use crate::wire::Wire;

/// The body of an answer, counted as it is handed to the connection.
pub(crate) struct SentBody {
    body: Body,
    /// Bytes of a frame that are still to go, cut small by the throttle.
    rest: Bytes,
    /// Bytes to go until the end, where that is known: hyper does not ask for
    /// the end then.
    left: Option<u64>,
    /// Whether hyper may know how long it is.
    sized: bool,
    counted: Option<(Entry, Gate)>,
    /// Told when it is at its end.
    wire: Arc<Wire>,
}

impl SentBody {
    pub(crate) fn new(
        body: Body,
        length: Option<u64>,
        entry: Entry,
        faults: Faults,
        wire: Arc<Wire>,
    ) -> Self {
        if length == Some(0) {
            entry.sent_whole();
        }
        Self {
            body,
            rest: Bytes::new(),
            left: length,
            sized: true,
            counted: Some((entry, Gate::new(faults))),
            wire,
        }
    }

    /// Lets hyper send it in chunks.
    pub(crate) fn unsized_when(mut self, yes: bool) -> Self {
        self.sized = !yes;
        self
    }

    pub(crate) fn uncounted(body: Full<Bytes>, wire: Arc<Wire>) -> Self {
        Self {
            body: Body::http_body(body),
            rest: Bytes::new(),
            left: None,
            sized: true,
            counted: None,
            wire,
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
        if !self.sized {
            return SizeHint::default();
        }
        let hint = self.body.size_hint();
        hint.exact().map_or(hint, |left| {
            SizeHint::with_exact(left + self.rest.len() as u64)
        })
    }
}

impl Drop for SentBody {
    fn drop(&mut self) {
        self.wire.answered();
    }
}
