//! The file system of this machine.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::SystemTime;

use rustix::fs::{Access, AtFlags, FallocateFlags, Mode, OFlags, RenameFlags, StatxFlags};
use rustix::io::Errno;
use towline_core::{FileIdentity, Fingerprint};

use super::disk::{Disk, OpenDir, OpenFile, Room, Stat};
use super::{beneath, room};

/// It.
#[derive(Debug)]
pub(crate) struct System;

impl Disk for System {
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        std::fs::metadata(path).map(|meta| stat(&meta))
    }

    fn may_read(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::access(path, Access::READ_OK)?)
    }

    fn open_source(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(path)?;
        Ok(Arc::new(file))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn OpenDir>> {
        Ok(Box::new(Directory {
            dir: File::open(path)?,
            beneath: None,
        }))
    }

    fn open_dir_beneath(&self, root: &Path, below: &Path) -> io::Result<Box<dyn OpenDir>> {
        Ok(Box::new(Directory {
            dir: beneath::open(root, below)?,
            beneath: Some((root.to_owned(), below.to_owned())),
        }))
    }

    fn boot_id(&self) -> String {
        static READ: OnceLock<String> = OnceLock::new();
        let read = || {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|id| id.trim().to_owned())
                .unwrap_or_default()
        };
        READ.get_or_init(read).clone() // a process has one boot
    }
}

impl OpenFile for File {
    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(|meta| stat(&meta))
    }

    fn handle(&self) -> u64 {
        u64::from(self.as_raw_fd().unsigned_abs())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, at)
    }

    #[cfg(target_os = "linux")]
    fn read_now(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        let now = rustix::io::ReadWriteFlags::NOWAIT;
        match rustix::io::preadv2(self, &mut [io::IoSliceMut::new(bytes)], at, now) {
            Ok(read) => Ok(Some(read)),
            // It is not there, or neither this kernel nor this file system can tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn system(self: Arc<Self>) -> Option<Arc<Self>> {
        Some(self)
    }

    fn is_in_memory(&self) -> bool {
        rustix::fs::fstatfs(self).is_ok_and(|there| there.f_type == TMPFS)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        // A file system in memory would clear every page that it reserves, only
        // to have it written over.
        if self.is_in_memory() {
            return look_and_lengthen(self, size);
        }
        match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => look_and_lengthen(self, size),
            reserved => reserved.map_err(io::Error::from),
        }
    }

    fn room(&self) -> Option<Room> {
        rustix::fs::fstatvfs(self).ok().and_then(room::of)
    }

    fn share(&self) -> io::Result<()> {
        self.set_permissions(Permissions::from_mode(0o666 & !umask()?))
    }

    fn set_modified(&self, at: SystemTime) -> io::Result<()> {
        Self::set_modified(self, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }
}

#[derive(Debug)]
struct Directory {
    dir: File,
    /// The chosen directory, and the way from it.
    beneath: Option<(PathBuf, PathBuf)>,
}

impl OpenDir for Directory {
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, mode)?);
        Ok(Arc::new(file))
    }

    #[cfg(target_os = "linux")]
    fn create_nameless(&self) -> io::Result<Arc<dyn OpenFile>> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.dir, ".", flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => Ok(Arc::new(File::from(file))),
            // How kernels and file systems without them say so.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn create_nameless(&self) -> io::Result<Arc<dyn OpenFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn link(&self, nameless: &dyn OpenFile, name: &OsStr) -> io::Result<()> {
        let open = format!("/proc/self/fd/{}", nameless.handle());
        let follow = AtFlags::SYMLINK_FOLLOW;
        match rustix::fs::linkat(rustix::fs::CWD, &open, &self.dir, name, follow) {
            // `/proc` is not there, or no file system may be crossed to it; or this one has
            // no links. What is wrong with the directory shows again in the usual way.
            Err(Errno::NOENT | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::ACCESS) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            linked => Ok(linked?),
        }
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn OpenFile>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::empty())?);
        Ok(Arc::new(file))
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileIdentity> {
        identity(&self.dir, name)
    }

    fn rename(&self, from: &OsStr, to: &OsStr, replace: bool) -> io::Result<()> {
        let dir = &self.dir;
        match replace {
            true => rustix::fs::renameat(dir, from, dir, to)?,
            false => rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE)?,
        }
        Ok(())
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync_all()?;
        match &self.beneath {
            Some((root, below)) if *below != Path::new("") => beneath::sync_above(root, below),
            _ => Ok(()),
        }
    }
}

/// What has a name in a directory.
pub(super) fn identity(dir: &File, name: &OsStr) -> io::Result<FileIdentity> {
    let stat = rustix::fs::statx(
        dir,
        name,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )?;
    Ok(FileIdentity {
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        size: stat.stx_size,
        modified_ns: nanos(stat.stx_mtime.tv_sec, i64::from(stat.stx_mtime.tv_nsec)),
    })
}

/// The same, of what was asked for by its path.
pub fn identity_of(meta: &Metadata) -> FileIdentity {
    stat(meta).fingerprint.into()
}

fn stat(meta: &Metadata) -> Stat {
    // Whose process this is stays as it is.
    static US: LazyLock<u32> = LazyLock::new(|| rustix::process::geteuid().as_raw());
    Stat {
        fingerprint: Fingerprint {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified_ns: nanos(meta.mtime(), meta.mtime_nsec()),
            changed_ns: nanos(meta.ctime(), meta.ctime_nsec()),
        },
        special: kind_if_special(meta),
        names: meta.nlink(),
        is_ours: meta.uid() == *US,
        allocated: meta.blocks().saturating_mul(512),
    }
}

fn nanos(secs: i64, nanos: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// What it is, in words, unless it is a regular file.
pub fn kind_if_special(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    Some(match kind {
        _ if kind.is_file() => return None,
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    })
}

/// Where nothing can be reserved it is enough that there is room now.
fn look_and_lengthen(file: &File, size: u64) -> io::Result<()> {
    if OpenFile::room(file).is_some_and(|room| room.free < size) {
        return Err(Errno::NOSPC.into());
    }
    rustix::fs::ftruncate(file, size).map_err(io::Error::from)
}

/// The umask, read once from the kernel's own words: the system call that returns
/// it would change it for a moment, for all threads.
fn umask() -> io::Result<u32> {
    const USUAL: u32 = 0o022;
    static READ: OnceLock<u32> = OnceLock::new();
    if let Some(mask) = READ.get() {
        return Ok(*mask);
    }
    let status = match std::fs::read_to_string("/proc/self/status") {
        // Not Linux.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(USUAL),
        // Guessing could give others the right to read.
        status => status?,
    };
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    Ok(*READ.get_or_init(|| mask.unwrap_or(USUAL)))
}

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_read_without_waiting_and_its_end_is_told() {
        for dir in [Path::new("/dev/shm"), &std::env::temp_dir()] {
            let path = dir.join(format!("towline-now-{}", std::process::id()));
            std::fs::write(&path, b"0123456789").unwrap();
            let file = System.open_source(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            let mut bytes = [0; 16];
            let mut read = |at| file.read_now(&mut bytes, at).unwrap();
            assert!(file.is_in_memory() || dir != Path::new("/dev/shm"));
            if let Some(read_now) = read(4) {
                assert_eq!(read_now, 6);
                assert_eq!(read(10), Some(0));
                assert_eq!(&bytes[..6], b"456789");
            }
        }
    }
}
