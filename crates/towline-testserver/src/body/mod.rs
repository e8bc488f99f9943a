//! Bodies that count what passes, and let it wait for the throttle.

mod received;
mod sent;

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub(crate) use received::ReceivedBody;
pub(crate) use sent::SentBody;
use tokio::time::{Sleep, sleep};

use crate::faults::{Faults, Throttle};

/// Lets bytes wait for the throttle, the same way in both directions.
struct Gate {
    faults: Faults,
    /// A bound of this body's own.
    drip: Option<Throttle>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    fn new(faults: Faults) -> Self {
        Self {
            faults,
            drip: None,
            sleep: None,
        }
    }

    fn passed(&self, bytes: usize) {
        self.faults.throttle().passed(bytes);
        if let Some(drip) = &self.drip {
            drip.passed(bytes);
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let drip = self.drip.as_ref();
            let wait = self.faults.throttle().wait();
            match wait.or_else(|| drip?.wait()) {
                None => return Poll::Ready(()),
                Some(wait) => self.sleep = Some(Box::pin(sleep(wait))),
            }
        }
    }
}
