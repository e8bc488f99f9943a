//! What a person or program asks of a transfer; it may be refused.

use super::{Step, Transfer};
use crate::{After, Change, NetworkPolicy, Now, Phase, Priority, State};

/// A request to steer a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Stop, and keep what was moved.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Go on after a failure, or anew after a cancel.
    Retry,
    /// Stop, and remove what S3 and the disk hold.
    Cancel,
    /// Go on these networks only, from now on.
    AllowOn(NetworkPolicy),
    /// Go ahead of others, or behind them, from now on.
    Prioritize(Priority),
}

impl Command {
    /// One of each kind.
    pub const ALL: [Self; 6] = [
        Self::Pause,
        Self::Resume,
        Self::Retry,
        Self::Cancel,
        Self::AllowOn(NetworkPolicy::Unmetered),
        Self::Prioritize(Priority::High),
    ];

    const fn verb(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::AllowOn(_) => "change the networks of",
            Self::Prioritize(_) => "change the priority of",
        }
    }
}

/// A request that does not fit the transfer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} a transfer that is {state}", command.verb())]
pub struct Refused {
    /// What was asked.
    pub command: Command,
    /// The state it is in.
    pub state: State,
}

impl Transfer {
    /// Does as asked. An empty step says that nothing had to change.
    pub fn on_command(&mut self, command: Command, now: Now) -> Result<Step, Refused> {
        let mut step = Step::default();
        match (command, self.record.phase) {
            (Command::Pause, Phase::Paused | Phase::Discarding(After::Cancel | After::Fail)) => {}
            (Command::Pause, phase) if !phase.is_final() => {
                self.stop(&mut step);
                self.enter(&mut step, Phase::Paused, now);
            }
            (Command::Resume, Phase::Paused) => self.requeue(&mut step, now),
            (Command::Resume, phase) if !phase.is_final() => {}
            (Command::Retry, Phase::Failed | Phase::Canceled) => self.requeue(&mut step, now),
            (Command::Retry, phase) if !phase.is_final() => {}
            (Command::Cancel, Phase::Discarding(After::Cancel) | Phase::Canceled) => {}
            (Command::Cancel, Phase::Failed) if self.holds_something() => {
                self.run.started = true;
                self.discard(&mut step, After::Cancel, now);
            }
            (Command::Cancel, phase) if !phase.is_final() => {
                self.run.started = true;
                self.discard(&mut step, After::Cancel, now);
            }
            (Command::AllowOn(policy), phase) if phase != Phase::Completed => {
                if self.record.spec.options.network != policy {
                    self.change(&mut step, Change::Network(policy));
                }
            }
            (Command::Prioritize(priority), phase) if phase != Phase::Completed => {
                if self.record.spec.options.priority != priority {
                    self.change(&mut step, Change::Priority(priority));
                }
            }
            (command, phase) => {
                let state = crate::Status::at_rest(phase).state;
                return Err(Refused { command, state });
            }
        }
        Ok(step)
    }

    /// Back into the queue, with every chance it had at first.
    fn requeue(&mut self, step: &mut Step, now: Now) {
        self.run.strikes.clear();
        self.run.restarts = 0;
        self.run.exhausted = None;
        self.run.late.begin_anew();
        self.run.started = false;
        self.run.doubt = self.holds_something();
        // What was moved is gone: from zero, and the source is looked at anew.
        if self.record.phase.is_final() && !self.run.doubt && self.record.plan.is_some() {
            self.change(step, Change::Generation(self.record.generation + 1));
        }
        if self.record.error.is_some() {
            self.change(step, Change::Error(None));
        }
        self.enter(step, Phase::Queued, now);
    }
}
