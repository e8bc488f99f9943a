//! The files that downloads write, and their directories.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use towline_core::{FileIdentity, LocalFailure, Timestamp};

use super::room::{disk_full, reserve};
use super::{Target, fingerprint, nanos, out_of_descriptors, shown};

/// The directory of a target, held open: whatever happens to its path
/// meanwhile, names are resolved in it and no symbolic link is followed.
pub(crate) struct TargetDir {
    dir: File,
    name: std::ffi::OsString,
    target: Target,
    path: PathBuf,
}

impl TargetDir {
    pub(crate) fn of(target: &Target) -> Result<Self, LocalFailure> {
        let path = target.path();
        let name = path
            .file_name()
            .ok_or_else(|| LocalFailure::TargetUnwritable {
                path: shown(path),
                why: "it has no file name".into(),
                read_only: false,
            })?;
        Ok(Self {
            dir: target.open_dir()?,
            name: name.to_owned(),
            path: path.to_owned(),
            target: target.clone(),
        })
    }

    /// Whether anything has the target's name, a dangling link too.
    pub(crate) fn target_exists(&self) -> bool {
        self.stat(&self.name).is_ok()
    }

    /// Makes the temporary file, readable by us alone, with `size` bytes
    /// reserved so that a full disk shows now.
    pub(crate) fn create_temp(&self, temp: &str, size: u64) -> Result<File, LocalFailure> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.dir, temp, flags, mode)
            .map(File::from)
            .map_err(|errno| self.failure(errno))?;
        if let Err(errno) = reserve(&file, size) {
            // Nothing is recorded in it yet, so a later try may start over.
            let _ = rustix::fs::unlinkat(&self.dir, temp, AtFlags::empty());
            return Err(match errno {
                Errno::NOSPC | Errno::DQUOT => disk_full(&self.path, &errno.into(), Some(size)),
                other => self.failure(other),
            });
        }
        Ok(file)
    }

    /// Opens the temporary file again; `None` when it is not there, or is not
    /// the file that we made.
    pub(crate) fn open_temp(&self, temp: &str, size: u64) -> Result<Option<File>, LocalFailure> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.dir, temp, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(self.failure(errno)),
        };
        let meta = file
            .metadata()
            .map_err(|error| target_failure(&self.path, &error))?;
        let ours = meta.is_file()
            && meta.nlink() == 1
            && meta.size() == size
            && meta.uid() == rustix::process::geteuid().as_raw();
        Ok(ours.then_some(file))
    }

    /// Sets times and mode as the finished file has them and syncs it to disk.
    pub(crate) fn seal_temp(
        &self,
        temp: &str,
        file: &File,
        modified: Option<Timestamp>,
    ) -> Result<FileIdentity, LocalFailure> {
        let failed = |error: io::Error| target_failure(&self.path, &error);
        let mode = Permissions::from_mode(0o666 & !umask().map_err(failed)?);
        forgive(file.set_permissions(mode), "the mode").map_err(failed)?;
        if let Some(at) = modified {
            let millis = u64::try_from(at.as_millis()).unwrap_or(0);
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            forgive(file.set_modified(time), "the time").map_err(failed)?;
        }
        self.sync_temp(temp, || file.sync_all())?;
        let meta = file.metadata().map_err(failed)?;
        Ok(fingerprint(&meta).into())
    }

    /// Syncs the temporary file. After a failure the kernel takes what it could
    /// not write for written, so a second sync would succeed and mean nothing:
    /// the file goes at once, and nobody finds it and trusts it.
    pub(crate) fn sync_temp(
        &self,
        temp: &str,
        sync: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), LocalFailure> {
        sync().map_err(|error| {
            if let Err(error) = self.remove_temp(temp) {
                tracing::warn!(%error, "a temporary file that could not be synced is left behind");
            }
            LocalFailure::SyncFailed {
                path: shown(&self.path),
                why: error.to_string(),
            }
        })
    }

    /// Gives the temporary file the target's name and makes that durable.
    pub(crate) fn publish(&self, temp: &str, replace: bool) -> Result<(), LocalFailure> {
        let flags = if replace {
            RenameFlags::empty()
        } else {
            RenameFlags::NOREPLACE
        };
        let renamed = if replace {
            rustix::fs::renameat(&self.dir, temp, &self.dir, &self.name)
        } else {
            rustix::fs::renameat_with(&self.dir, temp, &self.dir, &self.name, flags)
        };
        renamed.map_err(|errno| match errno {
            Errno::EXIST if !replace => LocalFailure::TargetExists {
                path: shown(&self.path),
            },
            Errno::NOENT => LocalFailure::TempGone {
                path: shown(&self.path),
            },
            other => self.failure(other),
        })?;
        self.dir
            .sync_all()
            .and_then(|()| self.target.sync_dirs_above())
            .map_err(|error| LocalFailure::TargetUnwritable {
                path: shown(&self.path),
                why: format!("it is there, but its directory could not be synced: {error}"),
                read_only: false,
            })
    }

    /// Gives it the target's name, or the first numbered one that is free:
    /// `name (1).ext`. Gives the number it took.
    pub(crate) fn publish_beside(&self, temp: &str) -> Result<Option<u32>, LocalFailure> {
        for number in (0..MOST_NUMBERS).map(|n| (n > 0).then_some(n)) {
            let beside = Self {
                dir: self
                    .dir
                    .try_clone()
                    .map_err(|error| target_failure(&self.path, &error))?,
                name: file_name(&numbered(&self.path, number)),
                target: self.target.clone(),
                path: self.path.clone(),
            };
            match beside.publish(temp, false) {
                Err(LocalFailure::TargetExists { .. }) => {}
                other => return other.map(|()| number),
            }
        }
        Err(LocalFailure::TargetExists {
            path: shown(&self.path),
        })
    }

    /// Opens what has the target's name, to be read. Only what a key led to is not
    /// followed if it is a link.
    pub(crate) fn open_existing(&self) -> Result<File, LocalFailure> {
        match self.target.is_beneath() {
            true => self.open_named(None),
            false => super::open_source(&self.path).map(|(file, _)| file),
        }
    }

    /// Opens the file that has the target's name, or the one with a number in it,
    /// to be read. It is a regular one, and no link.
    pub(crate) fn open_named(&self, number: Option<u32>) -> Result<File, LocalFailure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let name = file_name(&numbered(&self.path, number));
        let file = rustix::fs::openat(&self.dir, &name, flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| self.failure(errno))?;
        let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
        is_file
            .then_some(file)
            .ok_or_else(|| self.failure(Errno::INVAL))
    }

    /// Under which number the sealed file is there, `Some(None)` under the
    /// target's own name.
    pub(crate) fn published_as(&self, sealed: FileIdentity) -> Option<Option<u32>> {
        (0..MOST_NUMBERS)
            .map(|n| (n > 0).then_some(n))
            .map(|number| {
                (
                    number,
                    self.stat(&file_name(&numbered(&self.path, number))).ok(),
                )
            })
            // The names before its own were taken when it was renamed; some may be gone since.
            .take_while(|(number, there)| there.is_some() || number.is_none_or(|n| n < LOOK_ON))
            .find(|(_, there)| *there == Some(sealed))
            .map(|(number, _)| number)
    }

    /// What has the temporary file's name now, if anything has.
    pub(crate) fn temp_identity(&self, temp: &str) -> Option<FileIdentity> {
        self.stat(OsStr::new(temp)).ok()
    }

    pub(crate) fn remove_temp(&self, temp: &str) -> Result<(), LocalFailure> {
        match rustix::fs::unlinkat(&self.dir, temp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Whoever cancels is told what is left behind, instead of waiting for a right.
            Err(errno @ (Errno::ACCESS | Errno::PERM)) => Err(LocalFailure::TargetUnwritable {
                path: shown(&self.path),
                why: format!("the temporary file {temp} cannot be removed: {errno}"),
                read_only: false,
            }),
            Err(errno) => Err(self.failure(errno)),
        }
    }

    fn stat(&self, name: &OsStr) -> rustix::io::Result<FileIdentity> {
        use rustix::fs::{StatxFlags, statx};
        let stat = statx(
            &self.dir,
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

    fn failure(&self, errno: Errno) -> LocalFailure {
        target_failure(&self.path, &io::Error::from(errno))
    }
}

/// So many names are tried for a target whose own is taken.
const MOST_NUMBERS: u32 = 10_000;
/// Up to this number gaps are looked over.
const LOOK_ON: u32 = 100;

/// A target's path, or the one beside it with a number in its name.
pub fn numbered(path: &Path, number: Option<u32>) -> PathBuf {
    let Some(number) = number else {
        return path.to_owned();
    };
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(" ({number})"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn file_name(path: &Path) -> std::ffi::OsString {
    path.file_name().unwrap_or_default().to_owned()
}

/// What a failure at a target means: some may end by themselves.
pub(crate) fn target_failure(path: &Path, error: &io::Error) -> LocalFailure {
    use io::ErrorKind::{
        NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StaleNetworkFileHandle,
        StorageFull,
    };
    if let Some(failure) = out_of_descriptors(path, error) {
        return failure;
    }
    let (path_shown, why) = (shown(path), error.to_string());
    match error.kind() {
        StorageFull | QuotaExceeded => disk_full(path, error, None),
        NotFound | PermissionDenied | StaleNetworkFileHandle => LocalFailure::TargetAway {
            path: path_shown,
            why,
        },
        kind => LocalFailure::TargetUnwritable {
            path: path_shown,
            why,
            read_only: kind == ReadOnlyFilesystem,
        },
    }
}

/// A file system without modes or times of its own refuses them; the bytes are
/// what matters.
fn forgive(set: io::Result<()>, what: &str) -> io::Result<()> {
    match set {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            tracing::warn!(%error, what, "the file system does not keep this of a file");
            Ok(())
        }
        other => other,
    }
}

/// The umask, read from the kernel's own words: the system call that returns it
/// would change it for a moment, for all threads.
fn umask() -> io::Result<u32> {
    const USUAL: u32 = 0o022;
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
    Ok(mask.unwrap_or(USUAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f62_a_temporary_file_that_was_not_synced_is_gone_and_its_sync_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let place = TargetDir::of(&Target::at(&target)).unwrap();
        let file = place.create_temp("temp", 5).unwrap();
        let mut syncs = 0;
        let failed = place.sync_temp("temp", || {
            syncs += 1;
            Err(Errno::IO.into())
        });
        assert!(
            matches!(failed, Err(LocalFailure::SyncFailed { .. })),
            "{failed:?}"
        );
        assert_eq!(syncs, 1);
        assert_eq!(place.temp_identity("temp"), None);
        assert!(place.open_temp("temp", 5).unwrap().is_none());
        drop(file);
    }

    #[test]
    fn what_a_file_system_does_not_keep_is_forgiven_and_other_failures_are_not() {
        for (errno, forgiven) in [
            (Errno::PERM, true),
            (Errno::OPNOTSUPP, true),
            (Errno::IO, false),
            (Errno::ROFS, false),
        ] {
            assert_eq!(
                forgive(Err(errno.into()), "it").is_ok(),
                forgiven,
                "{errno}"
            );
        }
    }

    #[test]
    fn f71_f72_what_may_end_by_itself_is_told_from_what_does_not() {
        let target = Path::new("/data/target");
        let told = |errno: Errno| target_failure(target, &errno.into());
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::STALE] {
            assert!(
                matches!(told(errno), LocalFailure::TargetAway { .. }),
                "{errno}"
            );
        }
        for errno in [Errno::MFILE, Errno::NFILE] {
            assert!(
                matches!(told(errno), LocalFailure::OutOfDescriptors { .. }),
                "{errno}"
            );
        }
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert!(
                matches!(told(errno), LocalFailure::DiskFull { .. }),
                "{errno}"
            );
        }
        for (errno, read_only) in [
            (Errno::ROFS, true),
            (Errno::IO, false),
            (Errno::FBIG, false),
        ] {
            match told(errno) {
                LocalFailure::TargetUnwritable {
                    read_only: told, ..
                } => {
                    assert_eq!(told, read_only, "{errno}");
                }
                other => panic!("{errno}: {other:?}"),
            }
        }
    }
}
