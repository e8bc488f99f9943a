//! The disk as the kernel asks for it.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::state::{PAGE, State, kind};
use super::tree::Op;

/// Nothing is cached, so that every look reaches this disk.
const TTL: Duration = Duration::ZERO;

/// The index of a write-ahead log is shared memory, which takes pages of the
/// kernel's; everything else goes past them.
fn how_opened(name: &OsStr) -> FopenFlags {
    match name.as_encoded_bytes().ends_with(b"-shm") {
        true => FopenFlags::empty(),
        false => FopenFlags::FOPEN_DIRECT_IO,
    }
}

fn empty(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

pub(super) struct Mounted(pub(super) Arc<Mutex<State>>);

impl Mounted {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        let found = state.named(dir, name);
        match found.and_then(|ino| state.attributes(ino)) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(state.life)),
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
        let (ino, at) = (u64::from(ino), SystemTime::now());
        if let Some(size) = size {
            state.change(Op::Resize { ino, size, at });
        }
        let modified = modified.map(|time| match time {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => at,
        });
        if mode.is_some() || modified.is_some() {
            state.change(Op::Attributes {
                ino,
                mode: mode.map(|mode| (mode & 0o7777) as u16),
                modified,
                at,
            });
        }
        match state.attributes(ino) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.state();
        match state.make(dir, name, mode, false) {
            Ok(attributes) => reply.created(
                &TTL,
                &attributes,
                Generation(state.life),
                FileHandle(state.life),
                how_opened(name),
            ),
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let mut state = self.state();
        match state.make(dir, name, mode & !umask, true) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(state.life)),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let state = self.state();
        let path = state.tree.path_of(ino.into());
        reply.opened(FileHandle(state.life), how_opened(path.as_os_str()));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        match state.alive(handle) {
            Ok(()) => match state.read(ino, offset, size) {
                Ok(bytes) => reply.data(bytes),
                Err(errno) => reply.error(errno),
            },
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let written = state.alive(handle);
        match written.and_then(|()| state.write(ino, offset, data)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
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
        let reserved = state.reserve(ino, offset..end);
        empty(reserved.and_then(|()| state.allocate(ino, end)), reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        data_only: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let alive = state.alive(handle);
        empty(alive.and_then(|()| state.sync(ino, data_only)), reply);
    }

    fn fsyncdir(&self, _: &Request, dir: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.state().sync_dir(dir), reply);
    }

    fn unlink(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.state().remove(dir, name), reply);
    }

    fn rmdir(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.state().remove(dir, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        to_dir: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        empty(state.rename((dir, name), (to_dir, to), flags), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        dir: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let Some(names) = (state.tree.inodes.get(&dir.into())).and_then(|it| it.names.as_ref())
        else {
            return reply.error(Errno::ENOENT);
        };
        let entries = names.iter().enumerate().skip(offset as usize);
        for (at, (name, ino)) in entries {
            let kind = state
                .tree
                .inodes
                .get(ino)
                .map_or(FileType::RegularFile, kind);
            if reply.add(INodeNo(*ino), at as u64 + 1, kind, name) {
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
