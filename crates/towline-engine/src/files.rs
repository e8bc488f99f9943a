//! The only place that opens, names and removes files, so that a simulation
//! can replace it.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use towline_core::{FileIdentity, Fingerprint, LocalFailure, Timestamp};

/// What the file at `path` is, for an upload to be planned from.
///
/// Fails where it is not there, not readable, or not a regular file.
pub fn inspect_source(path: &Path) -> Result<Fingerprint, LocalFailure> {
    open_source(path).map(|(_, fingerprint)| fingerprint)
}

/// Opens a source for reading. Never hangs on a FIFO or device.
pub(crate) fn open_source(path: &Path) -> Result<(File, Fingerprint), LocalFailure> {
    let unreadable = |error: io::Error| source_failure(path, &error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0))
        .open(path)
        .map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        let kind = if meta.is_dir() {
            "it is a directory"
        } else {
            "it is not a regular file"
        };
        return Err(LocalFailure::SourceUnreadable {
            path: shown(path),
            why: kind.into(),
            missing: false,
        });
    }
    Ok((file, fingerprint(&meta)))
}

/// Whether an open source is still what was planned, under its name too.
pub(crate) fn check_source(
    path: &Path,
    file: &File,
    planned: Fingerprint,
) -> Result<(), LocalFailure> {
    let changed = || LocalFailure::SourceChanged { path: shown(path) };
    let open = file
        .metadata()
        .map_err(|error| source_failure(path, &error))?;
    if fingerprint(&open) == planned {
        Ok(())
    } else {
        Err(changed())
    }
}

pub(crate) fn source_failure(path: &Path, error: &io::Error) -> LocalFailure {
    LocalFailure::SourceUnreadable {
        path: shown(path),
        why: error.to_string(),
        missing: error.kind() == io::ErrorKind::NotFound,
    }
}

fn fingerprint(meta: &std::fs::Metadata) -> Fingerprint {
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

/// The directory of a target, held open: whatever happens to its path
/// meanwhile, names are resolved in it and no symbolic link is followed.
pub(crate) struct TargetDir {
    dir: File,
    name: std::ffi::OsString,
    path: PathBuf,
}

impl TargetDir {
    pub(crate) fn of(target: &Path) -> Result<Self, LocalFailure> {
        let fail = |why: &str| LocalFailure::TargetUnwritable {
            path: shown(target),
            why: why.into(),
            read_only: false,
        };
        let name = target
            .file_name()
            .ok_or_else(|| fail("it has no file name"))?
            .to_owned();
        let parent = target.parent().ok_or_else(|| fail("it has no directory"))?;
        let dir = File::open(parent).map_err(|error| target_failure(target, &error))?;
        Ok(Self {
            dir,
            name,
            path: target.to_owned(),
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
        let reserve = || -> rustix::io::Result<()> {
            if size == 0 {
                return Ok(());
            }
            if rustix::fs::fstatfs(&file)?.f_type == TMPFS {
                return reserve_in_memory(&file, size);
            }
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    rustix::fs::ftruncate(&file, size)
                }
                other => other,
            }
        };
        if let Err(errno) = reserve() {
            // Nothing is recorded in it yet, so a later try may start over.
            let _ = rustix::fs::unlinkat(&self.dir, temp, AtFlags::empty());
            return Err(self.failure(errno));
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
        file: &File,
        modified: Option<Timestamp>,
    ) -> Result<FileIdentity, LocalFailure> {
        let seal = || -> io::Result<FileIdentity> {
            let mask = umask();
            file.set_permissions(Permissions::from_mode(0o666 & !mask))?;
            if let Some(at) = modified {
                let millis = u64::try_from(at.as_millis()).unwrap_or(0);
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))?;
            }
            file.sync_all()?;
            Ok(fingerprint(&file.metadata()?).into())
        };
        seal().map_err(|error| target_failure(&self.path, &error))
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
            .map_err(|error| target_failure(&self.path, &error))
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

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// A file system in memory would clear every page it reserves, only to have it
/// written over; there it is enough to look whether there is room.
fn reserve_in_memory(file: &File, size: u64) -> rustix::io::Result<()> {
    let room = rustix::fs::fstatvfs(file)?;
    if room.f_blocks > 0 && room.f_bavail.saturating_mul(room.f_frsize) < size {
        return Err(Errno::NOSPC);
    }
    rustix::fs::ftruncate(file, size)
}

pub(crate) fn target_failure(path: &Path, error: &io::Error) -> LocalFailure {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => LocalFailure::DiskFull { path: shown(path) },
        kind => LocalFailure::TargetUnwritable {
            path: shown(path),
            why: error.to_string(),
            read_only: kind == ReadOnlyFilesystem,
        },
    }
}

/// The umask, read from the kernel's own words: the system call that returns it
/// would change it for a moment, for all threads.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o022)
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
