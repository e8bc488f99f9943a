//! Room on the disk of a target.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, StatVfs, fallocate, fstatfs, fstatvfs, ftruncate, statvfs};
use rustix::io::Errno;
use towline_core::LocalFailure;

use super::shown;

/// Reserves room for all of a file, so that a full disk shows before anything
/// is fetched.
pub(super) fn reserve(file: &File, size: u64) -> rustix::io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    // A file system in memory would clear every page that it reserves, only to
    // have it written over.
    if fstatfs(file)?.f_type == TMPFS {
        return look_and_lengthen(file, size);
    }
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => look_and_lengthen(file, size),
        other => other,
    }
}

/// Where nothing can be reserved it is enough that there is room now.
fn look_and_lengthen(file: &File, size: u64) -> rustix::io::Result<()> {
    if free(&fstatvfs(file)?).is_some_and(|free| free < size) {
        return Err(Errno::NOSPC);
    }
    ftruncate(file, size)
}

/// Whether there is room for what a file lacks that has got `moved` of its
/// bytes, so that nothing is fetched only to find no room for it.
pub(crate) fn check_room(
    path: &Path,
    file: &File,
    size: u64,
    moved: u64,
) -> Result<(), LocalFailure> {
    // What cannot be told is found out by writing.
    let (Ok(meta), Ok(disk)) = (file.metadata(), fstatvfs(file)) else {
        return Ok(());
    };
    let reserved = meta.blocks().saturating_mul(512);
    let lacks = size.saturating_sub(reserved.max(moved));
    match free(&disk) {
        Some(free) if free < lacks => Err(LocalFailure::DiskFull {
            path: shown(path),
            why: shortage(&disk, lacks),
        }),
        _ => Ok(()),
    }
}

/// There is no room, for so many bytes if that is known.
pub(super) fn disk_full(path: &Path, error: &io::Error, needed: Option<u64>) -> LocalFailure {
    let disk = path.parent().and_then(|dir| statvfs(dir).ok());
    let why = match (disk, needed) {
        _ if error.kind() == io::ErrorKind::QuotaExceeded => "the quota is used up".to_owned(),
        (Some(disk), Some(needed)) if total(&disk) > 0 => shortage(&disk, needed),
        (Some(disk), None) if total(&disk) > 0 => {
            format!("{} bytes are free", free(&disk).unwrap_or(0))
        }
        _ => error.to_string(),
    };
    let path = shown(path);
    LocalFailure::DiskFull { path, why }
}

fn shortage(disk: &StatVfs, needed: u64) -> String {
    let (free, total) = (free(disk).unwrap_or(0), total(disk));
    let never = match total < needed {
        true => format!("; the disk is too small for it, with {total} bytes in all"),
        false => String::new(),
    };
    format!("{needed} more bytes are needed, {free} are free{never}")
}

/// Bytes that may be written; `None` where the file system does not tell.
fn free(disk: &StatVfs) -> Option<u64> {
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn total(disk: &StatVfs) -> u64 {
    disk.f_blocks.saturating_mul(disk.f_frsize)
}

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;
