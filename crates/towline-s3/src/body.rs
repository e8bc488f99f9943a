//! The body of a request as it goes out: counted, cut to its exact length, and
//! stoppable from outside when S3 answers before it has all of it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use towline_core::{Body, ByteStream, StreamError};

use crate::signed_chunks::SignedChunks;
use crate::trailed::Trailed;

const FLOWING: u8 = 0;
const HELD: u8 = 1;
const CUT: u8 = 2;

/// How far a body got, shared between it and the call that sends it.
#[derive(Default)]
pub(crate) struct Progress {
    len: u64,
    sent: AtomicU64,
    flow: AtomicU8,
    waker: AtomicWaker,
    failure: Mutex<Option<StreamError>>,
}

impl Progress {
    fn of(len: u64) -> Arc<Self> {
        Arc::new(Self {
            len,
            ..Self::default()
        })
    }

    /// Bytes handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// All of them were.
    pub(crate) fn is_complete(&self) -> bool {
        self.sent() == self.len
    }

    /// Sends no more for now: an answer came, and reading it goes first.
    pub(crate) fn hold(&self) {
        self.turn(HELD);
    }

    /// Ends the body with an error, which closes the connection.
    pub(crate) fn cut(&self) {
        self.turn(CUT);
    }

    fn turn(&self, flow: u8) {
        self.flow.store(flow, Ordering::Release);
        self.waker.wake();
    }

    /// Why the body's own stream failed, if it did.
    pub(crate) fn take_failure(&self) -> Option<StreamError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn fail(&self, error: StreamError) -> BodyEnded {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        BodyEnded
    }
}

/// The error that hyper sees; the cause is in [`Progress`].
#[derive(Debug)]
pub(crate) struct BodyEnded;

impl fmt::Display for BodyEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body ended early")
    }
}

impl std::error::Error for BodyEnded {}

/// A stream gave another number of bytes than it was said to.
#[derive(Debug, thiserror::Error)]
enum LengthError {
    #[error("the body has {got} bytes instead of {len}")]
    Short { got: u64, len: u64 },
    #[error("the body has more than {len} bytes")]
    Long { len: u64 },
}

enum Source {
    Whole(Bytes),
    Stream(ByteStream),
    Signed(Box<SignedChunks>),
    Trailed(Box<Trailed>),
}

/// The body of a request.
pub(crate) struct RequestBody {
    source: Source,
    /// What is still to be handed over, all that frames the bytes included.
    left: u64,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            left: bytes.len() as u64,
            progress: Progress::of(bytes.len() as u64),
            source: Source::Whole(bytes),
        }
    }

    pub(crate) fn stream(body: Body) -> Self {
        Self {
            left: body.len,
            progress: Progress::of(body.len),
            source: Source::Stream(body.stream),
        }
    }

    /// The bytes of `body` with a signature before every chunk.
    pub(crate) fn signed(chunks: SignedChunks) -> Self {
        Self {
            left: chunks.encoded_len(),
            progress: Progress::of(chunks.encoded_len()),
            source: Source::Signed(Box::new(chunks)),
        }
    }

    /// The bytes of `body` with their checksum behind them.
    pub(crate) fn trailed(body: Trailed) -> Self {
        Self {
            left: body.encoded_len(),
            progress: Progress::of(body.encoded_len()),
            source: Source::Trailed(Box::new(body)),
        }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyEnded;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyEnded>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        this.progress.waker.register(cx.waker());
        match this.progress.flow.load(Ordering::Acquire) {
            FLOWING => {}
            HELD => return Poll::Pending,
            _ => return Poll::Ready(Some(Err(BodyEnded))),
        }
        let next = match &mut this.source {
            Source::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Source::Stream(stream) => ready!(stream.as_mut().poll_next(cx)),
            Source::Signed(chunks) => ready!(Pin::new(&mut **chunks).poll_next(cx)),
            Source::Trailed(body) => ready!(Pin::new(&mut **body).poll_next(cx)),
        };
        let len = this.progress.len;
        let error: StreamError = match next {
            Some(Ok(bytes)) => match this.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    this.left = left;
                    this.progress.sent.store(len - left, Ordering::Release);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                None => Box::new(LengthError::Long { len }),
            },
            Some(Err(error)) => error,
            None => Box::new(LengthError::Short {
                got: len - this.left,
                len,
            }),
        };
        Poll::Ready(Some(Err(this.progress.fail(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
