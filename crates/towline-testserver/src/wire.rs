//! The line below HTTP: the bytes of one connection, which the service can cut, freeze and slow down.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use crate::faults::{By, Cut, Faults, Point, Stall};

/// What is to happen to the bytes of one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) stall: Option<Stall>,
    pub(crate) cut: Option<Cut>,
    /// Bytes a second.
    pub(crate) drip: Option<u64>,
    /// Follows the answer.
    pub(crate) extra: Bytes,
}

/// The commands to one connection, and what is known of it.
#[derive(Debug)]
pub(crate) struct Wire {
    state: Mutex<State>,
    cut: watch::Sender<Option<By>>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    head: Head,
    /// Bytes of the answer's body that are out.
    body: u64,
    /// The answer's body has been handed over to its end.
    answered: bool,
    requests: u64,
    /// Since when no request runs.
    idle_since: Option<Instant>,
}

/// How far the head of an answer is out.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    bytes: u64,
    /// Whether it is a head like `100 Continue`, which another follows.
    interim: bool,
    /// How much of the empty line at its end has been seen.
    matched: usize,
    done: bool,
}

impl Head {
    const END: &'static [u8] = b"\r\n\r\n";
    /// Where the first digit of the status is.
    const STATUS: u64 = "HTTP/1.1 ".len() as u64;

    /// How many of these bytes belong to the head.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.done {
                return at;
            }
            if self.bytes == Self::STATUS {
                self.interim = *byte == b'1';
            }
            self.bytes += 1;
            self.matched = match *byte {
                byte if byte == Self::END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == Self::END.len() {
                *self = Self {
                    done: !self.interim,
                    ..Self::default()
                };
            }
        }
        bytes.len()
    }
}

/// What may happen next.
enum Next {
    /// So many bytes may pass.
    Pass(usize),
    /// None before this time is over.
    Pause(Duration),
    /// None ever.
    Never,
}

impl Wire {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                plan: Plan::default(),
                head: Head::default(),
                body: 0,
                answered: false,
                requests: 0,
                idle_since: Some(Instant::now()),
            }),
            cut: watch::Sender::new(None),
        })
    }

    /// A request has arrived. Tells whether it is not the first.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        state.plan = Plan::default();
        state.head = Head::default();
        state.body = 0;
        state.answered = false;
        state.idle_since = None;
        state.requests += 1;
        state.requests > 1
    }

    /// What is to happen to the answer that follows.
    pub(crate) fn plan(&self, plan: Plan) {
        self.lock().plan = plan;
    }

    /// The answer's body is at its end.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        state.answered = true;
        state.idle_since = Some(Instant::now());
    }

    /// Cuts the connection now.
    pub(crate) fn cut(&self, by: By) {
        self.cut.send_if_modified(|cut| {
            let first = cut.is_none();
            cut.get_or_insert(by);
            first
        });
    }

    /// Waits for a cut.
    pub(crate) async fn cut_asked(&self) -> By {
        let mut cut = self.cut.subscribe();
        let asked = cut.wait_for(Option::is_some).await;
        match asked.ok().and_then(|by| *by) {
            Some(by) => by,
            // Only if the wire were gone, which we hold.
            None => std::future::pending().await,
        }
    }

    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.lock().idle_since
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may happen next to `bytes` of an answer; none are for a look at what is due.
    ///
    /// `flushed` says that nothing of the answer waits above.
    fn next(&self, bytes: &[u8], flushed: bool) -> Next {
        let mut state = self.lock();
        if self.cut.borrow().is_some() {
            return Next::Never;
        }
        if let Some(stall) = state.plan.stall
            && state.is_at(stall.at, flushed)
        {
            state.plan.stall = None;
            return match stall.for_ms {
                Some(time) => Next::Pause(Duration::from_millis(time)),
                None => {
                    // For ever, whatever is asked again.
                    state.plan.stall = Some(stall);
                    Next::Never
                }
            };
        }
        if let Some(cut) = state.plan.cut
            && state.is_at(cut.at, flushed)
        {
            self.cut(cut.by);
            return Next::Never;
        }
        Next::Pass(state.allowed(bytes))
    }

    /// So many bytes of an answer are out. Tells how long to pause then.
    fn passed(&self, bytes: &[u8]) -> Option<Duration> {
        let mut state = self.lock();
        let head = state.head.advance(bytes);
        state.body += (bytes.len() - head) as u64;
        let rate = state.plan.drip?;
        Some(Duration::from_secs_f64(bytes.len() as f64 / rate as f64))
    }

    /// What follows the answer, once.
    fn take_extra(&self) -> Bytes {
        let mut state = self.lock();
        if state.answered && state.head.done {
            std::mem::take(&mut state.plan.extra)
        } else {
            Bytes::new()
        }
    }
}

impl State {
    fn is_at(&self, point: Point, flushed: bool) -> bool {
        self.head.done
            && match point {
                Point::AfterHeaders => self.body == 0,
                Point::ResponseBytes(bytes) => self.body == bytes,
                Point::AfterResponse => flushed && self.answered && self.plan.extra.is_empty(),
                _ => false,
            }
    }

    /// How many of these bytes may pass before something is due.
    fn allowed(&self, bytes: &[u8]) -> usize {
        let mut allowed = bytes.len();
        let points = [
            self.plan.stall.map(|stall| stall.at),
            self.plan.cut.map(|cut| cut.at),
        ];
        let points = points.into_iter().flatten();
        if self.head.done {
            let ahead = points.filter_map(|point| match point {
                Point::ResponseBytes(at) => at.checked_sub(self.body),
                _ => None,
            });
            for ahead in ahead.filter(|ahead| *ahead > 0) {
                allowed = allowed.min(usize::try_from(ahead).unwrap_or(usize::MAX));
            }
        } else if points.count() > 0 {
            let mut head = self.head;
            allowed = head.advance(bytes);
        }
        if let Some(rate) = self.plan.drip {
            // A fiftieth of a second's worth.
            allowed = allowed.min(usize::try_from((rate / 50).max(1)).unwrap_or(usize::MAX));
        }
        allowed
    }
}

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
        // One at a time: they are few and large, and each is looked at.
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
