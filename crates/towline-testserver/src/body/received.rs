//! The bodies of requests: counted, changed, stalled and cut on their way in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::Gate;
use crate::faults::{Act, Cut, Faults, Flip, Point, Stall, Throttle};
use crate::history::Entry;
use crate::wire::Wire;

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
    received: u64,
    /// Bytes that were read past a point at which something happens.
    held: Option<Bytes>,
    flip: Option<Flip>,
    stall: Option<Stall>,
    cut: Option<Cut>,
    wire: Option<Arc<Wire>>,
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
            received: 0,
            held: None,
            flip: None,
            stall: None,
            cut: None,
            wire: None,
        }
    }

    /// Does on the way what the act says of the request's body.
    pub(crate) fn act(mut self, act: &Act, wire: &Arc<Wire>) -> Self {
        if let Some(request) = &act.request {
            self.flip = request.flip;
            self.gate.drip = request.drip.map(Throttle::at);
        }
        self.stall = act.stall;
        self.cut = act.cut;
        self.wire = Some(Arc::clone(wire));
        self
    }

    /// How many bytes may pass until something happens; at none it happens now.
    fn until_next_point(&self) -> Option<u64> {
        let points = [self.stall.map(|stall| stall.at), self.cut.map(|cut| cut.at)];
        let ahead = points
            .into_iter()
            .flatten()
            .filter_map(|point| match point {
                Point::RequestBytes(at) => at.checked_sub(self.received),
                _ => None,
            });
        ahead.min()
    }

    /// Stalls or cuts, if it is time.
    fn poll_point(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Point::RequestBytes(self.received);
        if let Some(stall) = self.stall.take_if(|stall| stall.at == now) {
            match stall.for_ms {
                Some(time) => self.gate.sleep = Some(Box::pin(sleep(Duration::from_millis(time)))),
                None => {
                    self.stall = Some(stall);
                    return Poll::Pending;
                }
            }
        }
        ready!(self.gate.poll_open(cx));
        if let (Some(cut), Some(wire)) = (self.cut.filter(|cut| cut.at == now), &self.wire) {
            self.drain_when_dropped = false;
            wire.cut(cut.by);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The next bytes, no more than until the next point.
    fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match (self.held.take(), &mut self.incoming) {
            (Some(held), _) => Some(Ok(Frame::data(held))),
            (None, Some(incoming)) => ready!(Pin::new(incoming).poll_frame(cx)),
            (None, None) => None,
        };
        let most = self.until_next_point().unwrap_or(u64::MAX);
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|mut bytes| {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    if bytes.len() > most {
                        self.held = Some(bytes.split_off(most));
                    }
                    match self.flip {
                        Some(flip) => {
                            let mut bytes = BytesMut::from(bytes);
                            flip.apply(self.received, &mut bytes);
                            bytes.freeze()
                        }
                        None => bytes,
                    }
                })
            })
        }))
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
        ready!(this.poll_point(cx));
        let frame = ready!(this.poll_bytes(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            this.received += bytes.len() as u64;
            this.entry.received(bytes.len() as u64);
            this.gate.passed(bytes.len());
        }
        let broken = matches!(frame, Some(Err(_)));
        if (frame.is_none() || this.is_end_stream()) && !broken && !this.whole {
            this.whole = true;
            this.entry.received_whole();
        }
        this.drain_when_dropped &= !broken;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // Something may happen at the very end, too.
        self.held.is_none()
            && self.until_next_point().is_none_or(|ahead| ahead > 0)
            && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first byte only.
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
            held: self.held.take(),
            wire: None,
            ..*self
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
