//! What of a simulated disk is open.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use towline_core::FileIdentity;
use towline_engine::{OpenDir, OpenFile, Room, Stat};

use super::{SimulatedDisk, errno, not_found};

const EIO: i32 = 5;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    disk: SimulatedDisk,
    inode: u64,
    boot: u32,
}

impl Handle {
    pub(super) fn open(disk: &SimulatedDisk, inode: u64) -> Self {
        let mut state = disk.state();
        state.open.0 += 1;
        state.open.1 = state.open.1.max(state.open.0);
        Self {
            disk: disk.clone(),
            inode,
            boot: state.boot,
        }
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        let inode = self.inode;
        self.disk
            .trace
            .note(format_args!("disk: inode {inode} {what}"));
    }

    fn sync(&self, all: bool) -> io::Result<()> {
        let mut state = self.disk.state();
        assert_eq!(state.boot, self.boot, "nothing survives a loss of power");
        let fails = state.rules.failing_syncs;
        let fails = state.draw(fails);
        let lies = state.rules.syncs_lie;
        let file = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        if fails {
            file.blocks.fail_to_sync();
        } else if !lies {
            file.blocks.sync();
            if all {
                file.synced_modified_ns = file.modified_ns;
            }
        }
        drop(state);
        self.note(format_args!(
            "is synced{}",
            if fails { ", in vain" } else { "" }
        ));
        if fails { Err(errno(EIO)) } else { Ok(()) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.state().open.0 -= 1;
    }
}

impl OpenFile for Handle {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.disk.state().stat_of(self.inode))
    }

    fn handle(&self) -> u64 {
        self.inode
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fails = state.rules.errors;
        let fails = state.draw(fails);
        if fails {
            drop(state);
            self.note(format_args!("cannot be read at {at}"));
            return Err(errno(EIO));
        }
        let file = state.inodes.get(&self.inode).ok_or_else(not_found)?;
        let all = file.blocks.now();
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(all.len());
        let read = bytes.len().min(all.len() - start);
        bytes[..read].copy_from_slice(&all[start..start + read]);
        Ok(read)
    }

    fn read_now(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.read_at(bytes, at).map(Some)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let now = self.disk.now();
        let mut state = self.disk.state();
        assert_eq!(state.boot, self.boot, "nothing survives a loss of power");
        let fails = state.rules.errors;
        let fails = state.draw(fails);
        let (free, time) = (state.room().free, state.time(now));
        let file = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        let end = at + bytes.len() as u64;
        let full = end.saturating_sub(file.allocated()) > free;
        if !fails && !full {
            file.blocks
                .write(bytes, usize::try_from(at).unwrap_or(usize::MAX));
            file.changed(time);
        }
        drop(state);
        self.note(format_args!(
            "gets {} bytes at {at}, {fails} {full}",
            bytes.len()
        ));
        match (fails, full) {
            (true, _) => Err(errno(EIO)),
            (_, true) => Err(errno(ENOSPC)),
            _ => Ok(()),
        }
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.room().free < size {
            drop(state);
            self.note(format_args!("finds no room for {size} bytes"));
            return Err(errno(ENOSPC));
        }
        let file = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        file.blocks
            .lengthen(usize::try_from(size).unwrap_or(usize::MAX));
        file.reserved = size;
        Ok(())
    }

    fn room(&self) -> Option<Room> {
        Some(self.disk.state().room())
    }

    fn share(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_modified(&self, at: SystemTime) -> io::Result<()> {
        let since = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = self.disk.now();
        let mut state = self.disk.state();
        let time = state.time(now);
        let file = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        file.modified_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        file.changed_ns = time;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(false)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(true)
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(disk: &SimulatedDisk, path: &Path) -> Self {
        Self {
            disk: disk.clone(),
            path: path.to_owned(),
        }
    }

    fn find(&self, name: &OsStr) -> io::Result<u64> {
        let state = self.disk.state();
        let names = state.dirs.get(&self.path).ok_or_else(not_found)?;
        names.get(name).ok_or_else(not_found)
    }

    fn note(&self, what: &str, name: &OsStr) -> u64 {
        let name = self.path.join(name);
        self.disk
            .trace
            .note(format_args!("disk: {what} {}", name.display()))
    }
}

impl OpenDir for Directory {
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>> {
        let now = self.disk.now();
        let mut state = self.disk.state();
        let inode = state.new_inode(now);
        let names = state.dirs.get_mut(&self.path).ok_or_else(not_found)?;
        if names.get(name).is_some() {
            return Err(errno(EEXIST));
        }
        names.link(name, inode);
        if state.rules.litters {
            let stray = state.new_inode(now);
            if let Some(names) = state.dirs.get_mut(&self.path) {
                names.link("stray".as_ref(), stray);
            }
        }
        drop(state);
        self.note("new:", name);
        Ok(Arc::new(Handle::open(&self.disk, inode)))
    }

    fn create_nameless(&self) -> io::Result<Arc<dyn OpenFile>> {
        let now = self.disk.now();
        let inode = self.disk.state().new_inode(now);
        self.note("new, without a name, in", "".as_ref());
        Ok(Arc::new(Handle::open(&self.disk, inode)))
    }

    fn link(&self, nameless: &dyn OpenFile, name: &OsStr) -> io::Result<()> {
        if self.find(name).is_ok() {
            return Err(errno(EEXIST));
        }
        let (inode, at) = (nameless.handle(), self.note("linked as", name));
        let mut state = self.disk.state();
        state.note_named(at, self.path.join(name), inode);
        let lies = state.rules.renames_lie;
        let names = state.dirs.get_mut(&self.path).ok_or_else(not_found)?;
        if !lies {
            names.link(name, inode);
        }
        Ok(())
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>> {
        let inode = self.find(name)?;
        Ok(Arc::new(Handle::open(&self.disk, inode)))
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileIdentity> {
        let inode = self.find(name)?;
        Ok(self.disk.state().stat_of(inode).fingerprint.into())
    }

    fn rename(&self, from: &OsStr, to: &OsStr, replace: bool) -> io::Result<()> {
        let inode = self.find(from)?;
        if !replace && self.find(to).is_ok() {
            return Err(errno(EEXIST));
        }
        let at = self.note("renamed to", to);
        let mut state = self.disk.state();
        state.note_named(at, self.path.join(to), inode);
        let lies = state.rules.renames_lie;
        let names = state.dirs.get_mut(&self.path).ok_or_else(not_found)?;
        if !lies {
            names.rename(from, to);
        }
        Ok(())
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.find(name)?;
        let mut state = self.disk.state();
        let keeps = state.rules.keeps_removed;
        let names = state.dirs.get_mut(&self.path).ok_or_else(not_found)?;
        if !keeps {
            names.unlink(name);
        }
        drop(state);
        self.note("removed:", name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fails = state.rules.failing_syncs;
        let fails = state.draw(fails);
        let lies = state.rules.syncs_lie;
        let names = state.dirs.get_mut(&self.path).ok_or_else(not_found)?;
        if !fails && !lies {
            names.sync();
        }
        drop(state);
        self.note(if fails { "cannot sync" } else { "synced:" }, "".as_ref());
        if fails { Err(errno(EIO)) } else { Ok(()) }
    }
}
