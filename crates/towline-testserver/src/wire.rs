//! The commands to one connection below HTTP, and how far its answer is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::faults::{By, Cut, Point, Stall};

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
pub(crate) enum Next {
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

    /// Whether nothing is to happen to the answer.
    pub(crate) fn is_plain(&self) -> bool {
        let plan = &self.lock().plan;
        plan.stall.is_none()
            && plan.cut.is_none()
            && plan.drip.is_none()
            && plan.extra.is_empty()
            && self.cut.borrow().is_none()
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
    pub(crate) fn next(&self, bytes: &[u8], flushed: bool) -> Next {
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
    pub(crate) fn passed(&self, bytes: &[u8]) -> Option<Duration> {
        let mut state = self.lock();
        let head = state.head.advance(bytes);
        state.body += (bytes.len() - head) as u64;
        let rate = state.plan.drip?;
        Some(Duration::from_secs_f64(bytes.len() as f64 / rate as f64))
    }

    /// What follows the answer, once.
    pub(crate) fn take_extra(&self) -> Bytes {
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
