//! Crash points: named places at which a test lets a process die.
//!
//! `docs/crash-points.md` lists them. With the feature `failpoints`, which only
//! tests of this repository turn on, each one asks what is installed in this
//! process, and costs a load where nothing is; without the feature the macro
//! `failpoint!` is nothing at all, not even its name.

/// A crash point: `failpoint!("rename.before")`, or `failpoint!(before &batch)`
/// and `failpoint!(after &batch)` around a commit, which is named by what it
/// stores. Nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::failpoint::reach($name)
    };
    (before $batch:expr) => {
        $crate::failpoint::around_commit($batch, |(before, _)| before)
    };
    (after $batch:expr) => {
        $crate::failpoint::around_commit($batch, |(_, after)| after)
    };
}

/// A crash point; nothing, since the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($($what:tt)*) => {};
}

#[cfg(feature = "failpoints")]
pub use installed::*;

#[cfg(feature = "failpoints")]
mod installed {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

    use crate::{After, Change, Outcome, Phase, Remote, Request, TransferId};

    macro_rules! names {
        ($what:literal) => {
            (
                concat!("store-", $what, ".before"),
                concat!("store-", $what, ".after"),
            )
        };
    }

    /// What is asked at each crash point, by its name. It may unwind.
    pub type Hook = Arc<dyn Fn(&'static str) + Send + Sync>;

    static ON: AtomicBool = AtomicBool::new(false);
    static HOOK: RwLock<Option<Hook>> = RwLock::new(None);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// Asks this at every crash point of the process until the guard is dropped.
    /// Whoever comes second waits.
    pub fn install(hook: Hook) -> Installed {
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        *HOOK.write().unwrap_or_else(PoisonError::into_inner) = Some(hook);
        ON.store(true, Ordering::SeqCst);
        Installed(one)
    }

    /// The crash points of this process are watched.
    #[must_use = "nothing is asked any more once this is dropped"]
    #[derive(Debug)]
    pub struct Installed(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

    impl Drop for Installed {
        fn drop(&mut self) {
            ON.store(false, Ordering::SeqCst);
            *HOOK.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// A crash point is reached.
    pub fn reach(name: &'static str) {
        if ON.load(Ordering::Relaxed) {
            let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(hook) = hook {
                hook(name);
            }
        }
    }

    /// A batch is about to be committed, or was.
    pub fn around_commit(
        batch: &[(TransferId, Vec<Change>)],
        side: fn((&'static str, &'static str)) -> &'static str,
    ) {
        for change in batch.iter().flat_map(|(_, changes)| changes) {
            if let Some(names) = stored(change) {
                reach(side(names));
            }
        }
        reach(side(names!("anything")));
    }

    /// The crash points before and after a commit that stores this.
    fn stored(change: &Change) -> Option<(&'static str, &'static str)> {
        Some(match change {
            Change::Planned { .. } => names!("plan"),
            Change::Asked(Some(asked)) => match asked.request {
                Request::Put => names!("sending"),
                Request::Create => names!("creating"),
                Request::Complete => names!("completing"),
            },
            Change::Asked(None) => names!("settled"),
            Change::Remote(Remote::Upload(_)) => names!("upload-id"),
            Change::Remote(Remote::Object(..)) => names!("identity"),
            Change::Parts(_) => names!("parts"),
            Change::PartsLost(_) => names!("parts-lost"),
            Change::Sealed(_) => names!("committing"),
            Change::Generation(_) => names!("generation"),
            Change::Ended { outcome, .. } => match outcome {
                Outcome::Conflict => names!("conflict"),
                _ => names!("done"),
            },
            Change::Phase { phase, .. } => match phase {
                Phase::Discarding(After::Cancel) => names!("cancelling"),
                Phase::Discarding(After::Restart) => names!("restarting"),
                Phase::Discarding(After::Fail) => names!("giving-up"),
                Phase::Canceled => names!("canceled"),
                Phase::Failed => names!("failed"),
                Phase::Paused => names!("paused"),
                Phase::Queued => names!("resumed"),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Every name that a commit can have.
    pub const STORED: [(&str, &str); 21] = [
        names!("anything"),
        names!("plan"),
        names!("sending"),
        names!("creating"),
        names!("completing"),
        names!("settled"),
        names!("upload-id"),
        names!("identity"),
        names!("parts"),
        names!("parts-lost"),
        names!("committing"),
        names!("generation"),
        names!("conflict"),
        names!("done"),
        names!("cancelling"),
        names!("restarting"),
        names!("giving-up"),
        names!("canceled"),
        names!("failed"),
        names!("paused"),
        names!("resumed"),
    ];
}
