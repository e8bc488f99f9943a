//! The bytes of one connection, on their way between hyper and the socket, or
//! the TLS that is before it.

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

/// The socket of a connection, which whoever serves it holds too.
pub(crate) struct Socket(pub(crate) Arc<TcpStream>);

/// A connection's bytes, on their way between hyper and its stream.
pub(crate) struct Line<S> {
    stream: S,
    wire: Arc<Wire>,
    faults: Faults,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// What follows an answer and is still to be written.
    extra: Bytes,
}

/// How often a frozen line looks whether it still is.
const THAW_CHECK: Duration = Duration::from_millis(10);

impl<S: AsyncWrite + Unpin> Line<S> {
    pub(crate) fn new(stream: S, wire: Arc<Wire>, faults: Faults) -> Self {
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

    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Self::poll_free(&mut this.reading, &this.faults, cx));
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
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
            let extra = this.extra.clone();
            let sent = ready!(this.poll_send(cx, &[IoSlice::new(&extra)]))?;
            let _ = this.extra.split_to(sent);
        }
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        ready!(this.poll_allowed(cx, &[], true));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The stream is shut by whoever serves the connection, when it is done.
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
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

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is shut by whoever else holds it.
        Poll::Ready(Ok(()))
    }
}
