//! Which transfers the loop holds: they come from submits, commands and the
//! store's backlog, and go when they are at rest.

use std::collections::VecDeque;
use std::sync::Arc;

use towline_core::{
    Command, ParkReason, PartRow, Phase, Record, Store, StoreError, Transfer, TransferId,
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
            if self.live.contains_key(&record.id) {
                continue; // it came with the backlog
            }
            if record.id <= self.backlog.after {
                // A later one was begun before it, or the backlog had it: it is
                // read anew, since it may have changed meanwhile.
                self.returning.push_back(record.id);
                continue;
            }
            if self.backlog.more || self.backlog.loading || self.room() == 0 {
                self.backlog.more = true; // it comes when its turn does
                self.backlog.grew = self.backlog.loading;
                continue;
            }
            self.backlog.after = self.backlog.after.max(record.id);
            let id = record.id;
            if self.is_for_later(&record) {
                self.aside.push(id);
                continue;
            }
            self.hold(record, Vec::new());
            self.admit(id);
        }
        if !self.returning.is_empty() {
            self.load_backlog();
        }
    }

    /// Parked ones take no room from those that can go on.
    fn room(&self) -> usize {
        let busy = self.live.len() - self.parked;
        self.config.window.saturating_sub(busy)
    }

    /// Nothing can be done for it until its store is back, or another network is
    /// there, and enough wait for that already: it stays in the store.
    fn is_for_later(&mut self, record: &Record) -> bool {
        if self.parked < self.config.window {
            return false;
        }
        let site = self.sites.of(record);
        let is_barred = !record.spec.options.network.allows(self.network);
        is_barred || self.sites.get(site).reach.is_down()
    }

    /// Keeps the number of parked ones.
    pub(super) fn count_parked(&mut self, was: bool, is: bool) {
        match (was, is) {
            (false, true) => self.parked += 1,
            (true, false) => self.parked -= 1,
            _ => {}
        }
    }

    /// Holds it no more.
    fn let_go(&mut self, id: TransferId) -> Option<Live> {
        let live = self.live.remove(&id)?;
        self.count_parked(live.is_parked(), false);
        self.scheduler.leave(id);
        Some(live)
    }

    /// Those that were set aside come back, as there is room.
    pub(super) fn bring_back(&mut self) {
        self.returning.extend(self.aside.drain(..));
        self.load_backlog();
    }

    pub(super) fn load_backlog(&mut self) {
        if self.broken || self.closing.is_some() {
            return;
        }
        let done = self.backlog.loading || !self.backlog.more;
        if done && self.returning.is_empty() {
            return;
        }
        let room = self.room();
        if room < (self.config.window / 4).max(1) {
            return;
        }
        if !self.returning.is_empty() {
            let some = room.min(self.returning.len());
            let some = self.returning.drain(..some).collect();
            return self.on_carry(some);
        }
        self.backlog.loading = true;
        let (store, after, inbox) = (
            Arc::clone(&self.store),
            self.backlog.after,
            self.inbox.clone(),
        );
        self.machine.tasks.spawn(async move {
            let _ = inbox.send(Message::Backlog(read_backlog(&*store, after, room).await));
        });
    }

    pub(super) fn on_backlog(&mut self, page: Result<Vec<(Record, Vec<PartRow>)>, StoreError>) {
        self.backlog.loading = false;
        let touched = std::mem::take(&mut self.backlog.touched);
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.fail_store(&error),
        };
        let grew = std::mem::take(&mut self.backlog.grew);
        self.backlog.more = grew || !page.is_empty();
        for (record, parts) in page {
            let id = record.id;
            self.backlog.after = self.backlog.after.max(id);
            if self.live.contains_key(&id) || touched.contains(&id) {
                continue;
            }
            if self.is_for_later(&record) {
                self.aside.push(id);
                continue;
            }
            let lacks_stream = record.spec.is_stream() && !self.streams.contains_key(&id);
            if lacks_stream && self.coming.streams > 0 {
                self.coming.passed_over.push(id);
                continue;
            }
            self.hold(record, parts);
            self.admit(id);
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
            .map(|s3| Metered::client(s3, &self.meter))
            .unwrap_or_else(unusable::client);
        let profile = self
            .profiles
            .of(connection, record.spec.object.bucket.as_str());
        let transfer = Transfer::load(record, parts, self.config.retry_limit)
            .with_late_limit(self.config.late_answer_limit);
        let site = self.sites.of(transfer.record());
        let mut live = Live::new(transfer, s3, profile, site);
        live.progress = Arc::new(Progress::counted(self.meter.bytes(direction)));
        live.stream = self.streams.get(&id).cloned();
        if let Some(shown) = self.shown_aside.remove(&id) {
            live.shown = shown;
        }
        self.count_parked(false, live.is_parked());
        self.live.insert(id, live);
        self.scheduler.join(id);
        if self.backlog.loading {
            self.backlog.touched.insert(id);
        }
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
            self.aside.push(id);
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
            live.s3 = Metered::client(s3, &self.meter);
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
                    self.aside.push(id);
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
    after: TransferId,
    limit: usize,
) -> Result<Vec<(Record, Vec<PartRow>)>, StoreError> {
    let mut page = Vec::new();
    towline_core::failpoint!("recovery.begins");
    for record in store.next(after, limit).await? {
        let parts = match record.remote {
            Some(_) => store.parts(record.id).await?,
            None => Vec::new(),
        };
        page.push((record, parts));
    }
    towline_core::failpoint!("recovery.read");
    Ok(page)
}
