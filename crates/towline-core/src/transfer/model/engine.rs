//! An engine in miniature: it commits what was decided, performs it in the
//! reference world, and keeps the promises that [`Action`] asks of an engine.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::acts::{Act, How, What};
use super::checks::Checks;
use super::fixtures::{self, moment};
use super::histories::Start;
use super::world::World;
use crate::transfer::{Action, Command, Event, Item, Step, Transfer};
use crate::{Direction, Operation, PartNumber, PartRow, Phase, Record, Request};

type Stored = (Record, BTreeMap<PartNumber, PartRow>);

/// Everything, so that any moment of a history can be judged.
pub(super) struct Engine {
    pub(super) transfer: Transfer,
    pub(super) world: World,
    /// What the store has.
    pub(super) durable: Stored,
    unflushed: VecDeque<Step>,
    /// Begins when nothing runs any more.
    next_act: Option<Act>,
    running: Vec<What>,
    /// End as they will; nothing begins before.
    stopped: Vec<What>,
    waits: Vec<Item>,
    watching: bool,
    offered: bool,
    pub(super) checks: Checks,
    ticks: u32,
    retry_limit: u32,
}

impl Engine {
    pub(super) fn new(start: Start, retry_limit: u32) -> Self {
        let upload = start.direction == Direction::Upload;
        let taken = start.taken && upload;
        let world = World::new(start.parts, taken);
        let source = upload.then(|| world.source());
        let record = fixtures::accepted(source, taken);
        Self {
            transfer: load(record.clone(), vec![], retry_limit),
            world,
            checks: Checks::new(record.clone()),
            durable: (record, BTreeMap::new()),
            unflushed: VecDeque::new(),
            next_act: None,
            running: Vec::new(),
            stopped: Vec::new(),
            waits: Vec::new(),
            watching: false,
            offered: false,
            ticks: 0,
            retry_limit,
        }
    }

    /// The scheduler admits it, as it does with every unfinished transfer.
    pub(super) fn start(&mut self) {
        let phase = self.transfer.record().phase;
        if !self.transfer.run.started && !phase.is_final() && phase != Phase::Paused {
            self.event(Event::Started);
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.ticks += 1;
        self.checks.before(&self.transfer);
        match self.transfer.on_command(command, moment(self.ticks)) {
            Ok(step) => {
                self.checks.after_command(&self.transfer, &step);
                self.take_in(step);
            }
            Err(_) => super::checks::may_refuse(command, self.transfer.record()),
        }
    }

    fn event(&mut self, event: Event) {
        self.ticks += 1;
        self.checks.before(&self.transfer);
        let cause = format!("{event:?}");
        let step = self.transfer.on_event(event, moment(self.ticks));
        self.checks
            .after_event(&self.transfer, &step, &cause, &self.world);
        self.take_in(step);
    }

    /// A stop cuts at once; the rest waits until it is durable.
    fn take_in(&mut self, step: Step) {
        if step.actions.contains(&Action::Stop) {
            self.unflushed
                .iter_mut()
                .for_each(|step| step.actions.clear());
            self.stopped.append(&mut self.running);
            self.next_act = None;
            (self.offered, self.watching) = (false, false);
        }
        self.unflushed.push_back(step);
    }

    /// What was decided becomes durable, and only then is performed.
    pub(super) fn flush(&mut self) {
        while let Some(step) = self.unflushed.pop_front() {
            for change in &step.changes {
                super::checks::apply(&mut self.durable, change);
            }
            for action in step.actions {
                self.release(action);
            }
        }
        self.checks.durable(&self.transfer, &self.durable);
        self.begin();
    }

    fn release(&mut self, action: Action) {
        match action {
            Action::Inspect => self.next_act = Some(Act::Inspect),
            Action::Prepare => self.next_act = Some(Act::Prepare),
            Action::Reconcile => self.next_act = Some(Act::Reconcile),
            Action::Seal => self.next_act = Some(Act::Seal),
            Action::Finish => self.next_act = Some(Act::Finish),
            Action::Discard => self.next_act = Some(Act::Discard),
            Action::OfferParts => self.offered = true,
            Action::Wait { item, .. } => self.waits.push(item),
            Action::WatchFor(_) => self.watching = true,
            Action::Stop | Action::Fix(_) | Action::Note { .. } => {}
        }
    }

    /// An act begins when all others have ended.
    fn begin(&mut self) {
        let idle = self.running.is_empty() && self.stopped.is_empty();
        if !idle || !self.unflushed.is_empty() {
            return;
        }
        if let Some(act) = self.next_act.take() {
            let (record, parts) = &self.durable;
            let asked = record.asked.map(|asked| asked.request);
            if record.spec.direction == Direction::Upload {
                match act {
                    Act::Prepare => assert_eq!(asked, Some(Request::Create)),
                    Act::Finish => {
                        assert_eq!(asked, Some(Request::Complete));
                        let planned = record.plan.map(|plan| plan.parts() as usize);
                        assert_eq!(planned, Some(parts.len()), "completed without all parts");
                    }
                    _ => {}
                }
            }
            self.running.push(What::Act(act));
        }
    }

    /// A worker asks for a part.
    pub(super) fn take(&mut self) {
        self.begin();
        let settled = self.unflushed.is_empty() && self.stopped.is_empty();
        let may = self.offered && settled && self.next_act.is_none();
        let run = &self.transfer.run;
        let gives = self.transfer.record().phase == Phase::Moving && run.started && !run.doubt;
        if gives && !may {
            return;
        }
        let Some(part) = self.transfer.take_part() else {
            return;
        };
        assert!(gives, "a part was given: {:#?}", self.transfer);
        assert!(!self.durable.1.contains_key(&part), "{part} is recorded");
        assert!(
            !self.running.contains(&What::Part(part)),
            "{part} is in flight"
        );
        let record = &self.durable.0;
        if record.spec.direction == Direction::Upload && record.remote.is_none() {
            assert_eq!(record.asked.map(|asked| asked.request), Some(Request::Put));
        }
        self.running.push(What::Part(part));
    }

    /// One act ends, of those that run and those that were stopped.
    pub(super) fn end(&mut self, nth: usize, how: How) {
        let all = self.running.len() + self.stopped.len();
        if all == 0 {
            return;
        }
        let nth = nth % all;
        let (what, cut) = match nth.checked_sub(self.running.len()) {
            None => (self.running.remove(nth), false),
            Some(nth) => (self.stopped.remove(nth), true),
        };
        let event = self.perform(what, how);
        // Of one that was stopped only this counts, as in the engine: all else
        // is asked for again, so a stale answer would come beside the new one.
        let counts = matches!(event, Event::PartMoved(_) | Event::UploadOpened(_));
        if !cut || counts {
            self.event(event);
        }
        self.begin();
    }

    pub(super) fn end_wait(&mut self, nth: usize) {
        if !self.waits.is_empty() {
            let item = self.waits.remove(nth % self.waits.len());
            self.event(Event::WaitOver(item));
        }
    }

    pub(super) fn unpark(&mut self) {
        if std::mem::take(&mut self.watching) {
            self.event(Event::Unparked);
        }
    }

    /// A request beside those of the transfer showed that the store is out of reach.
    pub(super) fn cut(&mut self) {
        let failure = fixtures::offline(Operation::HeadObject);
        self.event(Event::Unreachable(failure));
    }

    pub(super) fn bar(&mut self) {
        self.event(Event::Barred);
    }

    /// The process dies: what was not committed is forgotten, and requests
    /// under way end as they will.
    pub(super) fn crash(&mut self, how: How, power_loss: bool) {
        for what in self
            .running
            .split_off(0)
            .into_iter()
            .chain(self.stopped.split_off(0))
        {
            let _unheard = self.perform(what, how);
        }
        if power_loss {
            self.world.lose_power();
        }
        self.unflushed.clear();
        self.next_act = None;
        self.waits.clear();
        (self.watching, self.offered) = (false, false);
        let (record, parts) = self.durable.clone();
        self.checks.reload(&record, &parts);
        let parts = parts.into_values().collect();
        self.transfer = load(record, parts, self.retry_limit);
    }

    /// A request that was cut off long ago is applied, or never will be.
    pub(super) fn land(&mut self, nth: usize, applied: bool) {
        if !self.world.late.is_empty() {
            let sent = self.world.late.remove(nth % self.world.late.len());
            if applied {
                drop(self.world.apply(sent));
            }
        }
    }

    /// A transfer that runs has something that will move it on.
    pub(super) fn assert_not_stuck(&self) {
        let run = &self.transfer.run;
        let record = self.transfer.record();
        let under_way = !(self.unflushed.is_empty() && self.next_act.is_none());
        let acting = self.running.iter().any(|what| matches!(what, What::Act(_)));
        if !run.started || under_way || acting {
            return;
        }
        let waiting = |item| self.waits.contains(&item);
        let moves_on = match record.phase {
            Phase::Parked(_) => self.watching,
            phase if !phase.runs() => true,
            _ if run.act_backing_off => waiting(Item::Act),
            Phase::Moving if !run.doubt => record.plan.unwrap().numbers().all(|number| {
                self.durable.1.contains_key(&number)
                    || self.running.contains(&What::Part(number))
                    || run.backing_off.contains(&number) && waiting(Item::Part(number))
                    || self.offered && !run.in_flight.contains(&number)
            }),
            _ => false,
        };
        assert!(moves_on, "stuck: {:#?}", self.transfer);
    }
}

/// One that looks a few times only for what may come late.
fn load(record: Record, parts: Vec<PartRow>, retry_limit: u32) -> Transfer {
    Transfer::load(record, parts, retry_limit).with_late_limit(Duration::from_secs(1))
}
