//! A disk that is full, read-only or failing when a test wants it to be: a file
//! system in memory behind FUSE, so that every error comes from the kernel.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};

const PAGE: u64 = 4096;
/// Nothing is cached, so that every look reaches this disk.
const TTL: Duration = Duration::ZERO;
const ROOT: u64 = 1;

/// What the disk does at the moment; tests change it while it is in use.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// Bytes that fit.
    pub(crate) capacity: u64,
    /// Reads that touch this byte fail, so many times.
    pub(crate) bad_byte: Option<(u64, u32)>,
    /// So many syncs of files fail. What was written since the last good one is
    /// lost, as Linux loses it.
    pub(crate) failing_syncs: u32,
    /// So many syncs of the directory fail.
    pub(crate) failing_directory_syncs: u32,
    /// Making, renaming and removing a file fails with this.
    pub(crate) names: Option<Errno>,
    /// Writing and reserving fails with this.
    pub(crate) writes: Option<Errno>,
    /// Room can be reserved.
    pub(crate) reserves: bool,
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
pub(crate) struct Counts {
    pub(crate) failed_reads: u32,
    pub(crate) failed_syncs: u32,
    pub(crate) creates: u32,
    pub(crate) refused_names: u32,
    /// How often somebody asked how much is free.
    pub(crate) looks: u32,
}

/// The mounted disk; unmounted when dropped.
pub(crate) struct SickDisk {
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
}

impl SickDisk {
    /// `None` where this machine mounts none; says so.
    pub(crate) fn mount(health: Health) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::new(health)));
        let mounted = fuser::spawn_mount(Disk(Arc::clone(&state)), dir.path(), &Config::default());
        match mounted {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.state().health);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for SickDisk {
    fn drop(&mut self) {
        // Also while an act that was cut short still holds a file of it.
        towline_testkit::small_disk::unmount(self.dir());
        drop(self.session.take());
    }
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    /// Which pages have room on the disk.
    pages: Vec<bool>,
    /// Written since the last sync.
    unsynced: Vec<Range<usize>>,
    mode: u16,
    links: u32,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
}

struct State {
    health: Health,
    counts: Counts,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<OsString, u64>,
    next: u64,
}

impl State {
    fn new(health: Health) -> Self {
        Self {
            health,
            counts: Counts::default(),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            next: ROOT + 1,
        }
    }

    fn used(&self) -> u64 {
        let pages = |inode: &Inode| inode.pages.iter().filter(|page| **page).count() as u64;
        self.inodes.values().map(pages).sum::<u64>() * PAGE
    }

    fn free(&self) -> u64 {
        self.health.capacity.saturating_sub(self.used())
    }

    fn may_name(&mut self) -> Result<(), Errno> {
        match self.health.names {
            Some(errno) => {
                self.counts.refused_names += 1;
                Err(errno)
            }
            None => Ok(()),
        }
    }

    fn inode(&mut self, ino: INodeNo) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&u64::from(ino)).ok_or(Errno::ENOENT)
    }

    fn named(&self, name: &OsStr) -> Result<u64, Errno> {
        self.names.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn attributes(&self, ino: u64) -> Result<FileAttr, Errno> {
        let dir = Inode {
            mode: 0o755,
            links: 2,
            ..Inode::default()
        };
        let (kind, inode) = match ino {
            ROOT => (FileType::Directory, &dir),
            ino => (
                FileType::RegularFile,
                self.inodes.get(&ino).ok_or(Errno::ENOENT)?,
            ),
        };
        let modified = inode.modified.unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: inode.bytes.len() as u64,
            blocks: inode.pages.iter().filter(|page| **page).count() as u64 * (PAGE / 512),
            atime: modified,
            mtime: modified,
            ctime: inode.changed.unwrap_or(modified),
            crtime: modified,
            kind,
            perm: inode.mode,
            nlink: inode.links,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Makes room on the disk for these bytes of a file.
    fn reserve(&mut self, ino: INodeNo, range: Range<u64>) -> Result<(), Errno> {
        if let Some(errno) = self.health.writes {
            return Err(errno);
        }
        let free = self.free();
        let inode = self.inode(ino)?;
        let pages = (range.start / PAGE) as usize..range.end.div_ceil(PAGE) as usize;
        if inode.pages.len() < pages.end {
            inode.pages.resize(pages.end, false);
        }
        let lacks = inode.pages[pages.clone()].iter().filter(|page| !**page);
        if lacks.count() as u64 * PAGE > free {
            return Err(Errno::ENOSPC);
        }
        inode.pages[pages].fill(true);
        Ok(())
    }

    fn unlink(&mut self, ino: u64) {
        // Whoever has it open goes on using it; the tests are short.
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.links = 0;
            inode.pages.fill(false);
            inode.changed = Some(SystemTime::now());
        }
    }
}

struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        match state.named(name).and_then(|ino| state.attributes(ino)) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().attributes(ino.into()) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        if let Ok(inode) = state.inode(ino) {
            if let Some(mode) = mode {
                inode.mode = (mode & 0o7777) as u16;
            }
            if let Some(size) = size {
                inode.bytes.resize(size as usize, 0);
            }
            if let Some(TimeOrNow::SpecificTime(time)) = modified {
                inode.modified = Some(time);
            }
            inode.changed = Some(SystemTime::now());
        }
        match state.attributes(ino.into()) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.state();
        if let Err(errno) = state.may_name() {
            return reply.error(errno);
        }
        let ino = state.next;
        state.next += 1;
        state.counts.creates += 1;
        let now = Some(SystemTime::now());
        let inode = Inode {
            mode: (mode & 0o7777) as u16,
            links: 1,
            modified: now,
            changed: now,
            ..Inode::default()
        };
        state.inodes.insert(ino, inode);
        state.names.insert(name.to_owned(), ino);
        match state.attributes(ino) {
            Ok(attributes) => reply.created(
                &TTL,
                &attributes,
                Generation(0),
                FileHandle(0),
                FopenFlags::FOPEN_DIRECT_IO,
            ),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        let end = offset + u64::from(size);
        if let Some((bad, times)) = &mut state.health.bad_byte
            && (offset..end).contains(bad)
            && *times > 0
        {
            // What comes before it is given first, as a disk does.
            if *bad == offset {
                *times -= 1;
                state.counts.failed_reads += 1;
                return reply.error(Errno::EIO);
            }
            let end = *bad as usize;
            return match state.inode(ino) {
                Ok(inode) => reply.data(&inode.bytes[offset as usize..end]),
                Err(errno) => reply.error(errno),
            };
        }
        match state.inode(ino) {
            Ok(inode) => {
                let len = inode.bytes.len();
                let range = len.min(offset as usize)..len.min(end as usize);
                reply.data(&inode.bytes[range]);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        if let Err(errno) = state.reserve(ino, offset..offset + data.len() as u64) {
            return reply.error(errno);
        }
        let Ok(inode) = state.inode(ino) else {
            return reply.error(Errno::ENOENT);
        };
        let range = offset as usize..offset as usize + data.len();
        if inode.bytes.len() < range.end {
            inode.bytes.resize(range.end, 0);
        }
        inode.bytes[range.clone()].copy_from_slice(data);
        inode.unsynced.push(range);
        inode.modified = Some(SystemTime::now());
        inode.changed = inode.modified;
        reply.written(data.len() as u32);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if !state.health.reserves {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let end = offset + length;
        match state.reserve(ino, offset..end).and_then(|()| {
            let inode = state.inode(ino)?;
            inode.bytes.resize(inode.bytes.len().max(end as usize), 0);
            Ok(())
        }) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        let fails = state.health.failing_syncs > 0;
        if fails {
            state.health.failing_syncs -= 1;
            state.counts.failed_syncs += 1;
        }
        let Ok(inode) = state.inode(ino) else {
            return reply.error(Errno::ENOENT);
        };
        for range in std::mem::take(&mut inode.unsynced) {
            if fails {
                inode.bytes[range].fill(0);
            }
        }
        match fails {
            true => reply.error(Errno::EIO),
            false => reply.ok(),
        }
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        if state.health.failing_directory_syncs > 0 {
            state.health.failing_directory_syncs -= 1;
            return reply.error(Errno::EIO);
        }
        reply.ok();
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        if let Err(errno) = state.may_name() {
            return reply.error(errno);
        }
        match state.names.remove(name) {
            Some(ino) => {
                state.unlink(ino);
                reply.ok();
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if let Err(errno) = state.may_name() {
            return reply.error(errno);
        }
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && state.names.contains_key(to) {
            return reply.error(Errno::EEXIST);
        }
        let Some(ino) = state.names.remove(name) else {
            return reply.error(Errno::ENOENT);
        };
        if let Some(replaced) = state.names.insert(to.to_owned(), ino) {
            state.unlink(replaced);
        }
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let entries = state.names.iter().enumerate().skip(offset as usize);
        for (at, (name, ino)) in entries {
            if reply.add(INodeNo(*ino), at as u64 + 1, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let mut state = self.state();
        state.counts.looks += 1;
        let (all, free) = (state.health.capacity / PAGE, state.free() / PAGE);
        reply.statfs(all, free, free, 0, 0, 4096, 255, 4096);
    }
}
