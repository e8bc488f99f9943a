//! An open connection as hyper uses it: with or without TLS, marked so that its
//! reuse can be told, and read to its end when writing fails.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::sendfile::{self, InFile, NotSent};

/// How many requests a connection has been answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark(Arc<AtomicU32>);

impl Mark {
    /// Counts an answer; whether there had been one before.
    pub(crate) fn answered(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) > 0
    }

    pub(crate) fn is_used(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// How many connections there are and were.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    open: AtomicU64,
    opened: AtomicU64,
}

/// How many connections are open, and how many were ever opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Now, used or idle.
    pub open: u64,
    /// Since the start.
    pub opened: u64,
}

impl Pool {
    pub(crate) fn read(&self) -> Connections {
        Connections {
            open: self.open.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
        }
    }
}

/// Counts a connection for as long as it is open.
struct Counted(Arc<Pool>);

impl Counted {
    fn new(pool: &Arc<Pool>) -> Self {
        pool.open.fetch_add(1, Ordering::Relaxed);
        pool.opened.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pool))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream with or without TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<Wire>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0.tcp(),
        }
    }
}

/// A connection as hyper uses it.
///
/// When a write fails, reading goes on: S3 may have answered before it closed,
/// and that answer says more than the broken pipe. Once nothing more can be
/// read either, writing fails too, and hyper gives the connection up, with the
/// body that it holds.
///
/// One that is given up while a request goes out is reset: what its socket still holds,
/// up to some MiB, is for nobody any more.
pub(crate) struct Conn {
    stream: TokioIo<Reads>,
    mark: Mark,
    absolute_form: bool,
    write_failed: bool,
    /// It was written to, and nothing was read since.
    is_unanswered: bool,
    _counted: Counted,
}

impl Conn {
    /// `absolute_form`: requests go to a proxy that wants the whole address.
    pub(crate) fn new(wire: Wire, absolute_form: bool, pool: &Arc<Pool>) -> Self {
        let stream = Reads { wire, ended: false };
        Self {
            stream: TokioIo::new(stream),
            mark: Mark::default(),
            absolute_form,
            write_failed: false,
            is_unanswered: false,
            _counted: Counted::new(pool),
        }
    }

    fn writing(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(written)) => {
                self.is_unanswered |= written > 0;
                result
            }
            Poll::Ready(Err(_)) => {
                self.write_failed = true;
                self.broken()
            }
            other => other,
        }
    }

    fn poll_send_file(&mut self, cx: &mut Context<'_>, bytes: &InFile) -> Poll<io::Result<usize>> {
        let reads = self.stream.inner_mut();
        let sent = ready!(reads.wire.poll_send_file(cx, bytes));
        Poll::Ready(sent.map_err(|failure| match failure {
            NotSent::Wire(error) => error,
            NotSent::File(error) => {
                reads.ended = true; // the store waits for bytes that are not there
                error
            }
        }))
    }

    /// What writing gives once it has failed.
    fn broken(&self) -> Poll<io::Result<usize>> {
        match self.stream.inner().ended {
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            false => Poll::Pending, // woken by the read side, on which hyper always waits too
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.is_unanswered {
            // Where it fails, what is in the socket goes out, and nobody reads the answer.
            let _ = self.stream.inner().wire.tcp().set_zero_linger();
        }
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new()
            .proxy(self.absolute_form)
            .extra(self.mark.clone())
    }
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.is_unanswered = false;
        Poll::Ready(read)
    }
}

impl Write for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return self.broken();
        }
        let result = match bufs.first().and_then(|first| sendfile::in_file(first)) {
            Some(bytes) => self.poll_send_file(cx, &bytes),
            None => {
                let read = bufs.iter().take_while(|buf| sendfile::is_read(buf)).count();
                Pin::new(&mut self.stream).poll_write_vectored(cx, &bufs[..read])
            }
        };
        self.writing(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return self.broken().map_ok(|_| ());
        }
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.writing(result.map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unanswered {
            return Poll::Ready(Ok(())); // which would send what the socket holds
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A stream of which it is known whether anything can still be read.
struct Reads {
    wire: Wire,
    ended: bool,
}

impl AsyncRead for Reads {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (room, before) = (buf.remaining(), buf.filled().len());
        let read = ready!(Pin::new(&mut this.wire).poll_read(cx, buf));
        this.ended |= read.is_err() || (room > 0 && buf.filled().len() == before);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Reads {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
