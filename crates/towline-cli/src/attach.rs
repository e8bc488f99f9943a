//! Stays with transfers until they have ended, or there is a reason not to,
//! whoever owns the state meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use towline::{
    Cursor, ErrorRecord, HandedOver, ParkReason, Query, Reason, State, Transfer, TransferId,
};
use towline_daemon::{Event, Follow, Seen, Steer, Verb};

use crate::args::Waiting;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::reach::{Owner, Reach};

/// How often the display is brought up to date.
pub(crate) const REFRESH: Duration = Duration::from_millis(100);
/// Above this, all events are followed and the others left out here.
const FOLLOWED_BY_ID: usize = 200;

/// The transfers that a command stays with.
pub(crate) struct Attachment<'a> {
    pub(crate) transfers: Vec<Seen>,
    /// A place before their first change.
    pub(crate) cursor: Cursor,
    /// For the next owner.
    pub(crate) credentials: Option<HandedOver>,
    pub(crate) waiting: &'a Waiting,
    /// What each is to become.
    pub(crate) goal: State,
}

/// What a command stays with: signals that end it, and its display.
pub(crate) struct Stay {
    pub(crate) signals: Signals,
    pub(crate) tally: Tally,
    pub(crate) progress: Progress,
}

/// How the transfers did that a command stayed with, counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    /// Of those that are done.
    pub(crate) bytes: u64,
    /// By the code of the error, or what else became of them.
    pub(crate) failed: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn fail(&mut self, code: &str) {
        *self.failed.entry(code.to_owned()).or_default() += 1;
    }

    pub(crate) fn count(&mut self, transfer: Option<&Transfer>) {
        match transfer.map(|transfer| (transfer, transfer.state)) {
            Some((transfer, State::Completed)) => {
                self.done += 1;
                self.bytes += transfer.bytes_total.unwrap_or(0);
            }
            Some((transfer, State::Failed)) => {
                let error = transfer.error.as_ref();
                self.fail(error.map_or("Failed", |error| error.code.as_str()));
            }
            Some((_, State::Canceled)) => self.fail("Canceled"),
            Some(_) => self.fail("Unfinished"),
            None => self.fail("Removed"),
        }
    }
}

/// How staying with transfers came to its end.
pub(crate) enum Stayed {
    /// All have ended.
    Ended(Exit),
    GaveUp(Exit),
    Interrupted(Exit),
}

impl Stay {
    pub(crate) fn new(output: &Output) -> Result<Self, Error> {
        Ok(Self {
            signals: Signals::new()?,
            tally: Tally::default(),
            progress: Progress::new(output),
        })
    }

    /// Shows nothing that moves until there are transfers to stay with.
    pub(crate) fn clear(&self) {
        self.progress.clear();
    }

    /// Leaves before the end.
    pub(crate) async fn leave(
        self,
        reach: Reach,
        exit: Exit,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        self.progress.clear();
        leave(reach, self.signals, exit, output).await
    }

    /// Leaves when all has ended, also what is carried for others.
    pub(crate) async fn end(
        mut self,
        reach: Reach,
        exit: Exit,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        if let Some(own) = reach.own() {
            tokio::select! {
                done = carry_the_others(own, &self.progress, output) => done?,
                exit = self.signals.next() => return self.leave(reach, exit, output).await,
            }
        }
        reach.leave().await?;
        Ok(exit)
    }
}

impl Attachment<'_> {
    /// Stays until every transfer has ended; says how each did, and leaves.
    pub(crate) async fn attach(self, mut reach: Reach, output: &mut Output) -> Result<Exit, Error> {
        let mut stay = Stay::new(output)?;
        match self.stay(&mut reach, &mut stay, output).await? {
            Stayed::Ended(exit) => stay.end(reach, exit, output).await,
            Stayed::GaveUp(exit) => {
                reach.leave().await?;
                Ok(exit)
            }
            Stayed::Interrupted(exit) => stay.leave(reach, exit, output).await,
        }
    }

    /// Stays until every transfer has ended; says how each did.
    pub(crate) async fn stay(
        self,
        reach: &mut Reach,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<Stayed, Error> {
        let mut transfers = BTreeMap::new();
        let mut order = Vec::new();
        for seen in &self.transfers {
            let id = seen.transfer.id;
            // What was asked for twice is one.
            if transfers.insert(id, Some(seen.clone().into())).is_none() {
                order.push(id);
            }
        }
        let mut group = Group {
            open: transfers.values().filter(|it| is_open(it)).count(),
            order,
            transfers,
            cursor: self.cursor,
            start: Instant::now(),
            what: &self,
        };
        stay.progress = Progress::new(output); // one that was cleared shows nothing more
        let ended = tokio::select! {
            ended = group.follow(reach, &stay.progress) => ended?,
            exit = stay.signals.next() => return Ok(Stayed::Interrupted(exit)),
        };
        stay.progress.clear();
        let exit = group.report(&ended, output);
        for transfer in group.transfers.values() {
            stay.tally.count(transfer.as_ref());
        }
        Ok(match ended {
            Ended::All => Stayed::Ended(exit),
            Ended::GaveUp(_) => Stayed::GaveUp(exit),
        })
    }
}

/// How following came to its end.
enum Ended {
    All,
    GaveUp(String),
}

/// The transfers as they were last told.
struct Group<'a> {
    order: Vec<TransferId>,
    /// `None`: its record was removed.
    transfers: BTreeMap<TransferId, Option<Transfer>>,
    open: usize,
    cursor: Cursor,
    start: Instant,
    what: &'a Attachment<'a>,
}

impl Group<'_> {
    async fn follow(&mut self, reach: &mut Reach, progress: &Progress) -> Result<Ended, Error> {
        let ids: Vec<String> = self.transfers.keys().map(ToString::to_string).collect();
        let ids = (ids.len() <= FOLLOWED_BY_ID).then(|| ids.join(","));
        while self.open > 0 {
            let follow = Follow {
                after: Some(self.cursor),
                ids: ids.clone(),
                ..Follow::default()
            };
            let mut events = match reach.client.events(&follow).await {
                Ok(events) => events,
                Err(error) if error.is_gone() => {
                    self.change_owner(reach).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut refresh = tokio::time::interval(REFRESH);
            while self.open > 0 {
                tokio::select! {
                    event = events.next() => match event? {
                        Some(Event::Handover) | None => break,
                        Some(event) => self.heard(event),
                    },
                    _ = refresh.tick() => {
                        progress.show(self.there());
                        if let Some(why) = self.reason_to_give_up() {
                            return Ok(Ended::GaveUp(why));
                        }
                    }
                }
            }
            if self.open > 0 {
                self.change_owner(reach).await?;
            }
        }
        Ok(Ended::All)
    }

    fn heard(&mut self, event: Event) {
        let (id, now) = match event {
            Event::Transfer(transfer) => (transfer.id, Some(*transfer)),
            Event::Removed(id) => (id, None),
            Event::Reached(cursor) => {
                self.cursor = cursor;
                return;
            }
            Event::Group(_) | Event::Handover => return,
        };
        if let Some(known) = self.transfers.get_mut(&id) {
            // What has ended and is forgotten since has ended.
            if now.is_none() && !is_open(known) {
                return;
            }
            let was_open = is_open(known);
            *known = now;
            self.open = self.open + usize::from(is_open(known)) - usize::from(was_open);
        }
    }

    /// Has whoever owns the state next, perhaps this process, go on with what is
    /// unfinished.
    async fn change_owner(&self, reach: &mut Reach) -> Result<(), Error> {
        reach.again().await?;
        let ids = self.there().filter(|transfer| !transfer.state.is_final());
        let steer = Steer {
            ids: ids.map(|transfer| transfer.id).collect(),
            credentials: self.what.credentials.clone(),
            ..Steer::default()
        };
        reach.steer(Verb::Carry, &steer).await.map(drop)
    }

    fn there(&self) -> impl Iterator<Item = &Transfer> + Clone {
        self.transfers.values().flatten()
    }

    /// A store that has never answered, for too long; or simply too long.
    fn reason_to_give_up(&self) -> Option<String> {
        let (waiting, since) = (self.what.waiting, self.start.elapsed());
        if let Some(why) = too_long(waiting, since) {
            return Some(format!("{why}; the same command goes on"));
        }
        let stuck = self.there().find(|transfer| never_answered(transfer))?;
        let why = too_long_silent(waiting, since, stuck.error.as_ref())?;
        Some(format!(
            "{why}. The same command goes on; --wait waits without limit"
        ))
    }

    fn report(&self, ended: &Ended, output: &mut Output) -> Exit {
        if let Ended::GaveUp(why) = ended {
            output.error(why);
        }
        let mut all_done = matches!(ended, Ended::All);
        for id in &self.order {
            let Some(transfer) = self.transfers.get(id).and_then(Option::as_ref) else {
                output.error(&format!("transfer {id} was removed"));
                all_done = false;
                continue;
            };
            if !transfer.state.is_final() && !output.is_json() {
                continue;
            }
            all_done &= transfer.state == self.what.goal;
            say_end(transfer, output);
        }
        if all_done { Exit::Done } else { Exit::Failed }
    }
}

/// Says how a transfer ended, or where it stands.
pub(crate) fn say_end(transfer: &Transfer, output: &mut Output) {
    if transfer.generation > 1 && transfer.state == State::Completed {
        output.remark(&format!(
            "{}: the source or object changed; sent {} times",
            transfer.key, transfer.generation
        ));
    }
    output.transfer(transfer);
}

/// Why a command waits no longer, whatever the transfers wait for.
pub(crate) fn too_long(waiting: &Waiting, since: Duration) -> Option<String> {
    let over = waiting.max_wait.is_some_and(|most| since >= most);
    over.then(|| format!("not done after {} s", since.as_secs()))
}

/// Why a command waits no longer for a store that has never answered.
pub(crate) fn too_long_silent(
    waiting: &Waiting,
    since: Duration,
    error: Option<&ErrorRecord>,
) -> Option<String> {
    let limit = waiting.connect_timeout;
    if waiting.wait || waiting.max_wait.is_some() || since < limit {
        return None;
    }
    let why = error.map_or("no answer", |error| error.message.as_str());
    Some(format!(
        "gave up after {} s without an answer from the store: {why}",
        limit.as_secs()
    ))
}

/// Whether it waits for a store that has never answered.
pub(crate) fn never_answered(transfer: &Transfer) -> bool {
    let parked = match transfer.reason {
        // What it waits for is on this machine, and the store was not asked.
        Some(Reason::Parked(ParkReason::DiskFull | ParkReason::ReadOnly)) => false,
        Some(Reason::Parked(_)) => true,
        _ => transfer.state == State::WaitingForNetwork,
    };
    parked && !transfer.store_answered()
}

fn is_open(transfer: &Option<Transfer>) -> bool {
    transfer
        .as_ref()
        .is_some_and(|transfer| !transfer.state.is_final())
}

/// An owner stays until the transfers of its clients have ended too, or wait for
/// something that a client can wait for as well.
async fn carry_the_others(
    own: &Owner,
    progress: &Progress,
    output: &mut Output,
) -> Result<(), Error> {
    let mut said = false;
    loop {
        let moving = own.utility.under_way().await?;
        if moving.is_empty() {
            break;
        }
        if !said {
            output.remark(&format!(
                "carrying {} of other commands; Ctrl-C hands over to them",
                moving.len()
            ));
            said = true;
        }
        progress.show(moving.iter());
        tokio::time::sleep(REFRESH).await;
    }
    progress.clear();
    tell_of_others(own, output).await
}

async fn leave(
    reach: Reach,
    mut signals: Signals,
    exit: Exit,
    output: &mut Output,
) -> Result<Exit, Error> {
    output.remark(match reach.own() {
        Some(_) => "stopping; what was moved is kept, the same command goes on",
        None => "another process goes on with it; see: towline list",
    });
    tokio::select! {
        left = reach.leave() => left?,
        // The second time, at once: nothing is lost by it.
        _ = signals.next() => {}
    }
    Ok(exit)
}

/// Work of others in the same state is not done in passing, but said.
async fn tell_of_others(own: &Owner, output: &mut Output) -> Result<(), Error> {
    let states = vec![State::Waiting, State::InProgress, State::WaitingForNetwork];
    let query = Query {
        states,
        ..Query::default()
    };
    let (others, more) = own.utility.find(query).await?;
    if !others.is_empty() {
        let count = others.len();
        let more = if more.is_some() { " or more" } else { "" };
        output.remark(&format!(
            "{count}{more} other transfers are unfinished; see: towline list"
        ));
    }
    Ok(())
}

/// Ctrl-C and SIGTERM, from the moment this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::Failed(format!("cannot watch signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// The next one, as the exit code that it asks for.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}
