//! A disk whose failures a test chooses, and that knows what a power failure
//! would leave of it: a file system in memory behind FUSE, so that what a
//! program sees of it comes from the kernel.
//!
//! - [`Health`]: it is full, read-only, fails to read or to sync.
//! - [`Disk::record`] and [`Recorded`]: everything that changes it, in order, and
//!   what it may hold after the power has failed at any place in that order. The
//!   model is in the header of [`power`].
//! - [`Disk::become_image`]: it holds something else from one moment to the next,
//!   as after a reboot: same device, same numbers of files.
//!
//! For Linux alone; where nothing can be mounted tests say `SKIPPED`.

#![allow(
    clippy::unwrap_used,
    reason = "these are tests, though other crates run them"
)]

mod fuse;
pub mod power;
mod state;
mod torn;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fuser::{BackgroundSession, Config};

pub use fuser::Errno;
pub use power::{Fate, Image, Recorded};
pub use tree::{Ino, Inode, Op, ROOT, Tree};

use fuse::Mounted;
use state::State;

/// What the disk does at the moment; tests change it while it is in use.
#[derive(Clone, Debug)]
pub struct Health {
    /// Bytes that fit.
    pub capacity: u64,
    /// Reads that touch this byte fail, so many times.
    pub bad_byte: Option<(u64, u32)>,
    /// So many syncs of files fail. What was written since the last good one is
    /// lost, as Linux loses it.
    pub failing_syncs: u32,
    /// So many syncs of directories fail.
    pub failing_directory_syncs: u32,
    /// Making, renaming and removing a file fails with this.
    pub names: Option<Errno>,
    /// Writing and reserving fails with this.
    pub writes: Option<Errno>,
    /// Room can be reserved.
    pub reserves: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            capacity: 1 << 30,
            bad_byte: None,
            failing_syncs: 0,
            failing_directory_syncs: 0,
            names: None,
            writes: None,
            reserves: true,
        }
    }
}

/// What the disk was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads that failed.
    pub failed_reads: u32,
    /// Syncs of files that failed.
    pub failed_syncs: u32,
    /// Files that were made.
    pub creates: u32,
    /// Names that were refused.
    pub refused_names: u32,
    /// How often somebody asked how much is free.
    pub looks: u32,
}

/// Called with the number of every change before it is made.
pub type Watch = Box<dyn FnMut(usize) + Send>;

/// The mounted disk; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
}

impl Disk {
    /// An empty one. `None` where this machine mounts none; says so.
    pub fn mount(health: Health) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::new(health)));
        let mounted = Mounted(Arc::clone(&state));
        match fuser::spawn_mount(mounted, dir.path(), &Config::default()) {
            Ok(session) => Some(Self {
                dir,
                state,
                session: Some(session),
            }),
            Err(error) => {
                eprintln!("SKIPPED: no FUSE file system can be mounted here: {error}");
                None
            }
        }
    }

    /// A path on it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where it is mounted.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Changes how it is.
    pub fn set(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.state().health);
    }

    /// What it was asked for so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Notes every change from now on. What it holds now counts as synced.
    pub fn record(&self, watch: Watch) {
        let mut state = self.state();
        let base = state.tree.clone();
        state.recording = Some((Recorded::new(base), watch));
    }

    /// How many changes were noted.
    pub fn changes(&self) -> usize {
        let state = self.state();
        state.recording.as_ref().map_or(0, |(it, _)| it.ops.len())
    }

    /// What was noted; nothing is from now on.
    pub fn recorded(&self) -> Recorded {
        self.state().recording.take().unwrap().0
    }

    /// Goes on noting after the first `ops` of these changes: whoever made them
    /// was killed there, and the machine runs on.
    pub fn go_on_from(&self, recorded: &Recorded, ops: usize, watch: Watch) {
        let mut state = self.state();
        state.hold(recorded.held_after(ops));
        state.recording = Some((recorded.first(ops), watch));
    }

    /// Holds this from now on. Nobody may have anything of it open.
    pub fn become_image(&self, tree: Tree) {
        self.state().hold(tree);
    }

    /// What it holds now.
    pub fn tree(&self) -> Tree {
        self.state().tree.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while an act that was cut short still holds a file of it.
        crate::small_disk::unmount(self.dir());
        drop(self.session.take());
    }
}
