//! A cap on how many requests are sent in a second.
//!
//! An act begins only when a request may be sent, and pays for the first of its
//! own. What it sends beyond that is sent at once, so that no time limit of a
//! request runs while it waits here; the acts after it wait the longer.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// What was not used is kept for so long.
const BURST: Duration = Duration::from_millis(100);

/// The cap of an engine. Clones are the same one.
#[derive(Clone)]
pub(crate) struct RequestRate(Arc<Shared>);

struct Shared {
    clock: Clock,
    is_capped: AtomicBool,
    gate: Mutex<Option<Gate>>,
}

impl RequestRate {
    pub(crate) fn new(cap: Option<NonZeroU32>, clock: Clock) -> Self {
        let rate = Self(Arc::new(Shared {
            clock,
            is_capped: AtomicBool::new(false),
            gate: Mutex::new(None),
        }));
        rate.set(cap);
        rate
    }

    /// Sets the cap, or lifts it.
    pub(crate) fn set(&self, cap: Option<NonZeroU32>) {
        let now = self.0.clock.monotonic();
        let mut gate = self.gate();
        *gate = cap.map(|rate| match gate.take() {
            Some(gate) => gate.at_rate(rate, now),
            None => Gate::new(rate, now),
        });
        self.0.is_capped.store(cap.is_some(), Relaxed);
    }

    /// The cap as it is now.
    pub(crate) fn cap(&self) -> Option<NonZeroU32> {
        self.gate().as_ref().map(|gate| gate.rate)
    }

    /// An act that sends requests has begun; fails with the time until another
    /// may.
    pub(crate) fn begun(&self) -> Result<(), Duration> {
        if !self.0.is_capped.load(Relaxed) {
            return Ok(());
        }
        let now = self.0.clock.monotonic();
        self.gate().as_mut().map_or(Ok(()), |gate| gate.begun(now))
    }

    /// A request is sent.
    pub(crate) fn sent(&self) {
        if self.0.is_capped.load(Relaxed) {
            let now = self.0.clock.monotonic();
            if let Some(gate) = self.gate().as_mut() {
                gate.sent(now);
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Option<Gate>> {
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets so many requests begin in a second; the time is passed in.
#[derive(Debug)]
struct Gate {
    rate: NonZeroU32,
    /// Until when what was paid for takes at this rate.
    busy_until: Duration,
    /// Requests that are paid for and not sent yet.
    paid: u64,
}

impl Gate {
    fn new(rate: NonZeroU32, now: Duration) -> Self {
        Self {
            rate,
            busy_until: now,
            paid: 0,
        }
    }

    /// The same at another rate: what is owed is owed in requests.
    fn at_rate(self, rate: NonZeroU32, now: Duration) -> Self {
        let owed = self.busy_until.saturating_sub(now);
        let owed = owed.saturating_mul(self.rate.get()) / rate.get();
        Self {
            rate,
            busy_until: now.saturating_add(owed),
            paid: self.paid,
        }
    }

    fn begun(&mut self, now: Duration) -> Result<(), Duration> {
        self.pay(now);
        self.paid += 1;
        // At least one, however slow they are.
        let burst = BURST.saturating_sub(self.each());
        let wait = self.busy_until.saturating_sub(now.saturating_add(burst));
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    fn sent(&mut self, now: Duration) {
        match self.paid.checked_sub(1) {
            Some(left) => self.paid = left,
            None => self.pay(now),
        }
    }

    fn pay(&mut self, now: Duration) {
        self.busy_until = self.busy_until.max(now).saturating_add(self.each());
    }

    fn each(&self) -> Duration {
        Duration::from_secs(1) / self.rate.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(rate: u32) -> Gate {
        Gate::new(NonZeroU32::new(rate).unwrap(), SECOND)
    }

    /// How many requests are sent in this time by acts of so many each, where there
    /// is always one more that wants to begin.
    fn flood(gate: &mut Gate, of_each: u64, from: Duration, time: Duration) -> u64 {
        let (mut now, mut sent) = (from, 0);
        while now < from + time {
            let next = gate.begun(now);
            (0..of_each).for_each(|_| gate.sent(now));
            sent += of_each;
            now += next.err().unwrap_or_default();
        }
        sent
    }

    #[test]
    fn a_rate_holds_within_a_tenth_over_some_seconds_however_many_an_act_sends() {
        for rate in [1, 3, 10, 250, 5000] {
            for of_each in [1, 2, 5] {
                let mut gate = gate(rate);
                let sent = flood(&mut gate, of_each, SECOND, 30 * SECOND);
                let allowed = u64::from(rate) * 30;
                let off = sent.abs_diff(allowed);
                assert!(
                    off * 10 <= allowed.max(of_each * 10),
                    "{sent} for {allowed}"
                );
            }
        }
    }

    #[test]
    fn what_was_not_used_is_kept_for_a_tenth_of_a_second() {
        for (rate, most) in [(1, 1), (20, 3), (1000, 101)] {
            let mut gate = gate(rate);
            let later = 3600 * SECOND;
            let at_once = (0..10_000).take_while(|_| gate.begun(later).is_ok());
            let at_once = at_once.count() + 1;
            assert!((1..=most).contains(&at_once), "{at_once} at {rate}");
        }
    }

    #[test]
    fn another_rate_holds_at_once_and_a_debt_stays_one_in_requests() {
        let owed = |gate: &Gate| (gate.busy_until - SECOND).as_secs_f64();
        let mut gate = gate(100);
        (0..200).for_each(|_| gate.sent(SECOND)); // nobody has paid for them
        assert!((owed(&gate) - 2.0).abs() < 0.01);
        let gate = gate.at_rate(NonZeroU32::new(10).unwrap(), SECOND);
        assert!((owed(&gate) - 20.0).abs() < 0.01);
        let mut gate = gate.at_rate(NonZeroU32::new(1000).unwrap(), SECOND);
        assert!((owed(&gate) - 0.2).abs() < 0.01);
        // It is paid first.
        let wait = gate.begun(SECOND).unwrap_err();
        assert!(wait > SECOND / 10, "{wait:?}");
    }

    #[test]
    fn who_begins_and_sends_nothing_has_paid_for_the_next() {
        let mut gate = gate(10);
        let _ = gate.begun(SECOND);
        let before = gate.busy_until;
        gate.sent(SECOND);
        assert_eq!(gate.busy_until, before);
        gate.sent(SECOND);
        assert_eq!(gate.busy_until, before + SECOND / 10);
    }
}
