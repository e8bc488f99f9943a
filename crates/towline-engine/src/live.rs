//! One transfer that the engine holds: its state machine and its acts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use towline_core::{Event, PartNumber, Phase, Priority, S3, Status, Transfer};

use crate::act::Act;
use crate::download;
use crate::event_loop::Reply;
use crate::profile::Shared;
use crate::progress::Progress;
use crate::site::SiteId;
use crate::snapshot::Snapshot;
use crate::stream::Stream;

/// Tells one run of an act from all others.
pub(crate) type ActId = u64;

/// A transfer in the engine's hands.
pub(crate) struct Live {
    pub(crate) transfer: Transfer,
    pub(crate) s3: Arc<dyn S3>,
    pub(crate) profile: Arc<Shared>,
    pub(crate) site: SiteId,
    /// Which store its last failure was of: its own or, of a copy, its source's. That
    /// one it waits for.
    pub(crate) waits_at: SiteId,
    /// Among whom it takes its turns.
    pub(crate) priority: Priority,
    pub(crate) progress: Arc<Progress>,
    pub(crate) open: Arc<download::Open>,
    /// Where its bytes come from or go to, where that is no file.
    pub(crate) stream: Option<Stream>,
    /// What the log says of it is said in here.
    pub(crate) span: tracing::Span,
    /// The state that the log was told.
    logged: Option<Status>,
    acts: BTreeMap<ActId, Running>,
    /// Failures that would end it, and may be the network's: they are judged
    /// once it is known whether the store is there.
    pub(crate) held: Vec<Event>,
    /// An act that begins once all that were stopped have ended and a slot is free.
    pub(crate) next_act: Option<Act>,
    /// Parts may be taken.
    pub(crate) offering: bool,
    /// The scheduler has it among those that may begin something.
    pub(crate) takes_turns: bool,
    /// The place of its last step in the writer's order.
    pub(crate) last_step: u64,
    /// How often in a row it was parked, for the time until the next look.
    pub(crate) parked: u32,
    /// When it was cut off as it was silent after a change of the network, and
    /// how many bytes were recorded then.
    pub(crate) cut_off: Option<(Duration, u64)>,
    /// When a part was last given up without an answer: S3 may be at work with it.
    pub(crate) unanswered: Option<Duration>,
    /// The most bytes that were shown in this generation.
    pub(crate) shown: (u32, u64),
    /// Answers to those who paused it, once nothing of it runs any more.
    when_idle: Vec<(Reply, bool)>,
}

struct Running {
    act: Act,
    stop: watch::Sender<bool>,
    stopped: bool,
}

impl Live {
    pub(crate) fn new(
        transfer: Transfer,
        s3: Arc<dyn S3>,
        profile: Arc<Shared>,
        site: SiteId,
    ) -> Self {
        let (record, spec) = (transfer.record(), &transfer.record().spec);
        let span = tracing::info_span!(
            "transfer",
            transfer = %record.id,
            r#type = spec.direction.as_str(),
            bucket = spec.object.bucket.as_str(),
            key = spec.object.key.as_str(),
        );
        Self {
            priority: spec.options.priority,
            span,
            logged: None,
            transfer,
            s3,
            profile,
            site,
            waits_at: site,
            progress: Arc::default(),
            open: Arc::default(),
            stream: None,
            acts: BTreeMap::new(),
            held: Vec::new(),
            next_act: None,
            offering: false,
            takes_turns: false,
            last_step: 0,
            parked: 0,
            cut_off: None,
            unanswered: None,
            shown: (0, 0),
            when_idle: Vec::new(),
        }
    }

    /// Answers a command whose change is durable. Who pauses a transfer hears
    /// that it is done when nothing of it runs any more and all that it has
    /// moved is recorded: when it comes to rest.
    pub(crate) fn answer(&mut self, reply: Reply, changed: bool) {
        self.when_idle.push((reply, changed));
        if self.transfer.record().phase != Phase::Paused {
            self.answer_all();
        }
    }

    pub(crate) fn answer_all(&mut self) {
        for (reply, changed) in self.when_idle.drain(..) {
            let _ = reply.send(Ok(changed));
        }
    }

    /// Says in the log when its state has changed.
    pub(crate) fn log_state(&mut self) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let now = self.transfer.status();
        if self.logged == Some(now) {
            return;
        }
        self.logged = Some(now);
        let record = self.transfer.record();
        let error = record.error.as_ref().map(|error| error.message.as_str());
        self.span.in_scope(|| {
            tracing::info!(
                state = now.state.as_str(),
                reason = now.reason.map(tracing::field::debug),
                generation = record.generation,
                bytes = record.bytes_done,
                error,
                "the state changed"
            );
        });
    }

    /// Neither at rest nor waiting for a cause outside to end.
    pub(crate) fn is_under_way(&self) -> bool {
        let phase = self.transfer.record().phase;
        !(phase.is_final() || matches!(phase, Phase::Paused | Phase::Parked(_)))
    }

    pub(crate) fn began(&mut self, id: ActId, act: Act, stop: watch::Sender<bool>) {
        self.acts.insert(
            id,
            Running {
                act,
                stop,
                stopped: false,
            },
        );
    }

    /// Forgets an act that has ended; tells what it was and whether it had been
    /// told to.
    pub(crate) fn ended(&mut self, id: ActId) -> Option<(Act, bool)> {
        self.acts
            .remove(&id)
            .map(|running| (running.act, running.stopped))
    }

    /// Tells every act to end.
    pub(crate) fn stop(&mut self) {
        self.offering = false;
        self.next_act = None;
        self.held.clear();
        for running in self.acts.values_mut() {
            running.stopped = true;
            let _ = running.stop.send(true);
        }
    }

    /// Tells every act to end, and who waits for an answer that none will come.
    pub(crate) fn give_up(&mut self) {
        self.stop();
        self.when_idle.clear();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.acts.is_empty()
    }

    /// Whether it has anything to begin, now or once what keeps it from that is over.
    pub(crate) fn has_more_to_begin(&self) -> bool {
        self.next_act.is_some() || (self.offering && self.transfer.next_part().is_some())
    }

    /// Whether the act that waits can begin now. None takes a slot to wait for
    /// somebody who writes slowly.
    pub(crate) fn act_is_ready(&self) -> bool {
        let inspects = self.next_act == Some(Act::Inspect);
        let waits = |stream: &Stream| inspects && !stream.has_begun();
        self.next_act.is_some() && self.acts.is_empty() && !self.stream.as_ref().is_some_and(waits)
    }

    /// The next part to move, if it may have another one under way.
    pub(crate) fn take_part(&mut self, limit: usize) -> Option<PartNumber> {
        // What has just been waited for is tried with one request.
        let limit = if self.parked > 0 { 1 } else { limit };
        if !self.offering || self.acts.len() >= limit || self.acts.values().any(|a| a.stopped) {
            return None;
        }
        if let Some(stream) = &self.stream
            && !stream.is_ready(self.transfer.next_part()?)
        {
            return None;
        }
        self.transfer.take_part()
    }

    /// Whether it would have another part under way, but for this limit.
    pub(crate) fn has_parts_beyond(&self, limit: usize) -> bool {
        let may_begin = self.offering && self.parked == 0;
        may_begin && self.acts.len() >= limit && self.transfer.next_part().is_some()
    }

    /// Changes when a byte moves, and when an act begins or ends; `None` when
    /// nothing of it waits for a store, or a cap on bandwidth keeps it waiting.
    pub(crate) fn signs_of_life(&self) -> Option<(u64, Vec<ActId>)> {
        let mut acts: Vec<ActId> = self.acts.keys().copied().collect();
        acts.sort_unstable();
        (self.needs_store() && !acts.is_empty() && !self.progress.is_held())
            .then(|| (self.progress.ever(), acts))
    }

    /// Whether it sends bytes, or has them copied: what is moved is not seen here.
    pub(crate) fn is_sending(&self) -> bool {
        let record = self.transfer.record();
        record.spec.direction.makes_object() && record.phase == Phase::Moving
    }

    /// Whether what it does next is asked of its store: what a download has to do
    /// with a file that is whole is not.
    pub(crate) fn needs_store(&self) -> bool {
        let record = self.transfer.record();
        let up = record.spec.direction.makes_object();
        up || matches!(record.phase, Phase::Preparing | Phase::Moving)
    }

    /// How long until a parked transfer is looked at again.
    pub(crate) fn next_look(&mut self, most: Duration) -> Duration {
        let wait = Duration::from_millis(500).saturating_mul(1 << self.parked.min(10));
        self.parked += 1;
        wait.min(most)
    }

    /// Waits for a cause outside to end, and nothing of it runs.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.transfer.record().phase, Phase::Parked(_))
    }

    /// The transfer as it is to be shown: bytes never go down within a
    /// generation, but for a pause, which gives up what was under way.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let record = self.transfer.record().clone();
        let paused = record.phase == Phase::Paused;
        if paused || self.shown.0 != record.generation {
            self.shown = (record.generation, 0);
        }
        // Until the object is known they may be of one that is not as it was listed.
        let counts = !paused && record.phase != Phase::Preparing;
        let under_way = if counts { self.progress.in_flight() } else { 0 };
        let moved = record.bytes_done + under_way;
        self.shown.1 = self.shown.1.max(moved);
        Snapshot {
            status: self.transfer.status(),
            bytes_transferred: self.shown.1,
            store_answered: self.profile.has_worked(),
            record,
        }
        .settled()
    }
}
