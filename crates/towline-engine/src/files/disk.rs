//! The port to a file system: what the engine asks of one. The real one is in
//! [`system`](super::system); a simulation has one of its own.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use towline_core::{FileIdentity, Fingerprint};

/// A file system.
pub trait Disk: Debug + Send + Sync + 'static {
    /// What is there, behind symbolic links too.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Whether a file could be opened for reading now.
    fn may_read(&self, path: &Path) -> io::Result<()> {
        self.open_source(path).map(drop)
    }

    /// Opens a file for reading, without waiting for a FIFO's other end.
    fn open_source(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>>;

    /// Opens a directory, in which names are resolved from then on.
    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn OpenDir>>;

    /// Opens a directory beneath a chosen one, by a path of names alone: what is
    /// missing below that is made, and no symbolic link is followed. Syncing it
    /// makes the directories above it durable too, up to the chosen one.
    fn open_dir_beneath(&self, root: &Path, below: &Path) -> io::Result<Box<dyn OpenDir>>;

    /// Names this boot of the machine.
    fn boot_id(&self) -> String;

    /// In a simulation: how long the next piece of work takes. It is then done
    /// in place, and on no thread.
    fn simulated_delay(&self) -> Option<Duration> {
        None
    }
}

/// An open file.
pub trait OpenFile: Debug + Send + Sync {
    /// What it is now.
    fn stat(&self) -> io::Result<Stat>;

    /// What its file system knows it by while it is open: a descriptor.
    fn handle(&self) -> u64;

    /// Reads at a place; 0 is the end.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;

    /// Reads at a place what is in memory, without waiting for a disk; 0 is the end.
    /// `None` where nothing is, or where nobody can tell.
    fn read_now(&self, _bytes: &mut [u8], _at: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    /// As the system has it; `None` of one that is simulated.
    fn system(self: Arc<Self>) -> Option<Arc<File>> {
        None
    }

    /// Whether there is no disk to be waited for, wherever it is read.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Writes all of these at a place.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Gives an empty file its length, and reserves room for it where that can
    /// be done; fails where there is none.
    fn reserve(&self, size: u64) -> io::Result<()>;

    /// The room on its disk, where that is told.
    fn room(&self) -> Option<Room>;

    /// Lets others read and write it as the umask allows.
    fn share(&self) -> io::Result<()>;

    /// Sets when its bytes last changed.
    fn set_modified(&self, at: SystemTime) -> io::Result<()>;

    /// Until its bytes are on the disk.
    fn sync_data(&self) -> io::Result<()>;

    /// Until its bytes and all that is known of it are on the disk.
    fn sync_all(&self) -> io::Result<()>;
}

/// An open directory. No symbolic link is followed in it.
pub trait OpenDir: Debug + Send + Sync {
    /// Makes a file that only we may read; fails where the name is taken.
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>>;

    /// Makes a file without a name, as others may read and write it by the umask: it
    /// is gone with the process that has it open. `Unsupported` where there are none.
    fn create_nameless(&self) -> io::Result<Arc<dyn OpenFile>>;

    /// Gives a file without a name one, in one step; fails where that is taken.
    fn link(&self, nameless: &dyn OpenFile, name: &OsStr) -> io::Result<()>;

    /// Opens a file for reading and writing.
    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>>;

    /// What has a name.
    fn stat(&self, name: &OsStr) -> io::Result<FileIdentity>;

    /// Gives a file another name, in one step; where that is taken, its holder
    /// is replaced, or it fails.
    fn rename(&self, from: &OsStr, to: &OsStr, replace: bool) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, name: &OsStr) -> io::Result<()>;

    /// Until its names are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What tells its versions apart.
    pub fingerprint: Fingerprint,
    /// What it is, in words, unless it is a regular file.
    pub special: Option<&'static str>,
    /// How many names it has.
    pub names: u64,
    /// Whether it belongs to the user of this process.
    pub is_ours: bool,
    /// Bytes of the disk that it has, written or reserved.
    pub allocated: u64,
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// May be written.
    pub free: u64,
    /// In all.
    pub total: u64,
}
