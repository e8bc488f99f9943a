//! The files that uploads read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use towline_core::{Fingerprint, LocalFailure};

use super::disk::{Disk, OpenFile, Stat};
use super::system::System;
use super::{out_of_descriptors, shown};

/// What the file at `path` is, for an upload to be planned from.
///
/// Fails where it is not there, not readable, or not a regular file.
pub fn inspect_source(path: &Path) -> Result<Fingerprint, LocalFailure> {
    inspect(&System, path)
}

/// The same, on any disk.
pub(crate) fn inspect(disk: &dyn Disk, path: &Path) -> Result<Fingerprint, LocalFailure> {
    let found = look_at_source(disk, path)?;
    disk.may_read(path)
        .map_err(|error| source_failure(path, &error))?;
    Ok(found)
}

/// The same of one that is known to be readable.
pub(crate) fn look_at_source(disk: &dyn Disk, path: &Path) -> Result<Fingerprint, LocalFailure> {
    let stat = disk
        .stat(path)
        .map_err(|error| source_failure(path, &error))?;
    be_regular(path, &stat)?;
    Ok(stat.fingerprint)
}

/// Opens a source for reading. Nothing but a regular file is opened, as long as
/// nobody swaps it at this moment, and even then it never hangs: to open a
/// device may have effects, and a FIFO waits for its other end.
pub(crate) fn open_source(
    disk: &dyn Disk,
    path: &Path,
) -> Result<(Arc<dyn OpenFile>, Fingerprint), LocalFailure> {
    let unreadable = |error: io::Error| source_failure(path, &error);
    be_regular(path, &disk.stat(path).map_err(unreadable)?)?;
    let file = disk.open_source(path).map_err(unreadable)?;
    let stat = file.stat().map_err(unreadable)?;
    be_regular(path, &stat)?;
    Ok((file, stat.fingerprint))
}

fn be_regular(path: &Path, stat: &Stat) -> Result<(), LocalFailure> {
    match stat.special {
        None => Ok(()),
        Some(kind) => Err(LocalFailure::SourceUnreadable {
            path: shown(path),
            why: format!("it is {kind}, not a regular file"),
            missing: false,
        }),
    }
}

/// A source as it was planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) was: Fingerprint,
    /// It may have got longer, as long as the bytes that it had are the same.
    pub(crate) may_grow: bool,
}

impl Planned {
    /// Whether what was found can be what was planned.
    pub(crate) fn allows(self, path: &Path, found: Fingerprint) -> Result<(), LocalFailure> {
        let Self { was, may_grow } = self;
        let grown = (found.device, found.inode) == (was.device, was.inode)
            && found.size >= was.size
            && may_grow;
        if found == was || grown {
            Ok(())
        } else {
            Err(changed(path, was, found))
        }
    }
}

/// Whether the source that was opened as planned is so still: its name says so, since
/// it is that of the same file.
pub(crate) fn check_source(
    disk: &dyn Disk,
    path: &Path,
    planned: Planned,
) -> Result<(), LocalFailure> {
    let stat = disk
        .stat(path)
        .map_err(|error| source_failure(path, &error))?;
    planned.allows(path, stat.fingerprint)
}

/// A source that is not what was planned, and in what it differs.
pub(crate) fn changed(path: &Path, was: Fingerprint, found: Fingerprint) -> LocalFailure {
    let same_file = (was.device, was.inode) == (found.device, found.inode);
    let (was, is) = (was.size, found.size);
    let why = match (same_file, is) {
        (false, _) => "another file has its name now".to_owned(),
        (true, is) if is > was => {
            format!(
                "it grew from {was} to {is} bytes; to upload what a growing file had at first, \
                 allow it to grow (when_source_changes, --on-change)"
            )
        }
        (true, is) if is < was => format!("it shrank from {was} to {is} bytes"),
        (true, _) => "it was written to, or its times, names or rights were changed".to_owned(),
    };
    LocalFailure::SourceChanged {
        path: shown(path),
        why,
    }
}

/// Fills `bytes` from the source, at a place in it.
pub(crate) fn read_source(
    path: &Path,
    file: &dyn OpenFile,
    planned: Planned,
    bytes: &mut [u8],
    at: u64,
) -> Result<(), LocalFailure> {
    let read = |bytes: &mut [u8], at| file.read_at(bytes, at).map(Some);
    fill(path, file, planned, bytes, at, read).map(drop)
}

/// The same without waiting for a disk; gives whether all of it was in memory.
pub(crate) fn read_source_now(
    path: &Path,
    file: &dyn OpenFile,
    planned: Planned,
    bytes: &mut [u8],
    at: u64,
) -> Result<bool, LocalFailure> {
    let read = |bytes: &mut [u8], at| file.read_now(bytes, at);
    fill(path, file, planned, bytes, at, read)
}

fn fill(
    path: &Path,
    file: &dyn OpenFile,
    planned: Planned,
    mut bytes: &mut [u8],
    mut at: u64,
    read: impl Fn(&mut [u8], u64) -> io::Result<Option<usize>>,
) -> Result<bool, LocalFailure> {
    while !bytes.is_empty() {
        match read(bytes, at) {
            Ok(None) => return Ok(false),
            // Shorter than planned: it was truncated.
            Ok(Some(0)) => {
                let now = file.stat().map(|stat| stat.fingerprint);
                return Err(changed(path, planned.was, now.unwrap_or(planned.was)));
            }
            Ok(Some(read)) => {
                at += read as u64;
                bytes = &mut bytes[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(LocalFailure::SourceReadFailed {
                    path: shown(path),
                    offset: at,
                    why: error.to_string(),
                });
            }
        }
    }
    Ok(true)
}

fn source_failure(path: &Path, error: &io::Error) -> LocalFailure {
    out_of_descriptors(path, error).unwrap_or_else(|| LocalFailure::SourceUnreadable {
        path: shown(path),
        why: error.to_string(),
        missing: error.kind() == io::ErrorKind::NotFound,
    })
}
