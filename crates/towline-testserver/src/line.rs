//! The bytes of one connection, on their way between hyper and the socket.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::faults::Faults;
use crate::wire::{Next, Wire};

/// A connection's bytes, on their way between hyper and the socket.
pub(crate) struct Line {
    stream: Arc<TcpStream>,
    wire: Arc<Wire>,
    faults: Faults,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// What follows an answer and is still to be written.
    extra: Bytes,
}

/// How often a frozen line looks whether it still is.
const THAW_CHECK: Duration = Duration::from_millis(10);

impl Line {
    pub(crate) fn new(stream: Arc<TcpStream>, wire: Arc<Wire>, faults: Faults) -> Self {
        Self {
            stream,
            wire,
            faults,
            reading: None,
            writing: None,
            extra: Bytes::new(),
        }
    }

    /// Ready once nothing pauses or freezes this side.
    fn poll_free(
        pause: &mut Option<Pin<Box<Sleep>>>,
        faults: &Faults,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if let Some(sleep) = pause {
                ready!(sleep.as_mut().poll(cx));
                *pause = None;
            }
            if !faults.is_blackhole() {
                return Poll::Ready(());
            }
            *pause = Some(Box::pin(sleep(THAW_CHECK)));
        }
    }

    /// How many of these bytes may be written now.
    fn poll_allowed(&mut self, cx: &mut Context<'_>, bytes: &[u8], flushed: bool) -> Poll<usize> {
        loop {
            ready!(Self::poll_free(&mut self.writing, &self.faults, cx));
            match self.wire.next(bytes, flushed) {
                Next::Pass(allowed) => return Poll::Ready(allowed),
                Next::Pause(time) => self.writing = Some(Box::pin(sleep(time))),
                // Whoever serves the connection gives up on it.
                Next::Never => return Poll::Pending,
            }
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Self::poll_free(&mut this.reading, &this.faults, cx));
        loop {
            ready!(this.stream.poll_read_ready(cx))?;
            match this.stream.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let allowed = ready!(this.poll_allowed(cx, bytes, false));
        let sent = ready!(this.poll_send(cx, &[IoSlice::new(&bytes[..allowed])]))?;
        let pause = this.wire.passed(&bytes[..sent]);
        this.writing = pause.map(|pause| Box::pin(sleep(pause)));
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.wire.is_plain() {
            let this = self.get_mut();
            ready!(Self::poll_free(&mut this.writing, &this.faults, cx));
            return this.poll_send(cx, bufs);
        }
        // Where something is to happen, they are looked at one by one.
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_allowed(cx, &[], false));
        if this.extra.is_empty() {
            this.extra = this.wire.take_extra();
        }
        while !this.extra.is_empty() {
            let sent = ready!(this.poll_send(cx, &[IoSlice::new(&this.extra)]))?;
            let _ = this.extra.split_to(sent);
        }
        ready!(this.poll_allowed(cx, &[], true));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The stream is shut by whoever serves the connection, when it is done.
        Poll::Ready(Ok(()))
    }
}
