//! The loop: takes what happened, asks the state machine, hands the changes to
//! the writer, and performs the actions once they are durable. It never waits.

mod acting;
mod holding;
mod lanes;
mod waiting;
mod watching;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use towline_core::{
    Action, Command, Connector, ErrorRecord, Event, Fix, Incident, Item, NetworkClass, Now,
    PartNumber, PartRow, Priority, Record, S3Error, Step, Store, StoreError, TransferId,
};

use self::lanes::Lanes;
use crate::act::Act;
use crate::bandwidth::Caps;
use crate::budget::Budget;
use crate::config::Config;
use crate::descriptors;
use crate::engine::EngineError;
use crate::live::{ActId, Live};
use crate::machine::Machine;
use crate::meter::Meter;
use crate::profile::Profiles;
use crate::request_rate::RequestRate;
use crate::scheduler::Scheduler;
use crate::site::{SiteId, Sites};
use crate::snapshot::{Snapshot, Watch};
use crate::stream::Stream;
use crate::writer::Writer;

/// What the loop is told.
pub(crate) enum Message {
    /// Transfers were recorded.
    Added(Vec<Record>),
    /// A transfer is about to be recorded that will have a stream.
    StreamComing,
    /// A transfer that was recorded has this stream.
    Stream(TransferId, Stream),
    /// One that was coming is there, or will not be.
    StreamCame,
    /// A stream has bytes, or room.
    Wake,
    /// Another request may be sent.
    MayRequest,
    /// From now on at most so many requests, and parts of one transfer, at one
    /// time; `None` leaves a limit as it is.
    Limits {
        requests: Option<usize>,
        parts: Option<usize>,
    },
    /// Somebody steers a transfer.
    Command {
        id: TransferId,
        command: Command,
        reply: Reply,
    },
    /// A transfer that was not held was read, to be steered.
    Loaded {
        id: TransferId,
        read: Box<Result<(Record, Vec<PartRow>), StoreError>>,
    },
    /// The next unfinished transfers of a priority were read.
    Backlog(Priority, Result<Vec<(Record, Vec<PartRow>)>, StoreError>),
    /// Somebody wants these carried; credentials may have come for them.
    Carry(Vec<TransferId>),
    /// An act is over; without an event when it was cut short.
    ActEnded {
        id: TransferId,
        act: ActId,
        event: Option<Event>,
    },
    /// All steps up to this place are durable, or none will be any more.
    Flushed {
        upto: u64,
        result: Result<(), StoreError>,
        /// These were removed from the store before; their steps were not kept.
        gone: Vec<TransferId>,
    },
    /// An act learned that its store lacks something.
    Learned { id: TransferId, error: ErrorRecord },
    /// A wait is over.
    WaitOver { id: TransferId, item: Item },
    /// A parked transfer is to be looked at again.
    LookAgain { id: TransferId },
    /// It is time to ask whether a store answers.
    Probe { site: SiteId, question: u64 },
    /// Somebody answered, or nobody did.
    Probed {
        site: SiteId,
        question: u64,
        result: Result<(), S3Error>,
    },
    /// The network changed, and is of this kind now.
    Network(NetworkClass),
    /// Some time has passed since the network changed; so these were then.
    StillSilent(Vec<(TransferId, (u64, Vec<ActId>))>),
    /// Somebody wants to follow a transfer, which its store has like this.
    Watch {
        at_rest: Box<Snapshot>,
        reply: oneshot::Sender<Watch>,
    },
    /// The store has this of a transfer that somebody follows.
    Refresh(Box<Snapshot>),
    /// Somebody wants to see these, which the store has like this.
    Look {
        records: Vec<Record>,
        reply: oneshot::Sender<Vec<Snapshot>>,
    },
    /// Somebody wants to see which parts of a transfer are being moved.
    Parts {
        id: TransferId,
        reply: oneshot::Sender<BTreeMap<PartNumber, u64>>,
    },
    /// Somebody wants to know how many are in progress, and how many wait for
    /// the network.
    Tally(oneshot::Sender<(u64, u64)>),
    /// Somebody wants to see all that are under way.
    UnderWay(oneshot::Sender<Vec<Snapshot>>),
    /// The store changed without the loop's doing.
    StoreChanged,
    /// The engine is to end.
    Close { reply: oneshot::Sender<()> },
}

/// The answer to a command: whether anything had to change.
pub(crate) type Reply = oneshot::Sender<Result<bool, EngineError>>;

pub(crate) struct EventLoop {
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    config: Arc<Config>,
    machine: Machine,
    meter: Arc<Meter>,
    budget: Budget,
    caps: Caps,
    request_rate: RequestRate,
    /// Something would begin if another request might be sent, and is told so.
    awaits_request: bool,
    profiles: Profiles,
    inbox: mpsc::UnboundedSender<Message>,
    writer: Writer,
    scheduler: Scheduler,
    sites: Sites,
    network: NetworkClass,
    /// How often it is still looked for silent transfers after a change.
    looks_for_silent: u32,
    /// When the loop last looked at the clocks.
    looked_at: Now,
    /// `None` is automatic.
    parts_per_transfer: Option<usize>,
    /// In an order, so that a seed of the simulation repeats all that follows.
    /// Boxed: a tree moves what stands beside what comes and goes.
    live: BTreeMap<TransferId, Box<Live>>,
    lanes: Lanes,
    watchers: BTreeMap<TransferId, watch::Sender<Snapshot>>,
    /// Counts what became durable, for those who follow the store.
    durable: watch::Sender<u64>,
    pending: VecDeque<Pending>,
    flushed: u64,
    next_act: ActId,
    /// To which store the acts that run talk.
    acts: HashMap<ActId, SiteId>,
    /// Parked ones that were let go to make room.
    aside: Vec<(TransferId, Priority)>,
    /// Of those, what was shown in which generation where less is recorded.
    shown_aside: BTreeMap<TransferId, (u32, u64)>,
    loads: HashMap<TransferId, Load>,
    /// Of the unfinished transfers of this process that have one.
    streams: BTreeMap<TransferId, Stream>,
    coming: Coming,
    closing: Option<oneshot::Sender<()>>,
    broken: bool,
}

/// Actions whose changes are not durable yet.
struct Pending {
    place: u64,
    id: TransferId,
    actions: Vec<Action>,
    reply: Option<(Reply, Result<bool, EngineError>)>,
}

/// Streams that are not here yet, of transfers that may be in the store already.
#[derive(Default)]
struct Coming {
    streams: usize,
    /// Read meanwhile without a stream: theirs may be one of those.
    passed_over: Vec<TransferId>,
}

/// A transfer that is being read, to be steered or carried.
#[derive(Default)]
struct Load {
    /// What is asked of it, in order.
    commands: Vec<(Command, Reply)>,
    /// It is to go on if it is unfinished.
    carry: bool,
    /// It was held meanwhile, so what is read may be out of date.
    stale: bool,
}

impl EventLoop {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
        inbox: mpsc::UnboundedSender<Message>,
        left_out: Option<TransferId>,
        durable: watch::Sender<u64>,
        machine: Machine,
    ) -> Self {
        let requests = descriptors::requests_of(&config);
        let meter = Arc::<Meter>::default();
        let (tasks, counts) = (&machine.tasks, Arc::clone(&meter));
        let writer = Writer::start(Arc::clone(&store), inbox.clone(), tasks, counts);
        Self {
            store,
            connector,
            meter,
            budget: Budget::new(config.byte_budget),
            caps: Caps::new(config.bandwidth, machine.clock),
            request_rate: RequestRate::new(config.request_rate, machine.clock),
            awaits_request: false,
            scheduler: Scheduler::new(*requests.end()),
            sites: Sites::new(requests),
            network: NetworkClass::default(),
            looks_for_silent: 0,
            looked_at: machine.clock.now(),
            machine,
            parts_per_transfer: config.parts_per_transfer.map(|parts| parts.max(1)),
            config: Arc::new(config),
            profiles: Profiles::default(),
            inbox,
            writer,
            live: BTreeMap::new(),
            lanes: Lanes::new(left_out),
            watchers: BTreeMap::new(),
            durable,
            pending: VecDeque::new(),
            flushed: 0,
            next_act: 0,
            acts: HashMap::new(),
            aside: Vec::new(),
            shown_aside: BTreeMap::new(),
            loads: HashMap::new(),
            streams: BTreeMap::new(),
            coming: Coming::default(),
            closing: None,
            broken: false,
        }
    }

    /// Where what it does is counted.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// The cap on its requests; it may be changed at any time.
    pub(crate) fn request_rate(&self) -> RequestRate {
        self.request_rate.clone()
    }

    /// The caps on what it moves; they may be changed at any time.
    pub(crate) fn caps(&self) -> Caps {
        self.caps.clone()
    }

    pub(crate) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut ticks = tokio::time::interval(self.config.progress_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.load_backlog();
        loop {
            tokio::select! {
                biased; // a tick is seldom, so it holds up no message
                _ = ticks.tick() => self.on_tick(),
                message = messages.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
            }
            while let Ok(message) = messages.try_recv() {
                self.on_message(message);
            }
            self.schedule();
            if self.is_closed() {
                if let Some(reply) = self.closing.take() {
                    let _ = reply.send(());
                }
                return;
            }
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Added(records) => self.on_added(records),
            Message::StreamComing => self.coming.streams += 1,
            Message::Stream(id, stream) => self.on_stream(id, stream),
            Message::StreamCame => self.on_stream_came(),
            Message::Wake => {} // what can be done now is looked for anyway
            Message::MayRequest => self.awaits_request = false,
            Message::Limits { requests, parts } => {
                if let Some(requests) = requests {
                    self.scheduler.set_limit(requests);
                    self.sites.set_limit(requests);
                }
                self.parts_per_transfer = parts.or(self.parts_per_transfer);
            }
            Message::Command { id, command, reply } => self.on_command(id, command, reply),
            Message::Loaded { id, read } => self.on_loaded(id, *read),
            Message::Backlog(priority, page) => self.on_backlog(priority, page),
            Message::Carry(ids) => self.on_carry(ids),
            Message::ActEnded { id, act, event } => self.on_act_ended(id, act, event),
            Message::Flushed { upto, result, gone } => {
                gone.into_iter().for_each(|id| self.forget(id));
                self.on_flushed(upto, result);
            }
            Message::Learned { id, error } => {
                let mut step = Step::default();
                step.actions.push(Action::Note { part: None, error });
                self.take(id, step, None);
            }
            Message::WaitOver { id, item } => {
                towline_core::failpoint!("wait.over");
                self.advance(id, Event::WaitOver(item));
            }
            Message::LookAgain { id } => self.look_again(id),
            Message::Probe { site, question } => self.probe(site, question),
            Message::Probed {
                site,
                question,
                result,
            } => self.on_probed(site, question, result),
            Message::Network(class) => self.on_network(class),
            Message::StillSilent(then) => self.look_at_silent(then),
            Message::Watch { at_rest, reply } => self.on_watch(*at_rest, reply),
            Message::Refresh(snapshot) => self.on_refresh(*snapshot),
            Message::Look { records, reply } => self.on_look(records, reply),
            Message::Parts { id, reply } => self.on_parts(id, reply),
            Message::Tally(reply) => self.on_tally(reply),
            Message::UnderWay(reply) => self.on_under_way(reply),
            Message::StoreChanged => self.tell_durable(),
            Message::Close { reply } => {
                towline_core::failpoint!("close.begins");
                self.closing = Some(reply);
                self.live.values_mut().for_each(|live| live.stop());
                self.close_streams();
            }
        }
    }

    fn on_command(&mut self, id: TransferId, command: Command, reply: Reply) {
        if self.broken || self.closing.is_some() {
            let _ = reply.send(Err(EngineError::Closed));
            return;
        }
        let Some(live) = self.live.get_mut(&id) else {
            return self.load_for(id, |load| load.commands.push((command, reply)));
        };
        let was_parked = live.is_parked();
        let now = self.machine.clock.now_at(&*live.s3);
        let done = live.transfer.on_command(command, now);
        let is_parked = live.is_parked();
        self.lanes
            .of(live.priority)
            .count_parked(was_parked, is_parked);
        match done {
            Ok(step) => {
                let changed = step != Step::default();
                self.take(id, step, Some((reply, changed)));
                if self
                    .live
                    .get(&id)
                    .is_some_and(|live| !live.transfer.is_started())
                {
                    self.admit(id);
                }
                match command {
                    Command::AllowOn(_) => self.reconsider(id),
                    Command::Prioritize(_) => self.change_lane(id),
                    _ => {}
                }
            }
            // Who hears that it has ended finds it so in the store too.
            Err(refused) => {
                let place = live.last_step;
                self.when_durable(Pending {
                    place,
                    id,
                    actions: Vec::new(),
                    reply: Some((reply, Err(refused.into()))),
                });
            }
        }
    }

    fn advance(&mut self, id: TransferId, event: Event) {
        let landed = matches!(
            event,
            Event::PartMoved(_) | Event::UploadOpened(_) | Event::Finished(_)
        );
        if self.closing.is_some() && !landed {
            return;
        }
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let now = self.machine.clock.now_at(&*live.s3);
        live.span.in_scope(|| tracing::debug!(?event, "event"));
        let was_parked = live.is_parked();
        let step = live.transfer.on_event(event, now);
        let is_parked = live.is_parked();
        self.lanes
            .of(live.priority)
            .count_parked(was_parked, is_parked);
        self.take(id, step, None);
    }

    /// Hands a step's changes to the writer; its actions wait for them.
    fn take(&mut self, id: TransferId, step: Step, reply: Option<(Reply, bool)>) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let Step {
            changes,
            mut actions,
        } = step;
        if actions.contains(&Action::Stop) {
            // The wire stops at once, and what was decided before is moot.
            towline_core::failpoint!("stop.begins");
            live.stop();
            for pending in self.pending.iter_mut().filter(|pending| pending.id == id) {
                pending.actions.clear();
            }
            actions.retain(|action| *action != Action::Stop);
        }
        let (at, generation) = (
            self.machine.clock.now().wall,
            live.transfer.record().generation,
        );
        let notes = actions.extract_if(.., |action| matches!(action, Action::Note { .. }));
        let incidents: Vec<Incident> = notes
            .filter_map(|action| match action {
                Action::Note { part, error } => Some(Incident {
                    at,
                    generation,
                    part: part.map(|part| part.get()),
                    error,
                }),
                _ => None,
            })
            .collect();
        if !changes.is_empty() || !incidents.is_empty() {
            live.last_step = self.writer.commit(id, changes, incidents);
        }
        let place = live.last_step;
        self.take_turns(id);
        self.when_durable(Pending {
            place,
            id,
            actions,
            reply: reply.map(|(reply, changed)| (reply, Ok(changed))),
        });
    }

    fn when_durable(&mut self, step: Pending) {
        if step.place <= self.flushed {
            self.perform(step)
        } else {
            self.pending.push_back(step)
        }
    }

    fn on_flushed(&mut self, upto: u64, result: Result<(), StoreError>) {
        if let Err(error) = result {
            return self.fail_store(&error);
        }
        self.flushed = upto;
        self.tell_durable();
        while self.pending.front().is_some_and(|step| step.place <= upto) {
            let Some(step) = self.pending.pop_front() else {
                break;
            };
            self.perform(step);
        }
    }

    /// What is durable now is what the outside gets to see.
    fn perform(&mut self, step: Pending) {
        let Pending {
            id, actions, reply, ..
        } = step;
        self.publish(id); // first, so that who is answered sees it done
        match reply {
            Some((reply, Ok(changed))) => match self.live.get_mut(&id) {
                Some(live) => live.answer(reply, changed),
                None => drop(reply.send(Ok(changed))),
            },
            Some((reply, refused)) => drop(reply.send(refused)),
            None => {}
        }
        for action in actions {
            self.perform_action(id, action);
        }
        self.take_turns(id);
        self.release(id);
    }

    fn perform_action(&mut self, id: TransferId, action: Action) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        if let Some(act) = Act::of(&action) {
            live.next_act = Some(act);
            return;
        }
        match action {
            Action::OfferParts => live.offering = true,
            Action::Wait {
                item,
                up_to,
                at_least,
            } => {
                towline_core::failpoint!("wait.begins");
                let wait = self.machine.random.jitter(at_least, up_to);
                self.later(wait, Message::WaitOver { id, item });
            }
            Action::WatchFor(reason) => self.watch_for(id, reason),
            Action::Fix(Fix::Credentials) => live.s3.refresh_credentials(),
            Action::Fix(Fix::Clock(server)) => live.s3.set_clock(server),
            Action::Fix(Fix::Region(region)) => live.s3.set_region(&region),
            Action::Fix(Fix::Redirect(location)) => live.s3.set_redirect(&location),
            _ => {}
        }
    }

    fn later(&self, wait: std::time::Duration, message: Message) {
        let (clock, inbox) = (self.machine.clock, self.inbox.clone());
        self.machine.tasks.spawn(async move {
            clock.sleep(wait).await;
            let _ = inbox.send(message);
        });
    }

    /// What the store holds is not known any more: nothing further is done.
    fn fail_store(&mut self, error: &StoreError) {
        tracing::error!(%error, "the store failed; every transfer stops here");
        self.broken = true;
        self.pending.clear();
        self.live.values_mut().for_each(|live| live.give_up());
        self.close_streams();
        self.watchers.clear();
        // Who waits for changes finds out that none will come.
        self.durable = watch::Sender::new(0);
    }

    fn is_closed(&self) -> bool {
        self.closing.is_some()
            && self.live.values().all(|live| live.is_idle())
            && (self.broken || self.pending.is_empty())
    }
}
