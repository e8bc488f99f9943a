//! Lets a process die at a crash point: from then on nothing of it is done.

use std::collections::{HashMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use towline_core::failpoint::{Hook, Installed, install};

/// One crash: the `nth` time that this point is reached since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Crash {
    pub(crate) point: &'static str,
    pub(crate) nth: usize,
}

impl Crash {
    pub(crate) const fn at(point: &'static str, nth: usize) -> Self {
        Self { point, nth }
    }
}

/// Stretched over every crash point of this process.
#[derive(Clone, Default)]
pub(crate) struct Tripwire(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    died: Notify,
}

#[derive(Default)]
struct State {
    to_come: VecDeque<Crash>,
    seen: HashMap<&'static str, usize>,
    trace: Vec<&'static str>,
    dead: bool,
    /// What happens at a point, the next time that it is reached.
    once: Option<(&'static str, Happens)>,
}

type Happens = Box<dyn FnOnce() + Send>;

/// What unwinds from the point: no panic, so nobody prints it.
struct Killed;

impl Tripwire {
    pub(crate) fn new(crashes: &[Crash]) -> Self {
        let wire = Self::default();
        wire.state().to_come = crashes.iter().copied().collect();
        wire
    }

    pub(crate) fn install(&self) -> Installed {
        let wire = self.clone();
        let hook: Hook = Arc::new(move |name| wire.reached(name));
        install(hook)
    }

    fn reached(&self, name: &'static str) {
        if std::thread::panicking() {
            return; // what is dropped by a crash does nothing any more
        }
        if self.state().is_last(name) {
            self.0.died.notify_one();
            resume_unwind(Box::new(Killed));
        }
        let happens = self.state().once.take_if(|(point, _)| *point == name);
        if let Some((_, happen)) = happens {
            happen();
        }
    }

    /// Has something happen at a point, the next time that this process reaches it.
    pub(crate) fn once(&self, point: &'static str, happens: impl FnOnce() + Send + 'static) {
        self.state().once = Some((point, Box::new(happens)));
    }

    /// Until the process has died.
    pub(crate) async fn died(&self) {
        self.0.died.notified().await;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Another process begins.
    pub(crate) fn revive(&self) {
        let mut state = self.state();
        state.dead = false;
        state.once = None;
    }

    /// How many crashes are still to come.
    pub(crate) fn to_come(&self) -> usize {
        self.state().to_come.len()
    }

    /// The points that were reached since the last crash, in order.
    pub(crate) fn trace(&self) -> Vec<&'static str> {
        self.state().trace.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether whoever reached this point gets no further.
    fn is_last(&mut self, name: &'static str) -> bool {
        if self.dead {
            return true;
        }
        self.trace.push(name);
        let nth = self.seen.entry(name).or_default();
        *nth += 1;
        let here = Crash::at(name, *nth);
        if self.to_come.front() == Some(&here) {
            self.to_come.pop_front();
            self.seen.clear();
            self.trace.clear();
            self.dead = true;
        }
        self.dead
    }
}

/// Where to crash, of what a run reached: each point the first, the second and
/// the last time, or the first and the last.
pub(crate) fn crashes_of(trace: &[&'static str], of_each: usize) -> Vec<Crash> {
    let mut times: Vec<(&'static str, usize)> = Vec::new();
    for name in trace {
        match times.iter_mut().find(|(of, _)| of == name) {
            Some((_, times)) => *times += 1,
            None => times.push((name, 1)),
        }
    }
    let mut all = Vec::new();
    for (point, times) in times {
        let mut which = vec![1, times, 2];
        which.truncate(of_each);
        which.sort_unstable();
        which.dedup();
        let within = which.into_iter().filter(|nth| *nth <= times);
        all.extend(within.map(|nth| Crash::at(point, nth)));
    }
    all
}
