//! How often processes are killed, by what, and which of them.

use super::process::Signal;
use super::trigger::Trigger;

/// Whom a trigger kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The process it was set on.
    Itself,
    /// The process that owns the state of the one it was set on; itself where
    /// nobody does.
    Owner,
}

/// The kills of one run.
pub struct Kills<'a> {
    pub(crate) most: u64,
    pub(crate) signal: Box<dyn FnMut() -> Signal + 'a>,
    pub(crate) whom: Whom,
    pub(crate) draw: Box<dyn FnMut() -> Trigger + 'a>,
}

impl<'a> Kills<'a> {
    /// None: everything is left alone.
    pub fn none() -> Self {
        Self::at_most(0, || unreachable!("no trigger is drawn for no kill"))
    }

    /// One: of the first process that reaches this moment.
    pub fn once(trigger: Trigger) -> Self {
        Self::at_most(1, move || trigger.clone())
    }

    /// Up to `most`: each process gets a trigger of its own as it starts.
    pub fn at_most(most: u64, draw: impl FnMut() -> Trigger + 'a) -> Self {
        Self {
            most,
            signal: Box::new(|| Signal::Kill),
            whom: Whom::Itself,
            draw: Box::new(draw),
        }
    }

    /// By another signal than SIGKILL.
    #[must_use]
    pub fn by(mut self, signal: Signal) -> Self {
        self.signal = Box::new(move || signal);
        self
    }

    /// Kills another process than the one whose trigger it is.
    #[must_use]
    pub fn whom(mut self, whom: Whom) -> Self {
        self.whom = whom;
        self
    }
}
