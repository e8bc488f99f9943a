//! Where a download goes, and how its directory is reached: by its path, or,
//! where the path below a chosen directory comes from a key, beneath that
//! directory, whoever swaps what is in it for links meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use towline_core::{FileIdentity, LocalFailure, Spec};

use super::disk::{Disk, OpenDir};
use super::system::identity;
use super::target_failure;

/// Where a download goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    path: PathBuf,
    /// The directory that was chosen, where what is below it comes from a key.
    root: Option<PathBuf>,
}

impl Target {
    pub(crate) fn of(spec: &Spec) -> Self {
        Self::new(&spec.path, spec.options.root_depth)
    }

    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        Self::new(path, None)
    }

    pub(super) fn new(path: &Path, root_depth: Option<u32>) -> Self {
        Self {
            path: path.to_owned(),
            root: root_depth.map(|depth| root_of(path, depth)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its name comes from a key.
    pub(super) fn is_beneath(&self) -> bool {
        self.root.is_some()
    }

    /// Its directory's path.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// The target's directory. Beneath a chosen one, what is missing is made.
    pub(super) fn open_dir(&self, disk: &dyn Disk) -> Result<Box<dyn OpenDir>, LocalFailure> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        let opened = match &self.root {
            None => disk.open_dir(parent),
            Some(root) => below(parent, root)
                .map_err(io::Error::from)
                .and_then(|below| disk.open_dir_beneath(root, below)),
        };
        opened.map_err(|error| target_failure(&self.path, &error))
    }
}

/// The directory at a path of names beneath another one. What is missing is made.
pub(super) fn open(root: &Path, below: &Path) -> io::Result<File> {
    let root = File::open(root)?;
    if below == Path::new("") {
        return Ok(root);
    }
    let dir = at_once(&root, below).unwrap_or_else(|| step_by_step(&root, below, true, |_| Ok(())));
    Ok(dir?)
}

/// Makes the directories durable that are between the two, and the upper one.
pub(super) fn sync_above(root: &Path, below: &Path) -> io::Result<()> {
    step_by_step(&File::open(root)?, below, false, File::sync_all)?;
    Ok(())
}

/// Why a path below a chosen directory is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeneathError {
    /// A component of it is a symbolic link, or no directory.
    #[error("{} is {what}, and what comes from a key goes into directories alone", name.display())]
    NoDirectory {
        /// The component.
        name: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It leads out of the directory.
    #[error("it leads out of the chosen directory")]
    LeadsOut,
    /// The system's words.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<BeneathError> for io::Error {
    fn from(error: BeneathError) -> Self {
        match error {
            BeneathError::Io(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

/// Whether a file can be put at `path`, of which `root_depth` components name a
/// chosen directory: what is there between the two are directories and no links,
/// and what has its name, if anything has, is a regular file or a link. Makes
/// nothing.
pub fn check_beneath(path: &Path, root_depth: u32) -> Result<(), BeneathError> {
    let root = root_of(path, root_depth);
    let parent = path.parent().ok_or(BeneathError::LeadsOut)?;
    let name = path.file_name().ok_or(BeneathError::LeadsOut)?;
    let below = below(parent, &root)?;
    let dir = match step_by_step(&File::open(&root)?, below, false, |_| Ok(())) {
        Ok(dir) => dir,
        // Where no directory is, nothing can be in the way.
        Err(BeneathError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match what_it_is(&dir, name) {
        Ok(None | Some("a symbolic link")) => Ok(()),
        Ok(Some(what)) => Err(BeneathError::NoDirectory {
            name: name.into(),
            what,
        }),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}

/// Makes a directory below a chosen one, and those above it, and makes all of
/// them durable. No link is followed.
pub fn make_beneath(root: &Path, dir: &Path) -> Result<(), BeneathError> {
    let names = |component| matches!(component, Component::Normal(_));
    if !dir.components().all(names) {
        return Err(BeneathError::LeadsOut);
    }
    let root = File::open(root)?;
    step_by_step(&root, dir, true, |_| Ok(()))?.sync_all()?;
    step_by_step(&root, dir, false, File::sync_all)?;
    Ok(())
}

/// Removes a regular file below a chosen directory, if it is still what was seen,
/// and the directories between the two that become empty by it. Gives whether it
/// was. No link is followed, and none is removed.
pub fn remove_beneath(root: &Path, file: &Path, seen: &FileIdentity) -> Result<bool, BeneathError> {
    let names = |component| matches!(component, Component::Normal(_));
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(BeneathError::LeadsOut);
    };
    if !file.components().all(names) {
        return Err(BeneathError::LeadsOut);
    }
    let root = File::open(root)?;
    let dir = match step_by_step(&root, parent, false, |_| Ok(())) {
        Ok(dir) => dir,
        // What was seen is not there any more.
        Err(BeneathError::NoDirectory { .. }) => return Ok(false),
        Err(BeneathError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    match what_it_is(&dir, name) {
        Ok(None) if identity(&dir, name)? == *seen => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(io::Error::from(errno).into()),
    }
    unlinkat(&dir, name, AtFlags::empty()).map_err(io::Error::from)?;
    for dir in parent.ancestors() {
        let (Some(above), Some(name)) = (dir.parent(), dir.file_name()) else {
            break;
        };
        let Ok(above) = step_by_step(&root, above, false, |_| Ok(())) else {
            break;
        };
        if unlinkat(&above, name, AtFlags::REMOVEDIR).is_err() {
            break; // it is not empty, or it is to stay
        }
    }
    Ok(true)
}

/// Whether the file system takes names for one another in this directory that
/// differ in case, or in their Unicode form: tried with a file, which is removed.
pub fn folds_names(dir: &Path) -> io::Result<bool> {
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!(".towline-\u{e9}{random:016x}.part");
    let dir = File::open(dir)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&dir, &name, flags, Mode::RUSR | Mode::WUSR)?;
    let others = [name.to_uppercase(), name.replace('\u{e9}', "e\u{301}")];
    let there = |name: &String| statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let folds = others.iter().any(there);
    unlinkat(&dir, &name, AtFlags::empty())?;
    Ok(folds)
}

fn root_of(path: &Path, depth: u32) -> PathBuf {
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    let root = path.has_root().then_some(Component::RootDir);
    let named = path.components().filter(|c| *c != Component::RootDir);
    root.into_iter().chain(named.take(depth)).collect()
}

/// The path from the chosen directory to one in it, of names alone.
fn below<'a>(dir: &'a Path, root: &Path) -> Result<&'a Path, BeneathError> {
    let below = dir.strip_prefix(root).map_err(|_| BeneathError::LeadsOut)?;
    let names = |component| matches!(component, Component::Normal(_));
    match below.components().all(names) {
        true => Ok(below),
        false => Err(BeneathError::LeadsOut),
    }
}

const DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// One system call where the kernel has it and all directories are there.
#[cfg(target_os = "linux")]
fn at_once(root: &File, below: &Path) -> Option<Result<File, BeneathError>> {
    use rustix::fs::{ResolveFlags, openat2};
    if below.as_os_str().is_empty() {
        return None;
    }
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let dir = openat2(root, below, DIR, Mode::empty(), how).ok()?;
    Some(Ok(dir.into())) // what it does not open, the long way says why
}

#[cfg(not(target_os = "linux"))]
fn at_once(_root: &File, _below: &Path) -> Option<Result<File, BeneathError>> {
    None
}

/// Opens one directory after the other, each in the one before, and calls `each`
/// with all but the last.
fn step_by_step(
    root: &File,
    below: &Path,
    make: bool,
    each: impl Fn(&File) -> io::Result<()>,
) -> Result<File, BeneathError> {
    let mut dir = root.try_clone()?;
    let mut shown = PathBuf::new();
    for component in below.components() {
        each(&dir)?;
        let name = component.as_os_str();
        shown.push(name);
        let mut next = openat(&dir, name, DIR, Mode::empty());
        if make && matches!(next, Err(Errno::NOENT)) {
            match mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            next = openat(&dir, name, DIR, Mode::empty());
        }
        dir = match next {
            Ok(next) => next.into(),
            Err(errno @ (Errno::LOOP | Errno::NOTDIR)) => {
                let what = match what_it_is(&dir, name) {
                    Ok(what) => what.unwrap_or("a file"),
                    Err(_) => return Err(io::Error::from(errno).into()),
                };
                return Err(BeneathError::NoDirectory { name: shown, what });
            }
            Err(errno) => return Err(io::Error::from(errno).into()),
        };
    }
    Ok(dir)
}

/// What has a name in a directory, unless it is a regular file.
fn what_it_is(dir: &File, name: &OsStr) -> rustix::io::Result<Option<&'static str>> {
    use rustix::fs::FileType;
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some("a symbolic link"),
        FileType::Directory => Some("a directory"),
        _ => Some("a device, a FIFO or a socket"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::files::TargetDir;
    use crate::files::system::System;

    /// A chosen directory `root`, and `outside` beside it, which nothing may touch.
    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(place.root()).unwrap();
            std::fs::create_dir(place.outside()).unwrap();
            place
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("root")
        }

        fn outside(&self) -> PathBuf {
            self.0.path().join("outside")
        }

        fn depth(&self) -> u32 {
            u32::try_from(self.root().components().count() - 1).unwrap()
        }

        fn target(&self, below: &str) -> Target {
            Target::new(&self.root().join(below), Some(self.depth()))
        }

        /// As a download does it.
        fn write(&self, below: &str) -> Result<(), LocalFailure> {
            let target = self.target(below);
            let temp = format!("temp-{}", fastrand::u64(..));
            let file = TargetDir::of(&System, &target)?.create_temp(&temp, 3)?;
            file.write_all_at(b"new", 0).unwrap();
            TargetDir::of(&System, &target)?.seal_temp(&temp, &*file, None)?;
            TargetDir::of(&System, &target)?.publish(&temp, true)
        }

        fn is_untouched_outside(&self) -> bool {
            std::fs::read_dir(self.outside()).unwrap().count() == 0
        }
    }

    #[test]
    fn s15_directories_are_made_beneath_the_chosen_one_and_files_appear_in_them() {
        let place = Place::new();
        place.write("a/b/c/file").unwrap();
        place.write("a/b/other").unwrap();
        place.write("top").unwrap();
        for file in ["a/b/c/file", "a/b/other", "top"] {
            assert_eq!(std::fs::read(place.root().join(file)).unwrap(), b"new");
        }
        make_beneath(&place.root(), Path::new("x/y")).unwrap();
        assert!(place.root().join("x/y").is_dir());
    }

    #[test]
    fn s16_no_symbolic_link_is_followed_wherever_it_is_and_wherever_it_leads() {
        let place = Place::new();
        std::fs::create_dir_all(place.root().join("a/within")).unwrap();
        symlink(place.outside(), place.root().join("out")).unwrap();
        symlink("../../outside", place.root().join("a/out")).unwrap();
        symlink("within", place.root().join("a/in")).unwrap();
        for below in ["out/file", "out/new/file", "a/out/file", "a/in/file"] {
            let refused = place.write(below);
            assert!(
                matches!(&refused, Err(LocalFailure::TargetUnwritable { why, .. }) if why.contains("a symbolic link")),
                "{below}: {refused:?}"
            );
            assert!(check_beneath(&place.root().join(below), place.depth()).is_err());
            assert!(make_beneath(&place.root(), Path::new(below)).is_err());
        }
        assert!(place.is_untouched_outside());
        assert_eq!(
            std::fs::read_dir(place.root().join("a/within"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn s16_a_link_with_the_name_of_the_file_is_replaced_and_what_it_leads_to_stays() {
        let place = Place::new();
        let precious = place.0.path().join("precious");
        std::fs::write(&precious, "old").unwrap();
        symlink(&precious, place.root().join("file")).unwrap();
        place.write("file").unwrap();
        assert_eq!(std::fs::read(&precious).unwrap(), b"old");
        assert_eq!(std::fs::read(place.root().join("file")).unwrap(), b"new");
        assert!(!place.root().join("file").is_symlink());
    }

    #[test]
    fn s15_a_path_that_is_no_names_alone_leads_out_and_is_not_used() {
        let place = Place::new();
        for below in ["../outside/file", "a/../../outside/file", ".."] {
            assert!(place.write(below).is_err(), "{below}");
            assert!(check_beneath(&place.root().join(below), place.depth()).is_err());
            assert!(make_beneath(&place.root(), Path::new(below)).is_err());
        }
        assert!(make_beneath(&place.root(), &place.outside().join("x")).is_err());
        assert!(place.is_untouched_outside());
        assert!(!place.root().join("a").exists());
    }

    #[test]
    fn f73_a_file_where_a_directory_is_needed_and_a_directory_where_a_file_is_are_told() {
        let place = Place::new();
        place.write("a").unwrap();
        place.write("b/c").unwrap();
        for (below, what) in [("a/x", "a is a file"), ("b", "b is a directory")] {
            let told = check_beneath(&place.root().join(below), place.depth()).unwrap_err();
            assert!(told.to_string().starts_with(what), "{told}");
            assert!(place.write(below).is_err());
        }
        assert_eq!(std::fs::read(place.root().join("a")).unwrap(), b"new");
    }

    #[test]
    fn s16_a_file_is_removed_beneath_the_chosen_directory_if_it_is_the_one_that_was_seen() {
        let place = Place::new();
        for file in ["a/b/c", "a/x", "top"] {
            place.write(file).unwrap();
        }
        let seen = |below: &str| {
            let meta = std::fs::symlink_metadata(place.root().join(below)).unwrap();
            crate::files::identity_of(&meta)
        };
        let remove = |below: &str, seen: &FileIdentity| {
            remove_beneath(&place.root(), Path::new(below), seen)
        };
        let c = seen("a/b/c");
        assert!(!remove("a/x", &c).unwrap(), "it is another file");
        assert!(remove("a/b/c", &c).unwrap());
        assert!(!place.root().join("a/b").exists(), "it became empty");
        assert!(place.root().join("a/x").exists());
        assert!(!remove("a/b/c", &c).unwrap(), "it is gone");
        // Another file of its name, and a link in its way.
        let top = seen("top");
        std::fs::write(place.root().join("top"), "other").unwrap();
        assert!(!remove("top", &top).unwrap());
        std::fs::write(place.outside().join("x"), "new").unwrap();
        let x = seen("a/x");
        std::fs::rename(place.root().join("a"), place.root().join("was")).unwrap();
        symlink(place.outside(), place.root().join("a")).unwrap();
        assert!(!remove("a/x", &x).unwrap());
        assert!(!remove("a", &x).unwrap());
        assert!(place.outside().join("x").exists() && place.root().join("a").is_symlink());
        assert!(remove("../outside/x", &x).is_err());
        // The chosen directory itself stays.
        assert!(remove("was/x", &x).unwrap());
        let top = seen("top");
        assert!(remove("top", &top).unwrap());
        std::fs::remove_file(place.root().join("a")).unwrap();
        assert_eq!(std::fs::read_dir(place.root()).unwrap().count(), 0);
    }

    #[test]
    fn s17_a_file_is_ours_alone_until_it_is_whole_and_then_as_the_umask_says() {
        let place = Place::new();
        let target = place.target("a/file");
        let dir = TargetDir::of(&System, &target).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let file = dir.create_temp("temp", 3).unwrap();
        let temp = place.root().join("a/temp");
        assert_eq!(mode(&temp), 0o600);
        let usual = place.0.path().join("usual");
        std::fs::write(&usual, "").unwrap();
        dir.seal_temp("temp", &*file, None).unwrap();
        assert_eq!(mode(&temp), mode(&usual));
    }

    #[test]
    fn a_directory_of_this_machine_folds_names_or_not_and_nothing_is_left_of_the_trial() {
        let place = Place::new();
        let folds = folds_names(&place.root()).unwrap();
        std::fs::write(place.root().join("x"), "").unwrap();
        assert_eq!(folds, place.root().join("X").exists());
        assert_eq!(std::fs::read_dir(place.root()).unwrap().count(), 1);
    }

    /// Bounded here; for longer by `TOWLINE_SWAP_SECONDS`.
    #[cfg(target_os = "linux")]
    #[test]
    fn s16_while_a_directory_is_swapped_for_a_link_all_the_time_nothing_is_written_outside() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let seconds = std::env::var("TOWLINE_SWAP_SECONDS").ok();
        let seconds = seconds.map_or(1, |text| text.parse().unwrap());
        let place = Place::new();
        let (dir, link) = (place.root().join("a"), place.root().join("link"));
        std::fs::create_dir_all(dir.join("b")).unwrap();
        symlink(place.outside(), &link).unwrap();
        std::fs::create_dir(place.outside().join("b")).unwrap();
        let over = AtomicBool::new(false);
        let (mut written, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let begun = Instant::now();
            // On a slow machine until each has been seen.
            while begun.elapsed() < Duration::from_secs(seconds) || written < 20 || refused < 20 {
                match place.write("a/b/file") {
                    Ok(()) => written += 1,
                    Err(_) => refused += 1,
                }
                if begun.elapsed() > Duration::from_secs(seconds + 60) {
                    break;
                }
            }
            over.store(true, Relaxed);
        });
        assert_eq!(std::fs::read_dir(place.outside()).unwrap().count(), 1);
        assert_eq!(
            std::fs::read_dir(place.outside().join("b"))
                .unwrap()
                .count(),
            0
        );
        assert!(
            written >= 20 && refused >= 20,
            "{written} written, {refused} refused"
        );
    }
}
