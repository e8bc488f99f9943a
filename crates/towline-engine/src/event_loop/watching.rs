//! What is seen of transfers from outside.

use tokio::sync::{oneshot, watch};
use towline_core::{Record, State, Status, TransferId};

use super::EventLoop;
use crate::live::Live;
use crate::snapshot::{Snapshot, Watch};

impl EventLoop {
    pub(super) fn publish(&mut self, id: TransferId) {
        if let (Some(live), Some(watcher)) = (self.live.get_mut(&id), self.watchers.get(&id)) {
            watcher.send_replace(live.snapshot());
        }
    }

    pub(super) fn on_tick(&mut self) {
        self.watchers
            .retain(|_, watcher| watcher.receiver_count() > 0);
        for (id, watcher) in &self.watchers {
            let Some(live) = self.live.get_mut(id) else {
                continue;
            };
            let now = live.snapshot();
            watcher.send_if_modified(|shown| {
                let moved = shown.bytes_transferred != now.bytes_transferred;
                // States are published when they are durable, bytes at any time.
                if moved {
                    shown.bytes_transferred = now.bytes_transferred;
                }
                moved
            });
        }
    }

    pub(super) fn on_watch(&mut self, at_rest: Snapshot, reply: oneshot::Sender<Watch>) {
        let id = at_rest.record.id;
        let live = &mut self.live;
        let watcher = self.watchers.entry(id).or_insert_with(|| {
            let now = live.get_mut(&id).map_or(at_rest, Live::snapshot);
            watch::Sender::new(now)
        });
        let _ = reply.send(Watch(watcher.subscribe()));
    }

    /// What is held is seen as it is now, the rest as the store has it.
    pub(super) fn on_look(&mut self, records: Vec<Record>, reply: oneshot::Sender<Vec<Snapshot>>) {
        let looks = records.into_iter().map(|record| {
            match self.live.contains_key(&record.id) {
                true => self.durable_snapshot(record.id),
                false => None,
            }
            .unwrap_or_else(|| Snapshot::at_rest(record))
        });
        let _ = reply.send(looks.collect());
    }

    /// All that is neither at rest nor parked.
    pub(super) fn on_under_way(&mut self, reply: oneshot::Sender<Vec<Snapshot>>) {
        let moving = self.live.iter().filter(|(_, live)| live.is_under_way());
        let ids: Vec<TransferId> = moving.map(|(id, _)| *id).collect();
        let looks = ids.into_iter().filter_map(|id| self.durable_snapshot(id));
        let _ = reply.send(looks.collect());
    }

    pub(super) fn tell_durable(&self) {
        self.durable.send_modify(|n| *n += 1);
    }

    /// An end is not shown before it is durable.
    fn durable_snapshot(&mut self, id: TransferId) -> Option<Snapshot> {
        let flushed = self.flushed;
        let live = self.live.get_mut(&id)?;
        let mut now = live.snapshot();
        if live.last_step > flushed && now.status.state.is_final() {
            now.status = Status {
                state: State::InProgress,
                reason: None,
            };
        }
        Some(now)
    }

    pub(super) fn on_refresh(&mut self, snapshot: Snapshot) {
        let id = snapshot.record.id;
        if self.live.contains_key(&id) {
            return;
        }
        let is_final = snapshot.record.phase.is_final();
        if let Some(watcher) = self.watchers.get(&id) {
            watcher.send_replace(snapshot);
        }
        if is_final {
            self.watchers.remove(&id);
        }
    }
}
