//! Room on the disk of a target.

use std::io;
use std::path::Path;

use rustix::fs::{StatVfs, statvfs};
use towline_core::LocalFailure;

use super::disk::{OpenFile, Room};
use super::shown;

/// Whether there is room for what a file lacks that has got `moved` of its
/// bytes, so that nothing is fetched only to find no room for it.
pub(crate) fn check_room(
    path: &Path,
    file: &dyn OpenFile,
    size: u64,
    moved: u64,
) -> Result<(), LocalFailure> {
    // What cannot be told is found out by writing.
    let (Ok(stat), Some(room)) = (file.stat(), file.room()) else {
        return Ok(());
    };
    let lacks = size.saturating_sub(stat.allocated.max(moved));
    match room.free < lacks {
        true => Err(LocalFailure::DiskFull {
            path: shown(path),
            why: shortage(room, lacks),
        }),
        false => Ok(()),
    }
}

/// There is no room, for so many bytes if that is known.
pub(super) fn disk_full(path: &Path, error: &io::Error, needed: Option<u64>) -> LocalFailure {
    let disk = path.parent().and_then(|dir| statvfs(dir).ok());
    let why = match (disk.and_then(of), needed) {
        _ if error.kind() == io::ErrorKind::QuotaExceeded => "the quota is used up".to_owned(),
        (Some(room), Some(needed)) => shortage(room, needed),
        (Some(room), None) => format!("{} bytes are free", room.free),
        _ => error.to_string(),
    };
    let path = shown(path);
    LocalFailure::DiskFull { path, why }
}

fn shortage(room: Room, needed: u64) -> String {
    let Room { free, total } = room;
    let never = match total < needed {
        true => format!("; the disk is too small for it, with {total} bytes in all"),
        false => String::new(),
    };
    format!("{needed} more bytes are needed, {free} are free{never}")
}

/// `None` where the file system does not tell.
pub(super) fn of(disk: StatVfs) -> Option<Room> {
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    (disk.f_blocks > 0).then(|| Room {
        free: bytes(disk.f_bavail),
        total: bytes(disk.f_blocks),
    })
}
