//! What the network does between the commands and the server of a scene.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use fastrand::Rng;

use super::scene::Scene;
use crate::fault_proxy::{By, Direction, FaultProxy};

const MIB: u64 = 1 << 20;

/// Changes what the proxy of a scene does, at random, until it is dropped;
/// then everything passes again. Nothing lasts so long that it could be taken
/// for the end of a store.
#[derive(Debug)]
pub struct Weather {
    proxy: Arc<FaultProxy>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Weather {
    /// Over a scene [with a proxy](Scene::put_proxy_between).
    pub fn over(scene: &Scene, seed: u64) -> Self {
        let proxy = Arc::clone(scene.proxy.as_ref().unwrap());
        let (stop, stopped) = mpsc::channel();
        let changed = Arc::clone(&proxy);
        let thread = std::thread::spawn(move || {
            let mut rng = Rng::with_seed(seed);
            loop {
                changed.pass();
                change(&changed, &mut rng);
                let lasts = Duration::from_millis(rng.u64(20..400));
                if stopped.recv_timeout(lasts) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        Self {
            proxy,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.proxy.pass();
    }
}

/// Cuts, stalls, slowness; and every other time nothing.
fn change(proxy: &FaultProxy, rng: &mut Rng) {
    let by = if rng.bool() { By::Fin } else { By::Rst };
    match rng.u8(..14) {
        0 => proxy.latency(Duration::from_millis(rng.u64(1..20))),
        1 => proxy.bandwidth(rng.u64(2..40) * MIB),
        2 => proxy.cut_all(by),
        3 => proxy.cut_after(Direction::ToServer, rng.u64(..4 * MIB), by),
        4 => proxy.cut_after(Direction::ToClient, rng.u64(..4 * MIB), by),
        5 => proxy.refuse(),
        6 => proxy.reset(),
        7 => proxy.blackhole(),
        _ => {}
    }
}
