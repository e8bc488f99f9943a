//! Faults a test asks for: answers that fail or vanish, delays, a slow or absent network.
//!
//! Decided here, applied by the service around every request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::operation::Operation;

/// The faults of one server. A cheap handle: clones change the same faults.
///
/// Every method takes effect at once, for requests already running where that
/// makes sense (`bandwidth`, `offline`).
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Mutex<Vec<Rule>>,
    delays: Mutex<HashMap<Operation, Duration>>,
    throttle: Throttle,
    offline: watch::Sender<bool>,
}

/// A fault for the next `times` requests of one operation.
#[derive(Debug)]
struct Rule {
    operation: Operation,
    times: usize,
    act: Act,
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Reads the body, applies nothing, answers this error.
    Fail { status: u16, code: String },
    /// Applies the request and cuts the connection before the answer.
    DropResponse,
}

/// What one request has to expect.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) delay: Option<Duration>,
    pub(crate) act: Option<Act>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                rules: Mutex::default(),
                delays: Mutex::default(),
                throttle: Throttle::default(),
                offline: watch::Sender::new(false),
            }),
        }
    }

    /// The next `times` requests of `operation` are read to their end, not
    /// applied, and answered with `status` and the S3 error code `code`.
    ///
    /// Rules for the same operation are used up in the order they were made.
    pub fn fail_next(&self, operation: Operation, times: usize, status: u16, code: &str) {
        let code = code.to_owned();
        self.add(operation, times, Act::Fail { status, code });
    }

    /// The next `times` requests of `operation` are applied, but their
    /// connection is cut before a byte of the answer.
    pub fn drop_response(&self, operation: Operation, times: usize) {
        self.add(operation, times, Act::DropResponse);
    }

    /// Every request of `operation` waits this long before it is looked at; zero ends that.
    pub fn delay(&self, operation: Operation, delay: Duration) {
        lock(&self.inner.delays).insert(operation, delay);
    }

    /// Lets this many body bytes a second through, all connections and both
    /// directions together; zero is no limit.
    ///
    /// What the kernel's socket buffers take is not slowed down.
    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.inner.throttle.set_rate(bytes_per_second);
    }

    /// Cuts every connection, and resets new ones, until called with `false`.
    ///
    /// A client can still connect (the port stays ours), but no byte is answered.
    pub fn offline(&self, offline: bool) {
        self.inner.offline.send_replace(offline);
    }

    /// Takes back every fault: rules, delays, the throttle and `offline`.
    pub fn clear(&self) {
        lock(&self.inner.rules).clear();
        lock(&self.inner.delays).clear();
        self.bandwidth(0);
        self.offline(false);
    }

    /// Decides the fate of one request and uses up the rule that says so.
    pub(crate) fn verdict(&self, operation: Operation) -> Verdict {
        let mut rules = lock(&self.inner.rules);
        let act = rules
            .iter_mut()
            .find(|rule| rule.operation == operation && rule.times > 0)
            .map(|rule| {
                rule.times -= 1;
                rule.act.clone()
            });
        rules.retain(|rule| rule.times > 0);
        Verdict {
            delay: lock(&self.inner.delays).get(&operation).copied(),
            act,
        }
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    pub(crate) fn watch_offline(&self) -> watch::Receiver<bool> {
        self.inner.offline.subscribe()
    }

    fn add(&self, operation: Operation, times: usize, act: Act) {
        lock(&self.inner.rules).push(Rule {
            operation,
            times,
            act,
        });
    }
}

/// One allowance of bytes for everything that flows.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// Bytes a second; 0 is no limit.
    rate: AtomicU64,
    /// When the next byte may pass.
    free_at: Mutex<Option<Instant>>,
}

impl Throttle {
    fn set_rate(&self, bytes_per_second: u64) {
        self.rate.store(bytes_per_second, Ordering::Relaxed);
        // What the old rate had booked ahead no longer counts.
        *lock(&self.free_at) = None;
    }

    /// Books bytes that have just passed.
    pub(crate) fn passed(&self, bytes: usize) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let mut free_at = lock(&self.free_at);
        let now = Instant::now();
        let start = free_at.map_or(now, |at| at.max(now));
        *free_at = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
    }

    /// How long to wait before asking again; `None` when bytes may pass now.
    ///
    /// Short waits, so that a changed rate is felt soon.
    pub(crate) fn wait(&self) -> Option<Duration> {
        if self.rate.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let wait = (*lock(&self.free_at))?.checked_duration_since(Instant::now())?;
        (!wait.is_zero()).then_some(wait.min(Duration::from_millis(20)))
    }

    /// The most bytes to let pass in one go: a fiftieth of a second's worth.
    pub(crate) fn slice(&self) -> usize {
        match self.rate.load(Ordering::Relaxed) {
            0 => usize::MAX,
            rate => usize::try_from(rate / 50).unwrap_or(usize::MAX).max(256),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_used_up_in_order_and_only_by_their_operation() {
        let faults = Faults::new();
        faults.fail_next(Operation::UploadPart, 1, 503, "SlowDown");
        faults.drop_response(Operation::UploadPart, 1);

        assert_eq!(faults.verdict(Operation::GetObject).act, None);
        let slow_down = Act::Fail {
            status: 503,
            code: "SlowDown".to_owned(),
        };
        assert_eq!(faults.verdict(Operation::UploadPart).act, Some(slow_down));
        assert_eq!(
            faults.verdict(Operation::UploadPart).act,
            Some(Act::DropResponse)
        );
        assert_eq!(faults.verdict(Operation::UploadPart).act, None);
    }

    #[test]
    fn a_lifted_limit_forgets_what_was_booked() {
        let throttle = Throttle::default();
        throttle.set_rate(10);
        throttle.passed(1_000);
        assert!(throttle.wait().is_some());
        throttle.set_rate(0);
        assert_eq!(throttle.wait(), None);
    }
}
