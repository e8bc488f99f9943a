//! What a failure does to a transfer: another attempt, a wait, a new generation,
//! or its end.

use super::{Action, Item, RESTART_LIMIT, Step, Transfer, asked_to_complete};
use crate::{
    After, Asked, Change, ErrorRecord, Failure, Fix, Fixed, History, LocalFailure, Now, ParkReason,
    Phase, PlanError, Reaction, Timestamp, WhenSourceChanges, react,
};

impl Transfer {
    /// Whether a failure, taken for evidence, would end it.
    pub fn would_end(&self, item: Item, failure: &Failure) -> bool {
        let none = History::new(self.run.retry_limit);
        let history = self.run.strikes.get(&item).copied().unwrap_or(none);
        matches!(react(failure, history), Reaction::GiveUp | Reaction::Fail)
    }

    pub(super) fn failed(&mut self, step: &mut Step, item: Item, failure: &Failure, now: Now) {
        let final_source = self.may_not_change(failure);
        let none = History::new(self.run.retry_limit);
        let strikes = self.run.strikes.entry(item).or_insert(none);
        let history = *strikes;
        let reaction = match react(failure, history) {
            Reaction::Restart if final_source => Reaction::Fail,
            reaction => reaction,
        };
        *strikes = history.and(failure, &reaction);
        let spent = strikes.strikes > history.limit;
        let error = ErrorRecord::of(failure, strikes.in_a_row);
        let part = match item {
            Item::Part(part) => Some(part),
            Item::Act => None,
        };
        step.act(Action::Note {
            part,
            error: error.clone(),
        });
        if let Phase::Discarding(after) = self.record.phase {
            return self.discard_failed(step, after, error, reaction, now);
        }
        match reaction {
            Reaction::Retry {
                up_to, at_least, ..
            } => {
                match item {
                    Item::Part(part) => drop(self.run.backing_off.insert(part)),
                    Item::Act => self.run.act_backing_off = true,
                }
                step.act(Action::Wait {
                    item,
                    up_to,
                    at_least,
                });
            }
            Reaction::Fix(fix) => {
                let mut now = now;
                if let Fix::Clock(server) = fix {
                    now.server = server;
                    self.ask_at(step, item, server);
                }
                step.act(Action::Fix(fix));
                match item {
                    Item::Part(_) => step.act(Action::OfferParts),
                    Item::Act => self.proceed(step, now),
                }
            }
            Reaction::Resolve => {
                let wait = crate::retry::resolve_wait(history.in_a_row);
                let unknown = asked_to_complete(&self.record) && !failure.is_refusal();
                let late = self.run.late.possible || unknown;
                self.stop(step);
                self.run.late.possible = late;
                if spent {
                    self.run.exhausted = Some(error);
                }
                self.run.doubt = true;
                self.run.act_backing_off = true;
                step.act(Action::Wait {
                    item: Item::Act,
                    up_to: wait,
                    at_least: wait / 2,
                });
            }
            Reaction::Restart => self.restart(step, error, now),
            Reaction::Park(reason) => {
                if reason == ParkReason::Network {
                    self.forgive();
                }
                self.park(step, reason, error, now);
            }
            Reaction::GiveUp => self.give_up(step, error, now),
            Reaction::Fail => self.fail(step, error, now),
        }
    }

    /// Its source changed, and is wanted as it was or not at all.
    pub(super) fn may_not_change(&self, failure: &Failure) -> bool {
        matches!(failure, Failure::Local(LocalFailure::SourceChanged { .. }))
            && self.record.spec.options.when_source_changes == WhenSourceChanges::Fail
    }

    /// Discarding must be proven, so what would park only waits; what S3
    /// refuses ends it, with what is left behind named in the error.
    pub(super) fn discard_failed(
        &mut self,
        step: &mut Step,
        after: After,
        error: ErrorRecord,
        reaction: Reaction,
        now: Now,
    ) {
        let (up_to, at_least) = match reaction {
            Reaction::Retry {
                up_to, at_least, ..
            } => (up_to, at_least),
            Reaction::Fix(fix) => {
                step.act(Action::Fix(fix));
                Default::default()
            }
            Reaction::Resolve | Reaction::Restart | Reaction::Park(_) => {
                self.fix_anew();
                let wait = crate::retry::resolve_wait(8);
                (wait, wait / 2)
            }
            Reaction::GiveUp | Reaction::Fail => {
                // Why it failed comes first, then what is left behind.
                let error = match self.record.error.clone() {
                    Some(first) if after == After::Fail => ErrorRecord {
                        message: format!("{}; {}", first.message, error.message),
                        ..first
                    },
                    _ => error,
                };
                self.change(step, Change::Error(Some(error)));
                return self.enter(step, Phase::Failed, now);
            }
        };
        self.run.act_backing_off = true;
        step.act(Action::Wait {
            item: Item::Act,
            up_to,
            at_least,
        });
    }

    /// What S3 refused for the clock had no effect. It is asked again by S3's.
    fn ask_at(&mut self, step: &mut Step, item: Item, server: Timestamp) {
        if let Some(asked) = self.record.asked
            && item == Item::Act
            && !self.run.doubt
        {
            let at = server;
            self.change(step, Change::Asked(Some(Asked { at, ..asked })));
        }
    }

    pub(super) fn restart(&mut self, step: &mut Step, mut error: ErrorRecord, now: Now) {
        self.run.restarts += 1;
        if self.run.restarts > RESTART_LIMIT {
            let limit = format!("; it was started from zero {RESTART_LIMIT} times before");
            error.message.push_str(&limit);
            return self.fail(step, error, now);
        }
        self.change(step, Change::Error(Some(error)));
        self.discard(step, After::Restart, now);
    }

    pub(super) fn park(
        &mut self,
        step: &mut Step,
        reason: ParkReason,
        error: ErrorRecord,
        now: Now,
    ) {
        self.stop(step);
        self.change(step, Change::Error(Some(error)));
        self.enter(step, Phase::Parked(reason), now);
        step.act(Action::WatchFor(reason));
    }

    /// What is being removed is removed: that waits by itself.
    pub(super) const fn can_park(phase: Phase) -> bool {
        phase.runs() && !matches!(phase, Phase::Discarding(_))
    }

    /// An outage is no evidence against any item, whatever failed on its way in.
    pub(super) fn forgive(&mut self) {
        self.run.strikes.clear();
        self.run.exhausted = None;
    }

    /// What was put right before may be wrong by now, as a clock that jumps: it
    /// is put right once more.
    pub(super) fn fix_anew(&mut self) {
        for history in self.run.strikes.values_mut() {
            history.fixed = Fixed::default();
        }
    }

    pub(super) fn unreachable(&mut self, step: &mut Step, failure: &Failure, now: Now) {
        self.forgive();
        let error = ErrorRecord::of(failure, 0);
        step.act(Action::Note {
            part: None,
            error: error.clone(),
        });
        self.park(step, ParkReason::Network, error, now);
    }

    pub(super) fn barred(&mut self, step: &mut Step, now: Now) {
        self.run.started = true;
        self.stop(step);
        self.enter(step, Phase::Parked(ParkReason::NetworkClass), now);
        step.act(Action::WatchFor(ParkReason::NetworkClass));
    }

    /// Ends it for now and keeps what was moved, for `retry`. Of a stream
    /// nothing is kept: nobody could go on with it.
    pub(super) fn give_up(&mut self, step: &mut Step, error: ErrorRecord, now: Now) {
        if self.record.spec.is_stream() {
            return self.fail(step, error, now);
        }
        self.stop(step);
        self.change(step, Change::Error(Some(error)));
        self.enter(step, Phase::Failed, now);
    }

    /// Ends it for good: nothing is left behind.
    pub(super) fn fail(&mut self, step: &mut Step, error: ErrorRecord, now: Now) {
        self.change(step, Change::Error(Some(error)));
        self.discard(step, After::Fail, now);
    }

    pub(super) fn unplannable(&mut self, step: &mut Step, error: PlanError, now: Now) {
        let why = error.to_string();
        let failure = LocalFailure::Unplannable { why }.into();
        self.fail(step, ErrorRecord::of(&failure, 1), now);
    }
}
