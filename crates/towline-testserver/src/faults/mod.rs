//! Faults a test asks for: answers that fail or vanish, bytes that are not what they were, a slow or absent network.
//!
//! Decided here, applied by the service around every request and by the line
//! below it.

mod act;
mod matching;
mod rule;
mod script;
mod throttle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(crate) use act::{Act, Body, Cut, Flip, Headers, Stall};
pub use act::{Answer, Apply, By, Event, Point};
use matching::Live;
pub use rule::Rule;
pub(crate) use script::{Keys, Region};
pub use script::{Offline, Script, ScriptError, WrongRegion};
pub(crate) use throttle::Throttle;

use crate::operation::{Operation, Target};

/// The faults of one server. A cheap handle: clones change the same faults.
///
/// [`play`](Self::play) takes a whole [`Script`]; the other methods add the
/// faults that most tests need. Every method takes effect at once, for
/// requests already running where that makes sense (`bandwidth`, `offline`).
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Mutex<Rules>,
    delays: Mutex<HashMap<Operation, Duration>>,
    throttle: Throttle,
    globals: watch::Sender<Globals>,
}

#[derive(Debug, Default)]
struct Rules {
    seed: u64,
    live: Vec<Live>,
}

/// What is wrong with the server as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    pub(crate) offline: Option<Offline>,
    pub(crate) clock_offset_s: i64,
    pub(crate) credentials: Option<Expiry>,
    pub(crate) region: Option<Region>,
    pub(crate) close_idle: Option<Duration>,
}

/// When the credentials expire, and what is accepted then.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    pub(crate) at: Instant,
    pub(crate) then: Option<Keys>,
}

/// What is to be done to one request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) act: Act,
    /// The same for the history.
    pub(crate) told: Option<String>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                rules: Mutex::default(),
                delays: Mutex::default(),
                throttle: Throttle::default(),
                globals: watch::Sender::default(),
            }),
        }
    }

    /// Does what the script says, in place of every fault there was.
    pub fn play(&self, script: Script) -> Result<(), ScriptError> {
        script.check()?;
        lock(&self.inner.delays).clear();
        *lock(&self.inner.rules) = Rules {
            seed: script.seed,
            live: script.rules.into_iter().map(Live::new).collect(),
        };
        self.bandwidth(script.bandwidth);
        self.inner.globals.send_replace(Globals {
            offline: script.offline,
            clock_offset_s: script.clock_offset_s,
            credentials: script.credentials.map(|credentials| Expiry {
                at: Instant::now() + Duration::from_millis(credentials.expire_after_ms),
                then: credentials.then,
            }),
            region: script.region,
            close_idle: script.close_idle_ms.map(Duration::from_millis),
        });
        Ok(())
    }

    /// The next `times` requests of `operation` are read to their end, not
    /// applied, and answered with `status` and the S3 error code `code`.
    ///
    /// Rules for the same operation are used up in the order they were made.
    pub fn fail_next(&self, operation: Operation, times: usize, status: u16, code: &str) {
        self.next(operation, times, |rule| {
            rule.answer(Answer::error(status, code))
        });
    }

    /// The next `times` requests of `operation` are applied, but their
    /// connection is cut before a byte of the answer.
    pub fn drop_response(&self, operation: Operation, times: usize) {
        self.next(operation, times, |rule| {
            rule.cut(Point::AfterRequest, By::Fin)
        });
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

    /// Resets every connection, and new ones, until called with `false`.
    ///
    /// A client can still connect (the port stays ours), but no byte is answered.
    pub fn offline(&self, offline: bool) {
        self.out_of_reach(offline.then_some(Offline::Reset));
    }

    /// Goes out of reach in this way, or comes back.
    pub fn out_of_reach(&self, form: Option<Offline>) {
        self.inner
            .globals
            .send_modify(|globals| globals.offline = form);
    }

    /// Takes back every fault: rules, delays, the throttle and `offline`.
    pub fn clear(&self) {
        self.play(Script::new())
            .expect("a script without rules is in order");
    }

    /// Decides what is done to one request; `reused` is whether its
    /// connection has had one before.
    pub(crate) fn verdict(&self, target: &Target, reused: bool) -> Verdict {
        let mut verdict = Verdict::default();
        let mut rules = lock(&self.inner.rules);
        let seed = rules.seed;
        let mut live = rules.live.iter_mut().enumerate();
        let found = live.find_map(|(place, live)| {
            live.takes(seed, place, target, reused)
                .then(|| (place, live.rule.act.clone()))
        });
        if let Some((place, act)) = found {
            verdict.act = act;
            let act = serde_json::to_string(&verdict.act).unwrap_or_default();
            verdict.told = Some(format!("rule {}: {act}", place + 1));
        }
        if let Some(delay) = lock(&self.inner.delays).get(&target.operation)
            && !delay.is_zero()
        {
            let delay_ms = act::millis(*delay);
            verdict.act.delay_ms = Some(delay_ms + verdict.act.delay_ms.unwrap_or(0));
            verdict
                .told
                .get_or_insert_with(|| format!("a delay of {delay_ms} ms"));
        }
        verdict
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    pub(crate) fn globals(&self) -> Globals {
        self.inner.globals.borrow().clone()
    }

    pub(crate) fn watch_globals(&self) -> watch::Receiver<Globals> {
        self.inner.globals.subscribe()
    }

    pub(crate) fn is_blackhole(&self) -> bool {
        self.inner.globals.borrow().offline == Some(Offline::Blackhole)
    }

    fn next(&self, operation: Operation, times: usize, fault: impl FnOnce(Rule) -> Rule) {
        let rule = Rule::on(operation).first(times as u64).of_all();
        let rule = fault(rule);
        lock(&self.inner.rules).live.push(Live::new(rule));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method, Uri};

    use super::*;

    #[test]
    fn rules_are_used_up_in_order_and_only_by_their_operation() {
        let faults = Faults::new();
        faults.fail_next(Operation::UploadPart, 1, 503, "SlowDown");
        faults.drop_response(Operation::UploadPart, 1);
        let act = |method, uri| {
            let target = Target::of(&method, &Uri::from_static(uri), &HeaderMap::new());
            faults.verdict(&target, false).act
        };
        let part = || act(Method::PUT, "/b/key?partNumber=1&uploadId=u");

        assert_eq!(act(Method::GET, "/b/key"), Act::default());
        assert_eq!(part().answer, Some(Answer::error(503, "SlowDown")));
        assert_eq!(part().cut.map(|cut| cut.at), Some(Point::AfterRequest));
        assert_eq!(part(), Act::default());
    }
}
