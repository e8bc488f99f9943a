//! The files that downloads write, and their directories.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use towline_core::{FileIdentity, LocalFailure, Timestamp};

use super::disk::{Disk, OpenDir, OpenFile};
use super::room::disk_full;
use super::source::open_source;
use super::{Target, out_of_descriptors, shown};

/// The directory of a target, held open: whatever happens to its path
/// meanwhile, names are resolved in it and no symbolic link is followed.
pub(crate) struct TargetDir {
    dir: Box<dyn OpenDir>,
    name: OsString,
    target: Target,
    path: PathBuf,
}

impl TargetDir {
    pub(crate) fn of(disk: &dyn Disk, target: &Target) -> Result<Self, LocalFailure> {
        let path = target.path();
        let name = path
            .file_name()
            .ok_or_else(|| LocalFailure::TargetUnwritable {
                path: shown(path),
                why: "it has no file name".into(),
                read_only: false,
            })?;
        Ok(Self {
            dir: target.open_dir(disk)?,
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
    pub(crate) fn create_temp(
        &self,
        temp: &str,
        size: u64,
    ) -> Result<Arc<dyn OpenFile>, LocalFailure> {
        towline_core::failpoint!("temp.begins");
        let temp = OsStr::new(temp);
        let failed = |error: io::Error| self.failure(&error);
        let file = self.dir.create(temp).map_err(failed)?;
        towline_core::failpoint!("temp.created");
        if size > 0
            && let Err(error) = file.reserve(size)
        {
            // Nothing is recorded in it yet, so a later try may start over.
            let _ = self.dir.remove(temp);
            return Err(match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    disk_full(&self.path, &error, Some(size))
                }
                _ => self.failure(&error),
            });
        }
        towline_core::failpoint!("temp.reserved");
        Ok(file)
    }

    /// Opens the temporary file again; `None` when it is not there, or is not
    /// the file that we made.
    pub(crate) fn open_temp(
        &self,
        temp: &str,
        size: u64,
    ) -> Result<Option<Arc<dyn OpenFile>>, LocalFailure> {
        let file = match self.dir.open(OsStr::new(temp)) {
            Ok(file) => file,
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::LOOP) => return Ok(None),
            Err(error) => return Err(self.failure(&error)),
        };
        let stat = file.stat().map_err(|error| self.failure(&error))?;
        let ours = stat.special.is_none()
            && stat.names == 1
            && stat.fingerprint.size == size
            && stat.is_ours;
        Ok(ours.then_some(file))
    }

    /// Writes a whole file, and gives it the target's name once it is durable and
    /// still wanted. It has none before, so that nothing is left of it whatever
    /// happens.
    pub(crate) fn put_whole(
        &self,
        bytes: &[u8],
        modified: Option<Timestamp>,
        is_wanted: impl FnOnce() -> bool,
    ) -> Result<Put, LocalFailure> {
        towline_core::failpoint!("whole.begins");
        let failed = |error: io::Error| self.failure(&error);
        let file = match self.dir.create_nameless() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(Put::Unsupported);
            }
            file => file.map_err(failed)?,
        };
        file.write_all_at(bytes, 0).map_err(failed)?;
        set_modified(&*file, modified).map_err(failed)?;
        towline_core::failpoint!("whole.written");
        file.sync_all().map_err(|error| self.sync_failed(&error))?;
        towline_core::failpoint!("whole.synced");
        if !is_wanted() {
            return Ok(Put::NotWanted);
        }
        match self.dir.link(&*file, &self.name) {
            Err(error) if is(&error, Errno::EXIST) => return Ok(Put::Taken),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(Put::Unsupported);
            }
            linked => linked.map_err(failed)?,
        }
        towline_core::failpoint!("whole.named");
        self.sync_name()?;
        Ok(Put::There)
    }

    /// Sets times and mode as the finished file has them and syncs it to disk.
    pub(crate) fn seal_temp(
        &self,
        temp: &str,
        file: &dyn OpenFile,
        modified: Option<Timestamp>,
    ) -> Result<FileIdentity, LocalFailure> {
        let failed = |error: io::Error| self.failure(&error);
        forgive(file.share(), "the mode").map_err(failed)?;
        set_modified(file, modified).map_err(failed)?;
        towline_core::failpoint!("seal.dressed");
        self.sync_temp(temp, || file.sync_all())?;
        towline_core::failpoint!("seal.synced");
        let stat = file.stat().map_err(failed)?;
        Ok(stat.fingerprint.into())
    }

    /// Makes what was written to the temporary file durable, and that it has a name.
    pub(crate) fn sync_written(&self, temp: &str, file: &dyn OpenFile) -> Result<(), LocalFailure> {
        self.sync_temp(temp, || file.sync_data().and_then(|()| self.dir.sync()))
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
            self.sync_failed(&error)
        })
    }

    fn sync_failed(&self, error: &io::Error) -> LocalFailure {
        LocalFailure::SyncFailed {
            path: shown(&self.path),
            why: error.to_string(),
        }
    }

    /// Gives the temporary file the target's name and makes that durable.
    pub(crate) fn publish(&self, temp: &str, replace: bool) -> Result<(), LocalFailure> {
        self.publish_as(temp, &self.name, replace)
    }

    fn publish_as(&self, temp: &str, name: &OsStr, replace: bool) -> Result<(), LocalFailure> {
        towline_core::failpoint!("rename.begins");
        let renamed = self.dir.rename(OsStr::new(temp), name, replace);
        renamed.map_err(|error| {
            let path = shown(&self.path);
            if is(&error, Errno::EXIST) && !replace {
                LocalFailure::TargetExists { path }
            } else if is(&error, Errno::NOENT) {
                LocalFailure::TempGone { path }
            } else {
                self.failure(&error)
            }
        })?;
        towline_core::failpoint!("rename.ended");
        self.sync_name()?;
        towline_core::failpoint!("rename.synced");
        Ok(())
    }

    /// Makes durable that the finished file has its name.
    pub(crate) fn sync_name(&self) -> Result<(), LocalFailure> {
        self.sync("it is there, but its directory could not be synced")
    }

    /// Gives it the target's name, or the first numbered one that is free:
    /// `name (1).ext`. Gives the number it took.
    pub(crate) fn publish_beside(&self, temp: &str) -> Result<Option<u32>, LocalFailure> {
        for number in (0..MOST_NUMBERS).map(|n| (n > 0).then_some(n)) {
            match self.publish_as(temp, &file_name(&numbered(&self.path, number)), false) {
                Err(LocalFailure::TargetExists { .. }) => {}
                other => return other.map(|()| number),
            }
        }
        Err(LocalFailure::TargetExists {
            path: shown(&self.path),
        })
    }

    /// Opens the file that has the target's name, or the one with a number in it,
    /// to be read. It is a regular one; where the name comes from a key, no link
    /// is followed.
    pub(crate) fn open_named(
        &self,
        disk: &dyn Disk,
        number: Option<u32>,
    ) -> Result<Arc<dyn OpenFile>, LocalFailure> {
        let path = numbered(&self.path, number);
        if !self.target.is_beneath() {
            return open_source(disk, &path).map(|(file, _)| file);
        }
        let failed = |error: io::Error| self.failure(&error);
        let file = self.dir.open(&file_name(&path)).map_err(failed)?;
        match file.stat().map_err(failed)?.special {
            None => Ok(file),
            Some(_) => Err(failed(Errno::INVAL.into())),
        }
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
        towline_core::failpoint!("unlink.begins");
        match self.dir.remove(OsStr::new(temp)) {
            Ok(()) => {
                towline_core::failpoint!("unlink.ended");
                Ok(())
            }
            Err(error) if is(&error, Errno::NOENT) => Ok(()),
            // Whoever cancels is told what is left behind, instead of waiting for a right.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(LocalFailure::TargetUnwritable {
                    path: shown(&self.path),
                    why: format!("the temporary file {temp} cannot be removed: {error}"),
                    read_only: false,
                })
            }
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Removes it so that no loss of power brings it back.
    pub(crate) fn discard_temp(&self, temp: &str) -> Result<(), LocalFailure> {
        self.remove_temp(temp)?;
        self.sync("the directory of its temporary file could not be synced")
    }

    fn sync(&self, failed: &str) -> Result<(), LocalFailure> {
        let why = |error| LocalFailure::TargetUnwritable {
            path: shown(&self.path),
            why: format!("{failed}: {error}"),
            read_only: false,
        };
        self.dir.sync().map_err(why)
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileIdentity> {
        self.dir.stat(name)
    }

    fn failure(&self, error: &io::Error) -> LocalFailure {
        target_failure(&self.path, error)
    }
}

/// What became of a file that was to be put in its place whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there, for good.
    There,
    /// Something has its name.
    Taken,
    /// It was given up before it had its name.
    NotWanted,
    /// This file system knows no files without a name.
    Unsupported,
}

/// Sets when the object was stored as the time of its file.
fn set_modified(file: &dyn OpenFile, modified: Option<Timestamp>) -> io::Result<()> {
    let Some(at) = modified else { return Ok(()) };
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    forgive(file.set_modified(time), "the time")
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
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

fn file_name(path: &Path) -> OsString {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f62_a_temporary_file_that_was_not_synced_is_gone_and_its_sync_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let place = TargetDir::of(&super::super::system::System, &Target::at(&target)).unwrap();
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
