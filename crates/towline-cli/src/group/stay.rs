//! Stays with a group until it has its end, whoever owns the state meanwhile. In
//! memory is only what waits for a store that has never answered.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use towline::{Cursor, Direction, Group, HandedOver, ListingPhase, State, Transfer, TransferId};
use towline_daemon::{ClientError, Event, Follow, GroupVerb, SteerGroup};

use super::{APART, Groups, LOOK};
use crate::args::Waiting;
use crate::attach::{REFRESH, Stay, never_answered, say_end, too_long, too_long_silent};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::reach::Reach;

/// The group that a command stays with.
pub(crate) struct GroupStay<'a> {
    pub(crate) group: Group,
    /// A place before its first change.
    pub(crate) cursor: Cursor,
    /// For the next owner.
    pub(crate) credentials: Option<HandedOver>,
    pub(crate) waiting: &'a Waiting,
    /// What it is to become.
    pub(crate) goal: State,
}

/// How staying with a group came to its end.
pub(crate) enum GroupStayed {
    /// It had its end.
    Ended(Box<Group>),
    /// It was removed, and that was said.
    Removed,
    /// Why was said; as it was last told.
    GaveUp(Box<Group>),
    Interrupted(Exit),
}

/// How following came to its end.
enum Ended {
    /// It had its end.
    All,
    Removed,
    GaveUp(String),
}

/// The group as it was last told.
struct Following<'a> {
    what: GroupStay<'a>,
    /// Those that ended since the last place that was reached: they may be told twice.
    ended: HashSet<TransferId>,
    /// Those that wait for a store that has never answered.
    silent: BTreeMap<TransferId, Transfer>,
    start: Instant,
    next_look: Instant,
}

impl GroupStay<'_> {
    /// Stays until the group has its end; says how each transfer did, and what
    /// was left out; and leaves.
    pub(crate) async fn attach(
        self,
        mut reach: Reach,
        mut stay: Stay,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        let goal = self.goal;
        let exit = match self.stay(&mut reach, &mut stay, output).await? {
            GroupStayed::Ended(group) => {
                Groups::of(&reach).say_left_out(&group, output).await?;
                exit_of(&group, goal, output)
            }
            GroupStayed::Removed => Exit::Failed,
            GroupStayed::GaveUp(_) => {
                reach.leave().await?;
                return Ok(Exit::Failed);
            }
            GroupStayed::Interrupted(exit) => return stay.leave(reach, exit, output).await,
        };
        reach.lift_caps().await;
        stay.end(reach, exit, output).await
    }

    /// Stays until the group has its end; says how each transfer did.
    pub(crate) async fn stay(
        self,
        reach: &mut Reach,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<GroupStayed, Error> {
        let mut following = Following {
            what: self,
            ended: HashSet::new(),
            silent: BTreeMap::new(),
            start: Instant::now(),
            next_look: Instant::now() + LOOK,
        };
        let Stay {
            signals, progress, ..
        } = stay;
        let ended = tokio::select! {
            ended = following.follow(reach, progress, output) => ended?,
            exit = signals.next() => return Ok(GroupStayed::Interrupted(exit)),
        };
        progress.clear();
        let group = following.what.group;
        match ended {
            Ended::GaveUp(why) => {
                output.error(&why);
                Ok(GroupStayed::GaveUp(Box::new(group)))
            }
            Ended::Removed => {
                output.error(&format!("group {} was removed", group.id));
                Ok(GroupStayed::Removed)
            }
            Ended::All => Ok(GroupStayed::Ended(Box::new(group))),
        }
    }
}

/// Whether it became what it was to become.
pub(crate) fn exit_of(group: &Group, goal: State, output: &mut Output) -> Exit {
    if let (ListingPhase::Failed, Some(error)) = (group.listing, &group.error) {
        output.error(&error.message);
    }
    let nothing = group.found.entries == 0 && group.listing == ListingPhase::Listed;
    if nothing && group.direction != Direction::Upload && goal == State::Completed {
        let source = match group.direction {
            Direction::Copy => group.path.display().to_string(),
            _ => format!("s3://{}/{}", group.bucket, group.prefix),
        };
        output.error(&format!("there is no object below {source}"));
        return Exit::Failed;
    }
    match group.state == goal {
        true => Exit::Done,
        false => Exit::Failed,
    }
}

impl Following<'_> {
    async fn follow(
        &mut self,
        reach: &mut Reach,
        progress: &crate::progress::Progress,
        output: &mut Output,
    ) -> Result<Ended, Error> {
        loop {
            let follow = Follow {
                after: Some(self.what.cursor),
                group: Some(self.what.group.id),
                only: output.heeds(),
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
            loop {
                tokio::select! {
                    event = events.next() => match event? {
                        Some(Event::Handover) | None => break,
                        Some(event) => {
                            if let Some(ended) = self.heard(event) {
                                progress.aside(|| say_end(&ended, output));
                            }
                            if self.what.group.ended_at.is_some() {
                                return Ok(Ended::All);
                            }
                        }
                    },
                    _ = refresh.tick() => {
                        if let Some(ended) = self.look(reach).await? {
                            return Ok(ended);
                        }
                        progress.show_group(&self.what.group);
                    }
                }
            }
            self.change_owner(reach).await?;
        }
    }

    /// Gives a transfer that has ended.
    fn heard(&mut self, event: Event) -> Option<Transfer> {
        match event {
            Event::Transfer(transfer) if transfer.group.as_ref() == Some(&self.what.group.name) => {
                match never_answered(&transfer) {
                    true => self.silent.insert(transfer.id, (*transfer).clone()),
                    false => self.silent.remove(&transfer.id),
                };
                let ends = transfer.state.is_final() && self.ended.insert(transfer.id);
                ends.then_some(*transfer)
            }
            Event::Removed(id) => {
                self.silent.remove(&id);
                None
            }
            Event::Group(group) if group.id == self.what.group.id => {
                self.what.group = *group;
                None
            }
            Event::Reached(cursor) => {
                self.what.cursor = cursor;
                self.ended.clear();
                None
            }
            _ => None,
        }
    }

    /// Looks at the group now and then: how far it is, that it is still there, and
    /// whether there is a reason to give up.
    async fn look(&mut self, reach: &mut Reach) -> Result<Option<Ended>, Error> {
        if self.next_look > Instant::now() {
            return Ok(None);
        }
        let begun = Instant::now();
        match reach.client.group(self.what.group.id).await {
            // Its end is told by an event, behind those of its transfers.
            Ok(group) if group.ended_at.is_some() => {}
            Ok(group) => self.what.group = group,
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                return Ok(Some(Ended::Removed));
            }
            // That will show by the events.
            Err(error) if error.is_gone() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let took = begun.elapsed();
        self.next_look = Instant::now() + LOOK.max(took * APART);
        if self.reason_to_give_up().is_some() {
            self.look_at_silent(reach).await?;
        }
        Ok(self.reason_to_give_up().map(Ended::GaveUp))
    }

    /// Forgets those at the front that wait no more: of one that goes on nothing is told.
    async fn look_at_silent(&mut self, reach: &mut Reach) -> Result<(), Error> {
        while let Some(id) = self.silent.keys().next().copied() {
            match reach.client.show(id).await {
                Ok(shown) if never_answered(&shown.seen.transfer) => break,
                Ok(_) => {}
                Err(ClientError::Problem(_)) => {}
                Err(error) if error.is_gone() => break,
                Err(error) => return Err(error.into()),
            }
            self.silent.remove(&id);
        }
        Ok(())
    }

    fn reason_to_give_up(&self) -> Option<String> {
        let (waiting, since) = (self.what.waiting, self.start.elapsed());
        if let Some(why) = too_long(waiting, since) {
            return Some(format!("{why}; the same command goes on"));
        }
        let group = &self.what.group;
        let of_listing = group
            .error
            .as_ref()
            .filter(|_| group.found.entries == 0 && group.listing == ListingPhase::Listing);
        let of_transfer = self.silent.values().next();
        let error = of_listing.or(of_transfer.and_then(|stuck| stuck.error.as_ref()));
        if of_listing.is_none() && of_transfer.is_none() {
            return None;
        }
        let why = too_long_silent(waiting, since, error)?;
        Some(format!(
            "{why}. The same command goes on; --wait waits without limit"
        ))
    }

    /// Has whoever owns the state next, perhaps this process, go on with it.
    async fn change_owner(&mut self, reach: &mut Reach) -> Result<(), Error> {
        reach.again().await?;
        let steer = SteerGroup {
            credentials: self.what.credentials.clone(),
        };
        let id = self.what.group.id;
        match reach.steer_group(GroupVerb::Carry, id, &steer).await {
            // It is looked for again, and its end said.
            Err(Error::Owner(ClientError::Problem(problem))) if problem.status == 404 => {
                self.next_look = Instant::now();
                Ok(())
            }
            carried => carried.map(drop),
        }
    }
}
