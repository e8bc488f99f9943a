//! Which transfers the loop holds: they come from submits, commands and the
//! store's backlog, and go when they are at rest.

use std::collections::VecDeque;
use std::sync::Arc;

use towline_core::{
    Command, ParkReason, PartRow, Phase, Priority, Record, Store, StoreError, Transfer, TransferId,
};

use super::{EventLoop, Load, Message, Reply};
use crate::live::Live;
use crate::metered::Metered;
use crate::progress::Progress;
use crate::stream::Stream;
use crate::unusable;

impl EventLoop {
    pub(super) fn on_added(&mut self, records: Vec<Record>) {
        for record in records {
            let (id, priority) = (record.id, record.spec.options.priority);
            let room = self.room(priority);
            let lane = self.lanes.of(priority);
            let was_held = lane.backlog.was_held(id);
            if self.live.contains_key(&id) {
                continue; // it was steered already, or came with the backlog
            }
            if was_held {
                // The same, or a later one was begun before it: it is read anew, since
                // it may have changed meanwhile.
                lane.returning.push_back(id);
                continue;
            }
            let backlog = &mut lane.backlog;
            if !backlog.is_empty() || backlog.loading || room == 0 {
                backlog.add(record);
                continue;
            }
            backlog.after = id;
            self.take_up(record, Vec::new());
        }
        if self.lanes.returning() > 0 {
            self.load_backlog();
        }
    }

    /// Holds one that nobody carries yet, and lets it begin; or leaves it for later.
    fn take_up(&mut self, record: Record, parts: Vec<PartRow>) {
        let (id, priority) = (record.id, record.spec.options.priority);
        if self.is_for_later(&record) {
            return self.aside.push((id, priority));
        }
        self.hold(record, parts);
        self.admit(id);
    }

    /// How many more of a priority are held.
    fn room(&mut self, priority: Priority) -> usize {
        let most = self.most_of(priority);
        most.saturating_sub(self.lanes.of(priority).busy())
    }

    /// The others are few where the window is for the normal ones.
    fn most_of(&self, priority: Priority) -> usize {
        match priority {
            Priority::Normal => self.config.window,
            Priority::High | Priority::Low => (self.config.window / 4).max(1),
        }
    }

    /// Nothing can be done for it until its store is back, or another network is
    /// there, and enough wait for that already: it stays in the store.
    fn is_for_later(&mut self, record: &Record) -> bool {
        if self.lanes.parked() < self.config.window {
            return false;
        }
        let site = self.sites.of(record);
        let is_barred = !record.spec.options.network.allows(self.network);
        is_barred || self.sites.get(site).reach.is_down()
    }

    /// Holds it no more.
    fn let_go(&mut self, id: TransferId) -> Option<Box<Live>> {
        let live = self.live.remove(&id)?;
        self.sites.let_go(live.site);
        self.lanes.of(live.priority).let_go(live.is_parked());
        if live.takes_turns {
            self.scheduler.leave(id, live.priority);
        }
        self.lanes.touch(id);
        Some(live)
    }

    /// One that is held takes its turns among those of its priority, which may be
    /// another one now.
    pub(super) fn change_lane(&mut self, id: TransferId) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let now = live.transfer.record().spec.options.priority;
        let was = std::mem::replace(&mut live.priority, now);
        if now != was {
            let (is_parked, takes_turns) = (live.is_parked(), live.takes_turns);
            self.lanes.of(was).let_go(is_parked);
            self.lanes.of(now).hold(is_parked);
            if takes_turns {
                self.scheduler.leave(id, was);
                self.scheduler.join(id, now);
            }
        }
    }

    /// Those that were set aside come back, as there is room.
    pub(super) fn bring_back(&mut self) {
        for (id, priority) in self.aside.drain(..) {
            self.lanes.of(priority).returning.push_back(id);
        }
        self.load_backlog();
    }

    pub(super) fn load_backlog(&mut self) {
        if self.broken || self.closing.is_some() {
            return;
        }
        for priority in Priority::ALL {
            self.load_backlog_of(priority);
        }
    }

    fn load_backlog_of(&mut self, priority: Priority) {
        let lane = self.lanes.of(priority);
        let done = lane.backlog.loading || lane.backlog.is_empty();
        if done && lane.returning.is_empty() {
            return;
        }
        let room = self.room(priority);
        if room < (self.most_of(priority) / 4).max(1) {
            return;
        }
        let lane = self.lanes.of(priority);
        if !lane.returning.is_empty() {
            let some = room.min(lane.returning.len());
            let some = lane.returning.drain(..some).collect();
            return self.on_carry(some);
        }
        while self.room(priority) > 0
            && let Some(record) = self.lanes.of(priority).backlog.next_kept()
        {
            self.take_up(record, Vec::new());
        }
        let room = self.room(priority);
        let backlog = &mut self.lanes.of(priority).backlog;
        if room == 0 || !backlog.more || backlog.loading {
            return;
        }
        backlog.loading = true;
        let (store, after, inbox) = (Arc::clone(&self.store), backlog.after, self.inbox.clone());
        self.machine.tasks.spawn(async move {
            let page = read_backlog(&*store, priority, after, room).await;
            let _ = inbox.send(Message::Backlog(priority, page));
        });
    }

    pub(super) fn on_backlog(
        &mut self,
        priority: Priority,
        page: Result<Vec<(Record, Vec<PartRow>)>, StoreError>,
    ) {
        let backlog = &mut self.lanes.of(priority).backlog;
        backlog.loading = false;
        let touched = std::mem::take(&mut backlog.touched);
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.fail_store(&error),
        };
        let backlog = &mut self.lanes.of(priority).backlog;
        backlog.more = std::mem::take(&mut backlog.grew) || !page.is_empty();
        if let Some((last, _)) = page.last() {
            backlog.read_to(last.id);
        }
        for (record, parts) in page {
            let id = record.id;
            if self.live.contains_key(&id) || touched.contains(&id) {
                continue;
            }
            let lacks_stream = record.spec.is_stream() && !self.streams.contains_key(&id);
            if lacks_stream && self.coming.streams > 0 {
                self.coming.passed_over.push(id);
                continue;
            }
            self.take_up(record, parts);
        }
        self.load_backlog();
    }

    pub(super) fn hold(&mut self, record: Record, parts: Vec<PartRow>) {
        let id = record.id;
        if let Some(load) = self.loads.get_mut(&id) {
            load.stale = true;
        }
        let (connection, direction) = (&record.spec.connection, record.spec.direction);
        let s3 = self
            .connector
            .connect(id, connection)
            .map(|s3| Metered::client(s3, &self.meter, &self.request_rate))
            .unwrap_or_else(unusable::client);
        let profile = self
            .profiles
            .of(connection, record.spec.object.bucket.as_str());
        let transfer = Transfer::load(record, parts, self.config.retry_limit)
            .with_late_limit(self.config.late_answer_limit);
        let site = self.sites.of(transfer.record());
        self.sites.hold(site);
        let mut live = Live::new(transfer, s3, profile, site);
        live.progress = Arc::new(Progress::counted(self.meter.bytes(direction)));
        live.stream = self.streams.get(&id).cloned();
        if let Some(shown) = self.shown_aside.remove(&id) {
            live.shown = shown;
        }
        let priority = live.priority;
        let lane = self.lanes.of(priority);
        lane.hold(live.is_parked());
        lane.backlog.holds(id);
        self.live.insert(id, Box::new(live));
        self.lanes.touch(id);
    }

    /// Whether a parked transfer is let go, to make room for others.
    fn set_aside(&mut self, id: TransferId) -> bool {
        let alone = self.live.get(&id).is_some_and(|live| {
            use ParkReason::{Network, NetworkClass, Tls};
            let phase = live.transfer.record().phase;
            let told = matches!(phase, Phase::Parked(Network | NetworkClass | Tls));
            told && live.stream.is_none()
        });
        let over = self.live.len() > 2 * self.config.window;
        if alone && over {
            let priority = self.live.get(&id).map(|live| live.priority);
            self.aside.push((id, priority.unwrap_or_default()));
            if let Some(live) = self.live.get(&id)
                && live.shown.1 > live.transfer.record().bytes_done
            {
                self.shown_aside.insert(id, live.shown);
            }
        }
        alone && over
    }

    pub(super) fn on_stream(&mut self, id: TransferId, stream: Stream) {
        if self.broken || self.closing.is_some() {
            return stream.close();
        }
        if let Some(live) = self.live.get_mut(&id) {
            live.stream = Some(stream.clone());
        }
        self.streams.insert(id, stream);
    }

    pub(super) fn on_stream_came(&mut self) {
        self.coming.streams -= 1;
        if self.coming.streams == 0 {
            let passed_over = std::mem::take(&mut self.coming.passed_over);
            self.on_carry(passed_over);
        }
    }

    pub(super) fn close_streams(&mut self) {
        let all = std::mem::take(&mut self.streams);
        all.into_values().for_each(|stream| stream.close());
    }

    fn close_stream(&mut self, id: TransferId) {
        if let Some(stream) = self.streams.remove(&id) {
            stream.close();
        }
    }

    /// Lets go of a transfer that has come to rest.
    pub(super) fn release(&mut self, id: TransferId) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let phase = live.transfer.record().phase;
        let at_rest = phase.is_final() || phase == Phase::Paused;
        if !live.is_idle() || live.last_step > self.flushed || !(at_rest || live.is_parked()) {
            return;
        }
        live.answer_all();
        if !at_rest && !self.set_aside(id) {
            return self.load_backlog();
        }
        self.let_go(id);
        if phase.is_final() {
            self.watchers.remove(&id);
            self.connector.ended(id);
            self.close_stream(id);
        }
        self.load_backlog();
    }

    /// Those that are held go on with the credentials that came for them; the
    /// others are read first.
    pub(super) fn on_carry(&mut self, ids: Vec<TransferId>) {
        for id in ids {
            match self.live.get(&id) {
                None => self.load_for(id, |load| load.carry = true),
                Some(live) => match live.transfer.record().phase {
                    Phase::Parked(ParkReason::Credentials) => self.look_again(id),
                    _ => self.connect_again(id),
                },
            }
        }
    }

    /// Takes the client that belongs to the transfer now.
    pub(super) fn connect_again(&mut self, id: TransferId) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        let connection = &live.transfer.record().spec.connection;
        if let Ok(s3) = self.connector.connect(id, connection) {
            live.s3 = Metered::client(s3, &self.meter, &self.request_rate);
        }
    }

    /// Reads a transfer that is not held, to do this with it then.
    pub(super) fn load_for(&mut self, id: TransferId, what: impl FnOnce(&mut Load)) {
        let reading = self.loads.contains_key(&id);
        what(self.loads.entry(id).or_default());
        if !reading {
            self.load(id);
        }
    }

    fn load(&self, id: TransferId) {
        let (store, inbox) = (Arc::clone(&self.store), self.inbox.clone());
        self.machine.tasks.spawn(async move {
            let read = Box::new(read_one(&*store, id).await);
            let _ = inbox.send(Message::Loaded { id, read });
        });
    }

    pub(super) fn on_loaded(
        &mut self,
        id: TransferId,
        read: Result<(Record, Vec<PartRow>), StoreError>,
    ) {
        let Some(load) = self.loads.get_mut(&id) else {
            return;
        };
        let held = self.live.contains_key(&id);
        if !held && std::mem::take(&mut load.stale) {
            return self.load(id);
        }
        let Load {
            commands, carry, ..
        } = std::mem::take(load);
        self.loads.remove(&id);
        match read {
            _ if held => {}
            Ok((record, parts)) => {
                let at_rest = record.phase.is_final() || record.phase == Phase::Paused;
                let carry = carry && !at_rest && !self.broken && self.closing.is_none();
                if carry && commands.is_empty() && self.is_for_later(&record) {
                    self.aside.push((id, record.spec.options.priority));
                } else if carry || !commands.is_empty() {
                    self.hold(record, parts);
                    if carry {
                        self.admit(id);
                    }
                }
            }
            Err(error) => return refuse(id, commands, error),
        }
        for (command, reply) in commands {
            self.on_command(id, command, reply);
        }
        self.load_backlog();
    }

    /// Lets go of a transfer whose record was removed.
    pub(super) fn forget(&mut self, id: TransferId) {
        let Some(mut live) = self.let_go(id) else {
            return;
        };
        live.stop();
        self.watchers.remove(&id);
        self.connector.ended(id);
        self.close_stream(id);
        let (its, others): (VecDeque<_>, _) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.id == id);
        self.pending = others;
        let asked = its.into_iter().filter_map(|pending| pending.reply);
        for (reply, _) in asked {
            let _ = reply.send(Err(StoreError::Unknown(id).into()));
        }
    }
}

/// Tells all who steered a transfer that it could not be read.
fn refuse(id: TransferId, commands: Vec<(Command, Reply)>, error: StoreError) {
    let unknown = matches!(error, StoreError::Unknown(_));
    let mut error = Some(error);
    for (_, reply) in commands {
        let why = match error.take() {
            Some(error) => error,
            None if unknown => StoreError::Unknown(id),
            None => StoreError::Closed,
        };
        let _ = reply.send(Err(why.into()));
    }
}

async fn read_one(store: &dyn Store, id: TransferId) -> Result<(Record, Vec<PartRow>), StoreError> {
    let record = store.get(id).await?.ok_or(StoreError::Unknown(id))?;
    let parts = store.parts(id).await?;
    Ok((record, parts))
}

async fn read_backlog(
    store: &dyn Store,
    priority: Priority,
    after: TransferId,
    limit: usize,
) -> Result<Vec<(Record, Vec<PartRow>)>, StoreError> {
    let mut page = Vec::new();
    towline_core::failpoint!("recovery.begins");
    for record in store.next_of(priority, after, limit).await? {
        let parts = match record.remote {
            Some(_) => store.parts(record.id).await?,
            None => Vec::new(),
        };
        page.push((record, parts));
    }
    towline_core::failpoint!("recovery.read");
    Ok(page)
}
