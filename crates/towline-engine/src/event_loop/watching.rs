//! What is seen of transfers from outside.

use std::collections::BTreeMap;

use tokio::sync::{oneshot, watch};
use towline_core::{PartNumber, Phase, Record, State, Status, TransferId};

use super::EventLoop;
use crate::snapshot::{Snapshot, Watch};

impl EventLoop {
    /// Shows it as it is now; an end only once it is durable.
    pub(super) fn publish(&mut self, id: TransferId) {
        if let Some(live) = self.live.get_mut(&id)
            && live.last_step <= self.flushed
        {
            live.log_state();
        }
        if let (Some(live), Some(watcher)) = (self.live.get_mut(&id), self.watchers.get(&id)) {
            let now = live.snapshot();
            if live.last_step <= self.flushed || !now.status.state.is_final() {
                watcher.send_replace(now);
            }
        }
    }

    pub(super) fn on_tick(&mut self) {
        self.notice_sleep();
        self.watchers
            .retain(|_, watcher| watcher.receiver_count() > 0);
        for (id, watcher) in &self.watchers {
            let Some(live) = self.live.get_mut(id) else {
                continue;
            };
            let now = live.snapshot();
            if now.status.state.is_final() {
                continue; // shown with all its bytes once it is durable
            }
            watcher.send_if_modified(|shown| {
                // States are published when they are durable, and fewer bytes
                // come with a state; more bytes are shown at any time.
                let moved = shown.bytes_transferred < now.bytes_transferred;
                if moved {
                    shown.bytes_transferred = now.bytes_transferred;
                }
                moved
            });
        }
    }

    pub(super) fn on_watch(&mut self, at_rest: Snapshot, reply: oneshot::Sender<Watch>) {
        let id = at_rest.record.id;
        if !self.watchers.contains_key(&id) {
            let now = self.durable_snapshot(id);
            let now = now.unwrap_or_else(|| self.as_shown(at_rest));
            self.watchers.insert(id, watch::Sender::new(now));
        }
        if let Some(watcher) = self.watchers.get(&id) {
            let _ = reply.send(Watch(watcher.subscribe()));
        }
    }

    /// What is held; an end only once it is durable.
    fn durable_snapshot(&mut self, id: TransferId) -> Option<Snapshot> {
        let live = self.live.get_mut(&id)?;
        match live.last_step <= self.flushed {
            true => Some(live.snapshot()),
            false => self.unfinished_snapshot(id),
        }
    }

    /// What is held is seen as it is now, the rest as the store has it. An end
    /// is the store's to tell: so it is seen with the record that has it, and
    /// with no other.
    pub(super) fn on_look(&mut self, records: Vec<Record>, reply: oneshot::Sender<Vec<Snapshot>>) {
        if self.broken {
            return; // nobody knows how things are
        }
        let looks = records.into_iter().map(|record| {
            match record.phase.is_final() {
                true => None,
                false => self.unfinished_snapshot(record.id),
            }
            .unwrap_or_else(|| self.as_shown(Snapshot::at_rest(record)))
        });
        let _ = reply.send(looks.collect());
    }

    /// What is not held, with no fewer bytes than before it was set aside.
    fn as_shown(&self, mut at_rest: Snapshot) -> Snapshot {
        let (phase, generation) = (at_rest.record.phase, at_rest.record.generation);
        let rests = phase.is_final() || phase == Phase::Paused;
        if let Some((of, bytes)) = self.shown_aside.get(&at_rest.record.id)
            && *of == generation
            && !rests
        {
            at_rest.bytes_transferred = at_rest.bytes_transferred.max(*bytes);
        }
        at_rest.settled()
    }

    pub(super) fn on_parts(
        &self,
        id: TransferId,
        reply: oneshot::Sender<BTreeMap<PartNumber, u64>>,
    ) {
        let live = self.live.get(&id);
        let _ = reply.send(live.map(|live| live.progress.parts()).unwrap_or_default());
    }

    pub(super) fn on_tally(&self, reply: oneshot::Sender<(u64, u64)>) {
        let states = self.live.values().map(|live| live.transfer.status().state);
        let (mut moving, mut waiting) = (0, self.aside.len() + self.lanes.returning());
        for state in states {
            moving += usize::from(state == State::InProgress);
            waiting += usize::from(state == State::WaitingForNetwork);
        }
        let _ = reply.send((moving as u64, waiting as u64));
    }

    /// All that is neither at rest nor parked.
    pub(super) fn on_under_way(&mut self, reply: oneshot::Sender<Vec<Snapshot>>) {
        if self.broken {
            return;
        }
        let moving = self.live.iter().filter(|(_, live)| live.is_under_way());
        let ids: Vec<TransferId> = moving.map(|(id, _)| *id).collect();
        let looks = ids
            .into_iter()
            .filter_map(|id| self.unfinished_snapshot(id));
        let _ = reply.send(looks.collect());
    }

    pub(super) fn tell_durable(&self) {
        self.durable.send_modify(|n| *n += 1);
    }

    /// What is held, without its end.
    fn unfinished_snapshot(&mut self, id: TransferId) -> Option<Snapshot> {
        let mut now = self.live.get_mut(&id)?.snapshot();
        if now.status.state.is_final() {
            now.status = Status {
                state: State::InProgress,
                reason: None,
            };
            let total = now.record.bytes_total().unwrap_or(0);
            now.bytes_transferred = now.bytes_transferred.min(total.saturating_sub(1));
        }
        Some(now)
    }

    pub(super) fn on_refresh(&mut self, snapshot: Snapshot) {
        let id = snapshot.record.id;
        if self.live.contains_key(&id) {
            return;
        }
        let is_final = snapshot.record.phase.is_final();
        if !is_final && snapshot.record.phase != Phase::Paused {
            return; // it may have been read before it came to rest
        }
        if let Some(watcher) = self.watchers.get(&id) {
            watcher.send_replace(snapshot);
        }
        if is_final {
            self.watchers.remove(&id);
        }
    }
}
