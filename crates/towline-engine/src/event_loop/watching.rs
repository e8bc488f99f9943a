//! What is seen of transfers from outside.

use tokio::sync::{oneshot, watch};
use towline_core::TransferId;

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
