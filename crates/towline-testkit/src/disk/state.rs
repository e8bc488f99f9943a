//! What the disk does for the kernel, healthy or not.

use std::ffi::OsStr;
use std::ops::Range;
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileHandle, FileType, INodeNo, RenameFlags};

use super::power::Recorded;
use super::tree::{Inode, Op, Tree};
use super::{Counts, Health, Watch};

/// In which room is given.
pub(super) const PAGE: u64 = 4096;

pub(super) struct State {
    pub(super) health: Health,
    pub(super) counts: Counts,
    pub(super) tree: Tree,
    pub(super) recording: Option<(Recorded, Watch)>,
    /// How often it has held something else from one moment to the next. What
    /// was opened before is no file of it any more.
    pub(super) life: u64,
    /// No number is given twice.
    last_ino: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            counts: Counts::default(),
            tree: Tree::default(),
            recording: None,
            life: 1,
            last_ino: 1,
        }
    }

    pub(super) fn hold(&mut self, tree: Tree) {
        self.life += 1;
        self.tree = tree;
    }

    /// Makes a change, and notes it.
    pub(super) fn change(&mut self, op: Op) {
        if let Some((recorded, watch)) = &mut self.recording {
            watch(recorded.ops.len());
            recorded.ops.push(op.clone());
        }
        self.tree.apply(&op);
    }

    fn used(&self) -> u64 {
        let pages = |inode: &Inode| inode.pages.iter().filter(|page| **page).count() as u64;
        self.tree.inodes.values().map(pages).sum::<u64>() * PAGE
    }

    pub(super) fn free(&self) -> u64 {
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
        self.tree
            .inodes
            .get_mut(&u64::from(ino))
            .ok_or(Errno::ENOENT)
    }

    pub(super) fn named(&self, dir: INodeNo, name: &OsStr) -> Result<u64, Errno> {
        self.tree.named(dir.into(), name).ok_or(Errno::ENOENT)
    }

    /// A file that was opened in an earlier life cannot be used any more.
    pub(super) fn alive(&self, handle: FileHandle) -> Result<(), Errno> {
        match u64::from(handle) == self.life {
            true => Ok(()),
            false => Err(Errno::EIO),
        }
    }

    pub(super) fn attributes(&self, ino: u64) -> Result<FileAttr, Errno> {
        let inode = self.tree.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: inode.bytes.len() as u64,
            blocks: inode.pages.iter().filter(|page| **page).count() as u64 * (PAGE / 512),
            atime: inode.modified,
            mtime: inode.modified,
            ctime: inode.changed,
            crtime: inode.modified,
            kind: kind(inode),
            perm: inode.mode,
            nlink: match inode.names {
                Some(_) => 2,
                None => inode.links,
            },
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Makes room on the disk for these bytes of a file.
    pub(super) fn reserve(&mut self, ino: INodeNo, range: Range<u64>) -> Result<(), Errno> {
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

    pub(super) fn make(
        &mut self,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        is_dir: bool,
    ) -> Result<FileAttr, Errno> {
        self.may_name()?;
        if self.named(dir, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let ino = self.tree.next().max(self.last_ino + 1);
        self.last_ino = ino;
        self.counts.creates += u32::from(!is_dir);
        self.change(Op::Make {
            dir: dir.into(),
            name: name.to_owned(),
            ino,
            is_dir,
            mode: (mode & 0o7777) as u16,
            at: SystemTime::now(),
        });
        self.attributes(ino)
    }

    pub(super) fn remove(&mut self, dir: INodeNo, name: &OsStr) -> Result<(), Errno> {
        self.may_name()?;
        let ino = self.named(dir, name)?;
        let holds = |inode: &Inode| inode.names.as_ref().is_some_and(|names| !names.is_empty());
        if self.tree.inodes.get(&ino).is_some_and(holds) {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(Op::Remove {
            dir: dir.into(),
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(super) fn read(&mut self, ino: INodeNo, offset: u64, size: u32) -> Result<&[u8], Errno> {
        let mut end = offset + u64::from(size);
        if let Some((bad, times)) = &mut self.health.bad_byte
            && (offset..end).contains(bad)
            && *times > 0
        {
            // What comes before it is given first, as a disk does.
            if *bad == offset {
                *times -= 1;
                self.counts.failed_reads += 1;
                return Err(Errno::EIO);
            }
            end = *bad;
        }
        let bytes = &self.inode(ino)?.bytes;
        Ok(&bytes[bytes.len().min(offset as usize)..bytes.len().min(end as usize)])
    }

    pub(super) fn write(&mut self, ino: INodeNo, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.reserve(ino, offset..offset + data.len() as u64)?;
        let range = offset as usize..offset as usize + data.len();
        self.inode(ino)?.unsynced.push(range);
        self.change(Op::Write {
            ino: ino.into(),
            offset,
            bytes: data.into(),
            at: SystemTime::now(),
        });
        Ok(())
    }

    pub(super) fn allocate(&mut self, ino: INodeNo, end: u64) -> Result<(), Errno> {
        let size = self.inode(ino)?.bytes.len() as u64;
        if end > size {
            self.change(Op::Resize {
                ino: ino.into(),
                size: end,
                at: SystemTime::now(),
            });
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, ino: INodeNo, data_only: bool) -> Result<(), Errno> {
        let fails = self.health.failing_syncs > 0;
        if fails {
            self.health.failing_syncs -= 1;
            self.counts.failed_syncs += 1;
        }
        let inode = self.inode(ino)?;
        for range in std::mem::take(&mut inode.unsynced) {
            if fails {
                inode.bytes[range].fill(0);
            }
        }
        if fails {
            return Err(Errno::EIO);
        }
        let path = self.tree.path_of(ino.into());
        self.change(Op::Sync {
            ino: ino.into(),
            path,
            data_only,
        });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: INodeNo) -> Result<(), Errno> {
        if self.health.failing_directory_syncs > 0 {
            self.health.failing_directory_syncs -= 1;
            return Err(Errno::EIO);
        }
        let path = self.tree.path_of(dir.into());
        self.change(Op::SyncDir {
            dir: dir.into(),
            path,
        });
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        self.may_name()?;
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && self.named(to.0, to.1).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.named(from.0, from.1)?;
        self.change(Op::Rename {
            from: (from.0.into(), from.1.to_owned()),
            to: (to.0.into(), to.1.to_owned()),
        });
        Ok(())
    }
}

pub(super) fn kind(inode: &Inode) -> FileType {
    match inode.names {
        Some(_) => FileType::Directory,
        None => FileType::RegularFile,
    }
}
