//! The files that uploads read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use towline_core::{Fingerprint, LocalFailure};

use super::{fingerprint, out_of_descriptors, shown};

/// What the file at `path` is, for an upload to be planned from.
///
/// Fails where it is not there, not readable, or not a regular file.
pub fn inspect_source(path: &Path) -> Result<Fingerprint, LocalFailure> {
    open_source(path).map(|(_, fingerprint)| fingerprint)
}

/// Opens a source for reading. Nothing but a regular file is opened, as long as
/// nobody swaps it at this moment, and even then it never hangs: to open a
/// device may have effects, and a FIFO waits for its other end.
pub fn open_source(path: &Path) -> Result<(File, Fingerprint), LocalFailure> {
    let unreadable = |error: io::Error| source_failure(path, &error);
    be_regular(path, &std::fs::metadata(path).map_err(unreadable)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
        .map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    be_regular(path, &meta)?;
    Ok((file, fingerprint(&meta)))
}

fn be_regular(path: &Path, meta: &Metadata) -> Result<(), LocalFailure> {
    match kind_if_special(meta) {
        None => Ok(()),
        Some(kind) => Err(LocalFailure::SourceUnreadable {
            path: shown(path),
            why: format!("it is {kind}, not a regular file"),
            missing: false,
        }),
    }
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

/// Whether an open source is still what was planned, under its name too.
pub(crate) fn check_source(path: &Path, file: &File, planned: Planned) -> Result<(), LocalFailure> {
    let failed = |error: io::Error| source_failure(path, &error);
    for meta in [file.metadata(), std::fs::metadata(path)] {
        planned.allows(path, fingerprint(&meta.map_err(failed)?))?;
    }
    Ok(())
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
    file: &File,
    planned: Planned,
    mut bytes: &mut [u8],
    mut at: u64,
) -> Result<(), LocalFailure> {
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            // Shorter than planned: it was truncated.
            Ok(0) => {
                let now = file.metadata().map(|meta| fingerprint(&meta));
                return Err(changed(path, planned.was, now.unwrap_or(planned.was)));
            }
            Ok(read) => {
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
    Ok(())
}

fn source_failure(path: &Path, error: &io::Error) -> LocalFailure {
    out_of_descriptors(path, error).unwrap_or_else(|| LocalFailure::SourceUnreadable {
        path: shown(path),
        why: error.to_string(),
        missing: error.kind() == io::ErrorKind::NotFound,
    })
}
