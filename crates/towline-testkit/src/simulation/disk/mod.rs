//! A disk in memory. What is written is seen at once by whoever reads, as with a
//! real one's cache; a loss of power leaves what was synced, and of the rest
//! some: blocks of 4 KiB whole, not at all or torn, and the first of the names
//! that were given, taken and removed since their directory was synced.

mod blocks;
mod names;
mod open;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use towline_core::Fingerprint;
use towline_engine::{Disk, OpenDir, OpenFile, Room, Stat};

use self::blocks::Blocks;
use self::names::Names;
use self::open::{Directory, Handle};
use super::trace::Trace;

/// The disk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    trace: Trace,
    state: Arc<Mutex<State>>,
}

/// What goes wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct DiskRules {
    /// How much may be on it, in bytes.
    pub capacity: u64,
    /// How often in a thousand a write, or a read of a source, fails.
    pub errors: u64,
    /// How often in a thousand a sync fails: then its bytes are not on the disk,
    /// and the next sync does not try again.
    pub failing_syncs: u64,
    /// How long a piece of work takes, at most.
    pub slowest: Duration,
    /// Syncs do nothing, and say that they did.
    pub syncs_lie: bool,
    /// What a file is does not change with its bytes.
    pub hides_changes: bool,
    /// Names are removed in words only.
    pub keeps_removed: bool,
    /// Files are renamed in words only.
    pub renames_lie: bool,
    /// Beside each new file there is another one.
    pub litters: bool,
}

impl Default for DiskRules {
    fn default() -> Self {
        Self {
            capacity: u64::MAX,
            errors: 0,
            failing_syncs: 0,
            slowest: Duration::from_millis(2),
            syncs_lie: false,
            hides_changes: false,
            keeps_removed: false,
            renames_lie: false,
            litters: false,
        }
    }
}

/// A content that was given a name: by a rename, or by a loss of power.
#[derive(Clone, Debug)]
pub struct Named {
    /// The place in the trace.
    pub at: u64,
    /// Where.
    pub path: PathBuf,
    /// What.
    pub bytes: Vec<u8>,
    /// By a loss of power.
    pub by_power_loss: bool,
}

#[derive(Debug)]
struct State {
    dice: fastrand::Rng,
    rules: DiskRules,
    boot: u32,
    /// Makes each time another one.
    times: i64,
    last_inode: u64,
    dirs: BTreeMap<PathBuf, Names>,
    inodes: BTreeMap<u64, Inode>,
    named: Vec<Named>,
    /// Files that are open now, and the most that were at one time.
    open: (usize, usize),
}

#[derive(Clone, Debug)]
struct Inode {
    blocks: Blocks,
    modified_ns: i64,
    changed_ns: i64,
    synced_modified_ns: i64,
    reserved: u64,
}

impl SimulatedDisk {
    /// A disk with these directories.
    pub fn new<'a>(trace: &Trace, seed: u64, dirs: impl IntoIterator<Item = &'a Path>) -> Self {
        let empty = |dir: &Path| (dir.to_owned(), Names::default());
        let state = State {
            dice: fastrand::Rng::with_seed(seed),
            rules: DiskRules::default(),
            boot: 1,
            times: 0,
            last_inode: 100,
            dirs: dirs.into_iter().map(empty).collect(),
            inodes: BTreeMap::new(),
            named: Vec::new(),
            open: (0, 0),
        };
        Self {
            trace: trace.clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Changes what goes wrong from now on.
    pub fn rule(&self, change: impl FnOnce(&mut DiskRules)) {
        change(&mut self.state().rules);
    }

    /// Writes a file, at once and for good; one that is there keeps its inode.
    pub fn write(&self, path: &Path, bytes: Vec<u8>) {
        let len = bytes.len();
        self.trace.note(format_args!(
            "disk: somebody writes {} ({len} bytes)",
            path.display()
        ));
        let now = self.now();
        let mut state = self.state();
        let (dir, name) = split(path);
        let inode = match state.dirs.get(dir).and_then(|names| names.get(name)) {
            Some(inode) => inode,
            None => {
                let inode = state.new_inode(now);
                let names = state.dirs.entry(dir.to_owned()).or_default();
                names.link_for_good(name, inode);
                inode
            }
        };
        let at = state.time(now);
        if let Some(file) = state.inodes.get_mut(&inode) {
            file.blocks = Blocks::synced(bytes);
            file.changed(at);
            file.synced_modified_ns = at;
        }
    }

    /// Puts another file in the place of one, at once and for good.
    pub fn replace(&self, path: &Path, bytes: Vec<u8>) {
        self.remove(path);
        self.write(path, bytes);
    }

    /// Removes a file, at once and for good.
    pub fn remove(&self, path: &Path) {
        let (dir, name) = split(path);
        self.trace
            .note(format_args!("disk: somebody removes {}", path.display()));
        if let Some(names) = self.state().dirs.get_mut(dir) {
            names.unlink_for_good(name);
        }
    }

    /// What a file has.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let (dir, name) = split(path);
        let inode = state.dirs.get(dir)?.get(name)?;
        Some(state.inodes.get(&inode)?.blocks.now().to_vec())
    }

    /// What a file would have after the worst loss of power.
    pub fn read_synced(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let (dir, name) = split(path);
        let inode = state.dirs.get(dir)?.get_synced(name)?;
        Some(state.inodes.get(&inode)?.blocks.on_disk().to_vec())
    }

    /// All files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let all = state.dirs.iter();
        all.flat_map(|(dir, names)| names.all().map(|(name, _)| dir.join(name)))
            .collect()
    }

    /// Every content that was given a name, oldest first.
    pub fn named(&self) -> Vec<Named> {
        self.state().named.clone()
    }

    /// The most files that were open at one time, and those that are now.
    pub fn open_files(&self) -> (usize, usize) {
        let (now, most) = self.state().open;
        (most, now)
    }

    /// The power goes and comes back: only what was synced is sure to be there.
    pub fn lose_power(&self) {
        let at = self.trace.note(format_args!("disk: the power is lost"));
        let mut state = self.state();
        let State {
            dice,
            dirs,
            inodes,
            named,
            boot,
            ..
        } = &mut *state;
        *boot += 1;
        for names in dirs.values_mut() {
            let lost = names.lose_power(dice);
            self.trace
                .note(format_args!("disk: {lost} names are as before"));
        }
        for (number, inode) in inodes.iter_mut() {
            let lost = inode.blocks.lose_power(dice);
            if lost > 0 {
                inode.modified_ns = inode.synced_modified_ns;
                self.trace
                    .note(format_args!("disk: inode {number} lost {lost} blocks"));
            }
        }
        for (dir, names) in dirs.iter() {
            for (name, inode) in names.all() {
                let bytes = inodes.get(&inode).map(|inode| inode.blocks.now().to_vec());
                named.push(Named {
                    at,
                    path: dir.join(name),
                    bytes: bytes.unwrap_or_default(),
                    by_power_loss: true,
                });
            }
        }
    }

    fn now(&self) -> i64 {
        let passed = i64::try_from(self.trace.elapsed().as_nanos()).unwrap_or(i64::MAX);
        1_700_000_000_000_000_000 + passed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimulatedDisk {
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.state();
        if state.dirs.contains_key(path) {
            return Ok(Stat {
                special: Some("a directory"),
                ..state.stat_of(0)
            });
        }
        let (dir, name) = split(path);
        let inode = state.dirs.get(dir).and_then(|names| names.get(name));
        Ok(state.stat_of(inode.ok_or_else(not_found)?))
    }

    fn open_source(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let (dir, name) = split(path);
        let inode = self.state().dirs.get(dir).and_then(|names| names.get(name));
        let inode = inode.ok_or_else(not_found)?;
        Ok(Arc::new(Handle::open(self, inode)))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn OpenDir>> {
        if !self.state().dirs.contains_key(path) {
            return Err(not_found());
        }
        Ok(Box::new(Directory::new(self, path)))
    }

    /// It has no links, and makes no directories.
    fn open_dir_beneath(&self, root: &Path, below: &Path) -> io::Result<Box<dyn OpenDir>> {
        self.open_dir(&root.join(below))
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.state().boot)
    }

    fn simulated_delay(&self) -> Option<Duration> {
        let mut state = self.state();
        let most = u64::try_from(state.rules.slowest.as_micros()).unwrap_or(u64::MAX);
        Some(Duration::from_micros(state.dice.u64(0..=most)))
    }
}

impl State {
    fn new_inode(&mut self, now: i64) -> u64 {
        self.last_inode += 1;
        let at = self.time(now);
        let inode = Inode {
            blocks: Blocks::default(),
            modified_ns: at,
            changed_ns: at,
            synced_modified_ns: at,
            reserved: 0,
        };
        self.inodes.insert(self.last_inode, inode);
        self.last_inode
    }

    /// What got a name that is on the disk once its directory is synced.
    fn note_named(&mut self, at: u64, path: PathBuf, inode: u64) {
        let file = self.inodes.get(&inode);
        let bytes = file.map(|file| file.blocks.now().to_vec());
        self.named.push(Named {
            at,
            path,
            bytes: bytes.unwrap_or_default(),
            by_power_loss: false,
        });
    }

    /// A time that no other change has.
    fn time(&mut self, now: i64) -> i64 {
        self.times += 1;
        now + self.times
    }

    fn stat_of(&self, inode: u64) -> Stat {
        let file = self.inodes.get(&inode);
        let hides = self.rules.hides_changes;
        let time = |time: i64| if hides { 0 } else { time };
        Stat {
            fingerprint: Fingerprint {
                device: 7,
                inode: if hides { 0 } else { inode },
                size: file.map_or(0, |file| file.blocks.now().len() as u64),
                modified_ns: file.map_or(0, |file| time(file.modified_ns)),
                changed_ns: file.map_or(0, |file| time(file.changed_ns)),
            },
            special: None,
            names: 1,
            is_ours: true,
            allocated: file.map_or(0, Inode::allocated),
        }
    }

    fn room(&self) -> Room {
        let names = self.dirs.values().flat_map(Names::all);
        let used: u64 = names
            .filter_map(|(_, inode)| self.inodes.get(&inode))
            .map(Inode::allocated)
            .sum();
        Room {
            free: self.rules.capacity.saturating_sub(used),
            total: self.rules.capacity,
        }
    }

    fn draw(&mut self, in_a_thousand: u64) -> bool {
        in_a_thousand > 0 && self.dice.u64(0..1000) < in_a_thousand
    }
}

impl Inode {
    fn changed(&mut self, at: i64) {
        self.modified_ns = at;
        self.changed_ns = at;
    }

    fn allocated(&self) -> u64 {
        self.reserved.max(self.blocks.now().len() as u64)
    }
}

fn split(path: &Path) -> (&Path, &OsStr) {
    let dir = path.parent().unwrap_or(Path::new("/"));
    (dir, path.file_name().unwrap_or_default())
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn not_found() -> io::Error {
    errno(2)
}
