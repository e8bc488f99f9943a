//! The life of one transfer, as a pure state machine.
//!
//! Nothing here does I/O, reads a clock or draws a random number. The engine
//! passes an [`Event`] in, commits [`Step::changes`] and only then performs
//! [`Step::actions`].
//!
//! One rule carries the whole: [`Transfer::proceed`] enters the phase that the
//! recorded facts call for, and while there is *doubt* (after a crash, a pause,
//! a lost answer) it asks S3 or the disk first. So starting, resuming,
//! reconnecting and recovering are one path.

mod command;
mod event;
mod failing;
mod late;
#[cfg(test)]
mod model;
mod parts;
mod step;
#[cfg(test)]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use command::{Command, Refused};
pub use event::{Event, Found, Item};
pub use step::{Action, Step};

use self::late::Late;

use crate::{
    After, Asked, Change, ErrorRecord, History, Now, Outcome, ParkReason, PartNumber, PartPlan,
    PartRow, Phase, Proof, Reason, Record, Remote, Request, State, Status,
};

/// How often a run starts a transfer from zero before it gives up.
const RESTART_LIMIT: u32 = 3;

/// One transfer: its record, its parts, and what this run knows of it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Transfer {
    record: Record,
    parts: BTreeMap<PartNumber, PartRow>,
    run: Run,
}

/// What is known only while the process lives.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
struct Run {
    /// The scheduler has admitted it.
    started: bool,
    /// S3 or the disk may hold more or less than is recorded.
    doubt: bool,
    /// So many parts at the beginning are where they belong, or more.
    moved: u32,
    /// Parts handed out and not answered for.
    in_flight: BTreeSet<PartNumber>,
    /// Parts between two attempts.
    backing_off: BTreeSet<PartNumber>,
    /// The act of the phase is between two attempts.
    act_backing_off: bool,
    /// It was looked for the upload of a lost Create, in vain.
    looked: bool,
    /// The last attempt that is forgiven lost its answer: if it turns out to
    /// have had no effect, this is how the transfer fails.
    exhausted: Option<ErrorRecord>,
    strikes: BTreeMap<Item, History>,
    restarts: u32,
    retry_limit: u32,
    late: Late,
}

impl Transfer {
    /// A transfer as its store has it. `retry_limit` failures in a row of one
    /// item are forgiven.
    pub fn load(record: Record, parts: Vec<PartRow>, retry_limit: u32) -> Self {
        let doubt = record.remote.is_some() || record.asked.is_some() || record.sealed.is_some();
        let late = Late::new(asked_to_complete(&record));
        Self {
            record,
            parts: parts.into_iter().map(|row| (row.number, row)).collect(),
            run: Run {
                doubt,
                retry_limit,
                late,
                ..Run::default()
            },
        }
    }

    /// Looks so long for the object of a Complete whose answer is not known.
    pub fn with_late_limit(mut self, limit: Duration) -> Self {
        self.run.late.limit(limit);
        self
    }

    /// What is stored of it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether it was admitted in this run, so that its acts may be under way.
    pub fn is_started(&self) -> bool {
        self.run.started
    }

    /// The state to show, with its reason.
    pub fn status(&self) -> Status {
        if !self.run.started || !self.record.phase.runs() {
            return Status::at_rest(self.record.phase);
        }
        let idle = self.run.in_flight.is_empty() && !self.run.backing_off.is_empty();
        let reason = match self.record.phase {
            Phase::Discarding(After::Cancel) => Some(Reason::Canceling),
            Phase::Discarding(After::Restart) => Some(Reason::Restarting),
            _ if self.run.act_backing_off || idle => {
                return Status::new(State::Waiting, Some(Reason::BackingOff));
            }
            Phase::Sealing => Some(Reason::Verifying),
            _ => None,
        };
        Status::new(State::InProgress, reason)
    }

    /// Advances by one event; one that no longer applies gives an empty step.
    pub fn on_event(&mut self, event: Event, now: Now) -> Step {
        let mut step = Step::default();
        match (self.record.phase, event) {
            (Phase::Queued, Event::Started) => self.start(&mut step, now),
            (phase, Event::Started) if phase.runs() && !self.run.started => {
                self.start(&mut step, now);
            }
            // A new process is as good a reason as any to look again.
            (Phase::Parked(reason), Event::Started | Event::Unparked) => {
                if reason == ParkReason::Clock {
                    self.fix_anew();
                }
                self.run.doubt = self.holds_something();
                self.start(&mut step, now);
            }
            (phase, Event::Unreachable(failure)) if Self::can_park(phase) => {
                self.unreachable(&mut step, &failure, now);
            }
            (phase, Event::Barred) if Self::can_park(phase) || phase == Phase::Queued => {
                self.barred(&mut step, now);
            }
            (Phase::Parked(reason), Event::Barred) if reason != ParkReason::NetworkClass => {
                self.barred(&mut step, now);
            }
            // A second answer must not change the plan of a generation.
            (Phase::Preparing, Event::Inspected(source)) if self.record.plan.is_none() => {
                match PartPlan::for_upload(source.size, &self.record.spec.options) {
                    Ok(plan) => {
                        let source = Some(source);
                        self.change(&mut step, Change::Planned { plan, source });
                        self.proceed(&mut step, now);
                    }
                    Err(error) => self.unplannable(&mut step, error, now),
                }
            }
            (Phase::Preparing, Event::OriginFound { identity, size })
                if self.record.plan.is_none() =>
            {
                self.origin_found(&mut step, identity, size, now);
            }
            (Phase::Preparing, Event::StreamBegun(plan)) if self.record.plan.is_none() => {
                self.change(&mut step, Change::Planned { plan, source: None });
                self.proceed(&mut step, now);
            }
            (Phase::Moving, Event::StreamEnded { part, size }) => {
                self.stream_ended(&mut step, part, size, now);
            }
            (Phase::Preparing, Event::Spared(outcome)) => {
                self.spared(&mut step, outcome, now);
            }
            // Also when the stop came too late for it: the name is known only here.
            (phase, Event::UploadOpened(id)) if !phase.is_final() && self.asked_to_open() => {
                self.change(&mut step, Change::Remote(Remote::Upload(id)));
                self.run.exhausted = None;
                if phase == Phase::Preparing && !self.run.doubt {
                    self.succeeded(Item::Act);
                    self.proceed(&mut step, now);
                }
            }
            (
                Phase::Preparing,
                Event::ObjectFound {
                    identity,
                    size,
                    temp,
                    in_one,
                },
            ) => {
                let plan = match in_one {
                    true => Ok(PartPlan::recorded(size, 0)),
                    false => {
                        let asked = self.record.spec.options.part_size;
                        PartPlan::for_download(size, asked, identity.part_size)
                    }
                };
                self.object_found(&mut step, identity, plan, temp, now);
            }
            (Phase::Preparing, Event::Fetched { size, proof }) => {
                let (plan, source) = (PartPlan::recorded(size, 0), None);
                self.change(&mut step, Change::Planned { plan, source });
                self.complete(&mut step, proof, now);
            }
            (phase, Event::Reconciled(found))
                if phase.runs() && !matches!(phase, Phase::Discarding(_)) =>
            {
                self.reconciled(&mut step, found, now);
            }
            // Paused and parked too: a part may land after the stop that came
            // too late for it.
            (phase, Event::PartMoved(row)) if phase.keeps_parts() => {
                self.keep_part(&mut step, row, now);
            }
            (Phase::Moving, Event::PartFailed { part, failure }) => {
                self.run.in_flight.remove(&part);
                self.failed(&mut step, Item::Part(part), &failure, now);
            }
            (Phase::Sealing, Event::Sealed(file)) => {
                self.change(&mut step, Change::Sealed(file));
                self.succeeded(Item::Act);
                self.proceed(&mut step, now);
            }
            (phase, Event::Finished(proof)) if phase.runs() => {
                self.complete(&mut step, proof, now);
            }
            (Phase::Discarding(after), Event::Discarded) => {
                self.nothing_is_left(&mut step, after, now);
            }
            (phase, Event::ActFailed(failure)) if phase.runs() => {
                self.failed(&mut step, Item::Act, &failure, now);
            }
            (phase, Event::WaitOver(item)) if phase.runs() => match item {
                Item::Part(part) => {
                    if self.run.backing_off.remove(&part) {
                        step.act(Action::OfferParts);
                    }
                }
                Item::Act if self.run.act_backing_off => self.go_on(&mut step, now),
                Item::Act => {}
            },
            _ => {}
        }
        step
    }

    fn start(&mut self, step: &mut Step, now: Now) {
        self.run.started = true;
        self.go_on(step, now);
    }

    /// Takes up the act that the phase is about.
    fn go_on(&mut self, step: &mut Step, now: Now) {
        if let Phase::Discarding(_) = self.record.phase {
            self.run.act_backing_off = false;
            step.act(Action::Discard);
        } else {
            self.proceed(step, now);
        }
    }

    /// Enters the phase that the recorded facts call for, so that starting,
    /// resuming, reconnecting and recovering from a crash are one path.
    fn proceed(&mut self, step: &mut Step, now: Now) {
        self.run.act_backing_off = false;
        let upload = self.record.spec.direction.makes_object();
        if upload
            && self.record.plan.is_none()
            && let Some(source) = self.record.source
            && let Ok(plan) = PartPlan::for_upload(source.size, &self.record.spec.options)
        {
            self.change(
                step,
                Change::Planned {
                    plan,
                    source: Some(source),
                },
            );
        }
        let all_moved = self
            .record
            .plan
            .is_some_and(|plan| !plan.is_open() && self.parts.len() == plan.parts() as usize);
        let single = self.record.is_one_put();
        let (phase, action, question) = match (&self.record.remote, &self.record.plan) {
            (_, None) if upload => (Phase::Preparing, Action::Inspect, None),
            (None, _) if upload && single => {
                (Phase::Moving, Action::OfferParts, Some(Request::Put))
            }
            (None, _) if upload => (Phase::Preparing, Action::Prepare, Some(Request::Create)),
            (Some(_), _) if upload && all_moved => {
                (Phase::Finishing, Action::Finish, Some(Request::Complete))
            }
            (None, _) => (Phase::Preparing, Action::Prepare, None),
            (Some(_), _) if self.record.sealed.is_some() => {
                (Phase::Finishing, Action::Finish, None)
            }
            (Some(_), _) if all_moved => (Phase::Sealing, Action::Seal, None),
            (Some(_), _) => (Phase::Moving, Action::OfferParts, None),
        };
        self.enter(step, phase, now);
        if self.run.doubt {
            step.act(Action::Reconcile);
            return;
        }
        if let Some(request) = question
            && self
                .record
                .asked
                .is_none_or(|asked| asked.request != request)
        {
            let at = now.server;
            self.change(step, Change::Asked(Some(Asked { request, at })));
        }
        step.act(action);
    }

    /// The only place that assigns the phase.
    fn enter(&mut self, step: &mut Step, phase: Phase, now: Now) {
        if self.record.phase != phase {
            self.change(
                step,
                Change::Phase {
                    phase,
                    at: now.wall,
                },
            );
        }
    }

    fn change(&mut self, step: &mut Step, change: Change) {
        self.record.apply(&change);
        if change.drops_parts() {
            self.parts.clear();
            self.run.moved = 0;
        }
        step.changes.push(change);
    }

    fn complete(&mut self, step: &mut Step, proof: Proof, now: Now) {
        self.end(step, Outcome::Transferred, Some(proof), now);
    }

    /// There was nothing to move.
    fn spared(&mut self, step: &mut Step, outcome: Outcome, now: Now) {
        self.end(step, outcome, None, now);
    }

    fn end(&mut self, step: &mut Step, outcome: Outcome, proof: Option<Proof>, now: Now) {
        step.act(Action::Stop);
        if self.record.error.is_some() {
            self.change(step, Change::Error(None));
        }
        self.change(step, Change::Ended { outcome, proof });
        self.enter(step, Phase::Completed, now);
    }

    fn discarded(&mut self, step: &mut Step, after: After, now: Now) {
        match after {
            After::Cancel => {
                self.change(step, Change::Discarded);
                self.enter(step, Phase::Canceled, now);
            }
            After::Fail => {
                self.change(step, Change::Discarded);
                self.enter(step, Phase::Failed, now);
            }
            After::Restart => {
                self.change(step, Change::Generation(self.record.generation + 1));
                self.run.doubt = false;
                self.run.exhausted = None;
                self.run.strikes.clear();
                self.run.late.begin_anew();
                self.proceed(step, now);
            }
        }
    }

    /// Removes what S3 and the disk hold, if anything.
    fn discard(&mut self, step: &mut Step, after: After, now: Now) {
        self.stop(step);
        if !self.holds_something() {
            return self.discarded(step, after, now);
        }
        self.run.strikes.remove(&Item::Act);
        self.enter(step, Phase::Discarding(after), now);
        step.act(Action::Discard);
    }

    /// Ends every act. What they had under way is in doubt from now on.
    fn stop(&mut self, step: &mut Step) {
        step.act(Action::Stop);
        self.run.late.possible |= asked_to_complete(&self.record);
        self.run.in_flight.clear();
        self.run.backing_off.clear();
        self.run.act_backing_off = false;
        self.run.looked = false;
        self.run.doubt = true;
    }

    fn succeeded(&mut self, item: Item) {
        self.run.strikes.remove(&item);
    }

    /// Whether a multipart upload may have been opened whose name is not known.
    fn asked_to_open(&self) -> bool {
        let asked = self.record.asked.map(|asked| asked.request);
        self.record.remote.is_none() && asked == Some(Request::Create)
    }

    /// Whether S3 or the disk may hold something of it.
    fn holds_something(&self) -> bool {
        self.record.remote.is_some() || self.record.asked.is_some()
    }
}

/// Whether a Complete may have been sent whose answer is not recorded.
fn asked_to_complete(record: &Record) -> bool {
    record.asked.map(|asked| asked.request) == Some(Request::Complete)
}
