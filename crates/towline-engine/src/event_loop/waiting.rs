//! Waiting for what is outside: the network, credentials, room on a disk, the
//! clock. One request asks for all transfers whether a store is back.

use std::time::Duration;

use towline_core::{
    Event, Item, NetworkClass, Operation, ParkReason, Phase, S3Error, S3ErrorKind, TransferId,
};

use super::{EventLoop, Message};
use crate::live::{ActId, Live};
use crate::site::{self, Found, Sample, Sign, SiteId};

/// A disk and its rights are looked at again at least this often.
const LOCAL_LOOK: Duration = Duration::from_secs(30);

/// A loop that stood still, or a wall clock that leapt, by this much: the
/// machine slept, and what was connected before is connected no more.
const ASLEEP: Duration = Duration::from_secs(10);

/// What does not move for so long after the network changed is asked anew …
const SILENT: Duration = Duration::from_millis(2500);

/// So often it is looked for the silent after a change.
const LOOKS_FOR_SILENT: u32 = 5;

/// … at most this often: a store may be slow, and a network restless.
const SELDOM: Duration = Duration::from_secs(60);

impl EventLoop {
    /// A transfer waits for this to end.
    pub(super) fn watch_for(&mut self, id: TransferId, reason: ParkReason) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let most = self.config.service_check_interval;
        match reason {
            ParkReason::Network | ParkReason::Tls => {
                let site = live.waits_at;
                let sample = sample_of(live);
                let at = self.sites.get(site);
                at.sample = Some(sample);
                let found = at.reach.waited_for(reason);
                self.on_found(site, found);
            }
            // It may have changed before this was durable.
            ParkReason::NetworkClass => self.reconsider(id),
            ParkReason::DiskFull | ParkReason::ReadOnly => {
                let wait = live.next_look(most.min(LOCAL_LOOK));
                let wait = self.machine.random.jitter(wait / 2, wait);
                self.later(wait, Message::LookAgain { id });
            }
            ParkReason::Credentials | ParkReason::Clock | ParkReason::Throttled => {
                let wait = live.next_look(most);
                let wait = self.machine.random.jitter(wait / 2, wait);
                self.later(wait, Message::LookAgain { id });
            }
        }
    }

    /// What a parked transfer waits for may have ended.
    pub(super) fn look_again(&mut self, id: TransferId) {
        self.connect_again(id);
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        match live.transfer.record().phase {
            Phase::Parked(ParkReason::Credentials | ParkReason::Clock) => {
                live.s3.refresh_credentials();
            }
            // Somebody else tells when these are over.
            Phase::Parked(ParkReason::Network | ParkReason::Tls | ParkReason::NetworkClass) => {
                return;
            }
            _ => {}
        }
        self.unpark(id);
    }

    /// Goes on with a parked transfer, unless the network forbids it.
    fn unpark(&mut self, id: TransferId) {
        if let Some(live) = self.live.get_mut(&id) {
            live.waits_at = live.site;
        }
        match self.is_barred(id) {
            true => self.advance(id, Event::Barred),
            false => self.advance(id, Event::Unparked),
        }
    }

    /// Lets a transfer begin; or wait for a network that it may use, or for a
    /// store that is known to be out of reach.
    pub(super) fn admit(&mut self, id: TransferId) {
        if self.is_barred(id) {
            return self.advance(id, Event::Barred);
        }
        let Some(live) = self.live.get(&id) else {
            return;
        };
        let site = self.sites.get(live.site);
        let is_down = site.reach.is_down();
        let waits = Phase::Parked(ParkReason::Network);
        if is_down && live.transfer.record().phase == waits {
            return; // it goes on with the others
        }
        let failure = is_down.then(|| site.unreachable());
        self.advance(id, Event::Started);
        if let Some(failure) = failure {
            self.advance(id, Event::Unreachable(failure));
        }
    }

    pub(super) fn is_barred(&self, id: TransferId) -> bool {
        self.live.get(&id).is_some_and(|live| {
            let options = &live.transfer.record().spec.options;
            !options.network.allows(self.network)
        })
    }

    /// The network changed, or what a transfer may do on it.
    pub(super) fn reconsider(&mut self, id: TransferId) {
        let Some(live) = self.live.get(&id) else {
            return;
        };
        let phase = live.transfer.record().phase;
        match self.is_barred(id) {
            true => self.advance(id, Event::Barred),
            false if phase == Phase::Parked(ParkReason::NetworkClass) => {
                self.advance(id, Event::Unparked);
            }
            false => {}
        }
    }

    /// The network is another one, or is there again: time to look.
    pub(super) fn on_network(&mut self, class: NetworkClass) {
        let is_other = std::mem::replace(&mut self.network, class) != class;
        let held: Vec<TransferId> = self.live.keys().copied().collect();
        held.into_iter().for_each(|id| self.reconsider(id));
        if is_other {
            self.bring_back();
        }
        self.look_at_sites();
        let looks = std::mem::replace(&mut self.looks_for_silent, LOOKS_FOR_SILENT);
        if looks == 0 {
            self.look_for_silent();
        }
    }

    fn look_for_silent(&mut self) {
        let lives = self.live.iter();
        let then = lives.filter_map(|(id, live)| Some((*id, live.signs_of_life()?)));
        self.later(SILENT, Message::StillSilent(then.collect()));
    }

    /// What was under way when the network changed may wait for an answer that
    /// never comes: one that no byte of it has moved since asks again. Of an upload
    /// that is sending nobody can tell: its bytes may be in the system's buffers.
    /// So its store is asked whether it is there.
    pub(super) fn look_at_silent(&mut self, then: Vec<(TransferId, (u64, Vec<ActId>))>) {
        let now = self.machine.clock.now().monotonic;
        let mut doubtful = Vec::new();
        for (id, signs) in then {
            let Some(live) = self.live.get_mut(&id) else {
                continue;
            };
            if live.signs_of_life() != Some(signs) {
                continue;
            }
            if live.is_sending() {
                doubtful.push((id, live.site));
                continue;
            }
            // It must get through in the end, however often the network changes.
            let done = live.transfer.record().bytes_done;
            let lately = |(at, then)| now < at + SELDOM || done == then;
            if live.cut_off.is_some_and(lately) {
                continue;
            }
            live.cut_off = Some((now, done));
            let why = "nothing moved since the network changed";
            let silent = S3Error::new(Operation::HeadObject, S3ErrorKind::Connect, why);
            self.advance(id, Event::Unreachable(silent.into()));
        }
        for (id, site) in doubtful {
            let at = self.sites.get(site);
            if at.reach.is_known_gone() {
                let failure = at.unreachable();
                self.advance(id, Event::Unreachable(failure));
            } else {
                let found = at.reach.doubted();
                self.on_found(site, found);
            }
        }
        self.looks_for_silent -= 1;
        if self.looks_for_silent > 0 {
            self.look_for_silent();
        }
    }

    fn look_at_sites(&mut self) {
        let found: Vec<_> = self
            .sites
            .each()
            .map(|(id, site)| (id, site.reach.hint()))
            .collect();
        for (site, found) in found {
            self.on_found(site, found);
        }
    }

    /// What the end of an act tells of its store, and how many bytes it moved.
    pub(super) fn note_sign(&mut self, id: SiteId, sign: Sign, bytes: u64) {
        let now = self.machine.clock.now().monotonic;
        let site = self.sites.get(id);
        let found = match sign {
            Sign::Nothing => return,
            Sign::Broke => site.reach.broke(),
            Sign::Answered => {
                site.pace.went_well(bytes, now);
                site.reach.answered()
            }
            Sign::Throttled => {
                site.pace.was_too_fast(now);
                site.reach.answered()
            }
        };
        self.on_found(id, found);
    }

    fn on_found(&mut self, id: SiteId, found: Found) {
        match found {
            Found::Nothing => {}
            Found::Ask(wait) => self.ask_later(id, wait),
            Found::Gone(wait) => {
                self.ask_later(id, wait);
                self.let_wait(id, |_| true);
            }
            // What still runs may have a connection that works.
            Found::StillGone(wait) => {
                self.ask_later(id, wait);
                self.let_wait(id, Live::is_idle);
            }
            Found::Back => {
                for transfer in self.those_of(id) {
                    let held = self.live.get_mut(&transfer);
                    let held = held.map(|live| std::mem::take(&mut live.held));
                    for event in held.unwrap_or_default() {
                        self.advance(transfer, event);
                    }
                    let phase = self.live.get(&transfer);
                    let phase = phase.map(|live| live.transfer.record().phase);
                    if let Some(Phase::Parked(ParkReason::Network | ParkReason::Tls)) = phase {
                        self.unpark(transfer);
                    }
                }
                self.bring_back();
            }
        }
    }

    /// Those of its transfers that need a store wait until it is back.
    fn let_wait(&mut self, site: SiteId, which: impl Fn(&Live) -> bool) {
        for id in self.those_of(site) {
            let Some(live) = self.live.get_mut(&id) else {
                continue;
            };
            if !live.needs_store() || !which(live) {
                continue;
            }
            // It was the outage.
            for event in std::mem::take(&mut live.held) {
                self.blame_outage(id, site, event);
            }
            let failure = self.sites.get(site).unreachable();
            self.advance(id, Event::Unreachable(failure));
        }
    }

    /// An attempt got no answer. If that would end its transfer, it is first
    /// found out whether anybody is there to answer: an outage costs nothing.
    pub(super) fn on_broken(&mut self, id: TransferId, site: SiteId, event: Event) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        // Whatever else is kept open may be dead as well.
        live.s3.reset_connections();
        let ends = match &event {
            Event::PartFailed { part, failure } => {
                live.transfer.would_end(Item::Part(*part), failure)
            }
            Event::ActFailed(failure) => live.transfer.would_end(Item::Act, failure),
            _ => false,
        };
        let at = self.sites.get(site);
        if !ends {
            self.advance(id, event);
        } else if at.reach.is_down() {
            self.blame_outage(id, site, event);
        } else {
            live.held.push(event);
            let found = at.reach.doubted();
            self.on_found(site, found);
        }
    }

    /// A failure for which nothing but the outage is to blame.
    fn blame_outage(&mut self, id: TransferId, site: SiteId, event: Event) {
        let failure = self.sites.get(site).unreachable();
        self.advance(
            id,
            match event {
                Event::PartFailed { part, .. } => Event::PartFailed { part, failure },
                _ => Event::ActFailed(failure),
            },
        );
    }

    /// Who waits for a store, or would.
    fn those_of(&self, site: SiteId) -> Vec<TransferId> {
        let of_it = self.live.iter().filter(|(_, live)| live.waits_at == site);
        of_it.map(|(id, _)| *id).collect()
    }

    fn ask_later(&mut self, site: SiteId, wait: Duration) {
        let wait = wait.min(self.config.service_check_interval);
        let question = self.sites.get(site).reach.put_off();
        let wait = self.machine.random.jitter(wait / 2, wait);
        self.later(wait, Message::Probe { site, question });
    }

    /// Asks whether a store answers, on a connection of its own.
    pub(super) fn probe(&mut self, site: SiteId, question: u64) {
        if !self.sites.get(site).reach.is_due(question) || self.closing.is_some() || self.broken {
            return;
        }
        let live = self.live.values().find(|live| live.waits_at == site);
        let live = live.map(|live| sample_of(live));
        let at = self.sites.get(site);
        at.sample = live.or(at.sample.take().filter(|_| !self.aside.is_empty()));
        let Some(sample) = at.sample.clone() else {
            return at.reach.forget();
        };
        sample.s3.reset_connections();
        let inbox = self.inbox.clone();
        self.machine.tasks.spawn(async move {
            let result = site::probe(&sample).await;
            let _ = inbox.send(Message::Probed {
                site,
                question,
                result,
            });
        });
    }

    pub(super) fn on_probed(&mut self, site: SiteId, question: u64, result: Result<(), S3Error>) {
        let at = self.sites.get(site);
        let found = match result {
            Ok(()) => at.reach.answered(),
            Err(error) => {
                tracing::debug!(%error, "nobody answers yet");
                at.why = Some((error.kind, error.message));
                at.reach.unanswered(question)
            }
        };
        self.on_found(site, found);
    }

    /// Notices that the machine slept.
    pub(super) fn notice_sleep(&mut self) {
        let now = self.machine.clock.now();
        let before = std::mem::replace(&mut self.looked_at, now);
        let passed = now.monotonic.saturating_sub(before.monotonic);
        let wall = now.wall.as_millis() - before.wall.as_millis();
        let leapt = wall.abs_diff(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX));
        let asleep = ASLEEP + self.config.progress_interval; // how often this looks
        if passed < asleep && Duration::from_millis(leapt) < ASLEEP {
            return;
        }
        tracing::info!(
            ?passed,
            leapt_ms = leapt,
            "the machine slept, or its clock was set"
        );
        self.live
            .values()
            .for_each(|live| live.s3.reset_connections());
        self.look_at_sites();
    }
}

/// What the store that a transfer waits for can be asked for.
fn sample_of(live: &Live) -> Sample {
    let (record, s3) = (live.transfer.record(), live.s3.clone());
    match live.waits_at == live.site {
        true => Sample::of(record, s3),
        false => Sample::of_origin(record, s3),
    }
}
