//! The only place that opens, names and removes files, so that a simulation
//! can replace it.

mod beneath;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod names;
mod room;
mod source;
mod target;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;
use towline_core::{Fingerprint, LocalFailure};

pub(crate) use beneath::Target;
pub use beneath::{BeneathError, check_beneath, folds_names, make_beneath};
pub use names::{KeyNames, KeyPlace, Unnameable, key_of, path_of};
pub(crate) use room::check_room;
pub(crate) use source::{Planned, changed, check_source, read_source};
pub use source::{inspect_source, kind_if_special, open_source};
pub use target::numbered;
pub(crate) use target::{TargetDir, target_failure};

fn fingerprint(meta: &Metadata) -> Fingerprint {
    Fingerprint {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified_ns: nanos(meta.mtime(), meta.mtime_nsec()),
        changed_ns: nanos(meta.ctime(), meta.ctime_nsec()),
    }
}

fn nanos(secs: i64, nanos: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// No file or socket can be opened for now, by this process or by all.
pub(crate) fn out_of_descriptors(path: &Path, error: &io::Error) -> Option<LocalFailure> {
    let none_left = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    let code = error.raw_os_error()?;
    none_left
        .contains(&code)
        .then(|| LocalFailure::OutOfDescriptors {
            path: shown(path),
            why: error.to_string(),
        })
}

/// Names this boot of the machine: what was written in an earlier one may not
/// have reached the disk.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// A path as error messages show it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
