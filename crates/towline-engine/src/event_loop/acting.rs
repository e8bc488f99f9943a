//! Gives slots to the acts of transfers, and hears of their end.

use std::sync::Arc;

use tokio::sync::mpsc;
use towline_core::{Direction, Event, Failure, TransferId};
use tracing::Instrument as _;

use super::{EventLoop, Message};
use crate::act::{self, Act, Context, Stop};
use crate::live::ActId;
use crate::scheduler::Round;
use crate::site::Sign;

impl EventLoop {
    pub(super) fn schedule(&mut self) {
        if self.closing.is_some() || self.broken {
            return;
        }
        let mut moved = true;
        while moved && self.scheduler.has_free_slot() && self.sites.have_room() {
            moved = false;
            for round in self.scheduler.rounds(self.machine.clock.monotonic()) {
                moved |= self.offer_slots(round);
            }
        }
        for (_, site) in self.sites.each() {
            site.pace.handed_out();
        }
    }

    /// Those of which nothing runs come first: so a small one never waits for
    /// more than one part of a huge one of its priority.
    fn offer_slots(&mut self, round: Round) -> bool {
        let mut left = round.slots;
        let mut busy = Vec::new();
        for id in round.turns {
            if left == 0 || !self.scheduler.has_free_slot() || !self.sites.have_room() {
                return left < round.slots;
            }
            match self.live.get(&id) {
                Some(live) if !live.has_more_to_begin() => self.skip_turns(id),
                Some(live) if live.is_idle() => left -= usize::from(self.offer_slot(id)),
                Some(_) => busy.push(id),
                None => {}
            }
        }
        for id in busy {
            if left == 0 || !self.scheduler.has_free_slot() || !self.sites.have_room() {
                break;
            }
            left -= usize::from(self.offer_slot(id));
        }
        left < round.slots
    }

    /// Something may have come that a transfer can begin.
    pub(super) fn take_turns(&mut self, id: TransferId) {
        if let Some(live) = self.live.get_mut(&id)
            && !live.takes_turns
            && live.has_more_to_begin()
        {
            live.takes_turns = true;
            self.scheduler.join(id, live.priority);
        }
    }

    /// So that nobody looks at hundreds that only wait for an answer.
    fn skip_turns(&mut self, id: TransferId) {
        if let Some(live) = self.live.get_mut(&id)
            && std::mem::take(&mut live.takes_turns)
        {
            self.scheduler.leave(id, live.priority);
        }
    }

    /// Begins with an act of a transfer, if there is one that can begin.
    fn offer_slot(&mut self, id: TransferId) -> bool {
        let Some(live) = self.live.get_mut(&id) else {
            return false;
        };
        let site = self.sites.get(live.site);
        if !site.pace.has_room() || (site.reach.is_in_question() && live.needs_store()) {
            return false;
        }
        let is_last = site.pace.has_one_left() || self.scheduler.has_one_slot_left();
        let direction = live.transfer.record().spec.direction;
        let is_ready = live.act_is_ready();
        let is_local = is_ready && live.next_act.is_some_and(|act| !act.talks_to_s3(direction));
        if self.awaits_request && !is_local {
            return false;
        }
        let act = match is_ready {
            true => live.next_act.take(),
            // The last slot is for none that has others and is slowed by a cap.
            false if is_last && !live.is_idle() && self.caps.slow(&live.transfer.record().spec) => {
                None
            }
            false => {
                let set = self.parts_per_transfer;
                let most = set.unwrap_or_else(|| site.pace.parts());
                let part = live.take_part(most);
                if part.is_none() && set.is_none() && live.has_parts_beyond(most) {
                    site.pace.holds_back();
                }
                part.map(Act::Part)
            }
        };
        let Some(act) = act else {
            return false;
        };
        self.begin(id, act);
        if act.talks_to_s3(direction)
            && let Err(wait) = self.request_rate.begun()
        {
            self.awaits_request = true;
            self.later(wait, Message::MayRequest);
        }
        true
    }

    pub(super) fn begin(&mut self, id: TransferId, act: Act) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let (stopper, stop) = Stop::new();
        let context = Context {
            record: live.transfer.record().clone(),
            parts: match act {
                Act::Part(_) => Vec::new(),
                _ => live.transfer.parts().cloned().collect(),
            },
            store: Arc::clone(&self.store),
            s3: Arc::clone(&live.s3),
            profile: Arc::clone(&live.profile),
            budget: self.budget.clone(),
            caps: self.caps.clone(),
            clock: self.machine.clock,
            random: self.machine.random.clone(),
            files: self.machine.files.clone(),
            config: Arc::clone(&self.config),
            progress: Arc::clone(&live.progress),
            open: Arc::clone(&live.open),
            stream: live.stream.clone(),
            stop,
            unanswered: live.unanswered,
            inbox: self.inbox.clone(),
        };
        self.next_act += 1;
        let part = match act {
            Act::Part(part) => Some(part.get()),
            _ => None,
        };
        let attempt = tracing::info_span!(
            parent: &live.span, "attempt", act = act.as_str(), part, attempt = self.next_act
        );
        attempt.in_scope(|| tracing::debug!("act begins"));
        let number = self.next_act;
        live.began(number, act, stopper);
        self.acts.insert(number, live.site);
        self.sites.get(live.site).pace.take();
        match act.talks_to_s3(live.transfer.record().spec.direction) {
            true => {
                let now = self.machine.clock.monotonic();
                self.scheduler.take_slot(live.priority, now);
            }
            false => self.scheduler.take_slot_aside(),
        }
        let end = EndOfAct {
            inbox: self.inbox.clone(),
            id,
            act: number,
            event: None,
        };
        let work = async move {
            let mut end = end;
            end.event = act::perform(act, context).await;
        };
        // It is 8 KiB large, and a runtime moves what it is given ten times.
        self.machine.tasks.spawn(Box::pin(work.instrument(attempt)));
    }

    pub(super) fn on_act_ended(&mut self, id: TransferId, act: ActId, event: Option<Event>) {
        self.scheduler.give_back();
        let site = self.acts.remove(&act);
        if let Some(site) = site {
            self.sites.get(site).pace.give_back();
        }
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let Some((act, stopped)) = live.ended(act) else {
            return;
        };
        if matches!(act, Act::Part(_)) && matches!(event, None | Some(Event::PartFailed { .. })) {
            live.unanswered = Some(self.machine.clock.monotonic());
        }
        // What was stopped is asked for again; but a part that landed counts, and an
        // object in one request, a file that has its name, and the name of an upload,
        // which is known nowhere else.
        let landed = match &event {
            Some(Event::PartMoved(_) | Event::UploadOpened(_) | Event::Fetched { .. }) => true,
            Some(Event::Finished(_)) => {
                let direction = live.transfer.record().spec.direction;
                direction == Direction::Download || matches!(act, Act::Part(_))
            }
            _ => false,
        };
        let counts = !stopped || landed;
        if let Some(event) = event.filter(|_| counts) {
            let sign = match failure_of(&event) {
                Some(failure) => Sign::of(failure),
                None if act.talks_to_s3(live.transfer.record().spec.direction) => {
                    live.profile.note_worked();
                    live.parked = 0;
                    Sign::Answered
                }
                None => Sign::Nothing,
            };
            match failure_of(&event) {
                Some(failure) => {
                    self.meter.failed(failure);
                    if failure.lacks_descriptors() {
                        self.scheduler.hold_back();
                    }
                }
                None => self.scheduler.ease(),
            }
            let site = match failure_of(&event) {
                Some(failure) if failure.is_of_origin() => {
                    Some(self.sites.of_origin(live.transfer.record()))
                }
                _ => site,
            };
            live.waits_at = site.unwrap_or(live.site);
            let bytes = match &event {
                Event::PartMoved(part) => part.len,
                Event::Fetched { size, .. } => *size,
                Event::Finished(_) if matches!(act, Act::Part(_)) => {
                    let plan = live.transfer.record().plan;
                    plan.map_or(0, |plan| plan.size())
                }
                _ => 0,
            };
            match (sign, site) {
                (Sign::Broke, Some(site)) => self.on_broken(id, site, event),
                _ => self.advance(id, event),
            }
            if let Some(site) = site {
                self.note_sign(site, sign, bytes);
            }
        }
        self.release(id);
    }
}

/// Why an act did not succeed.
fn failure_of(event: &Event) -> Option<&Failure> {
    match event {
        Event::ActFailed(failure) | Event::PartFailed { failure, .. } => Some(failure),
        _ => None,
    }
}

/// Reports the end of an act, even of one that panicked.
struct EndOfAct {
    inbox: mpsc::UnboundedSender<Message>,
    id: TransferId,
    act: ActId,
    event: Option<Event>,
}

impl Drop for EndOfAct {
    fn drop(&mut self) {
        let event = self.event.take().or_else(|| {
            let why = "an internal error ended the attempt".to_owned();
            std::thread::panicking()
                .then(|| Event::ActFailed(towline_core::LocalFailure::Connection { why }.into()))
        });
        let _ = self.inbox.send(Message::ActEnded {
            id: self.id,
            act: self.act,
            event,
        });
    }
}
