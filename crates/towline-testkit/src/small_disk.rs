//! A small disk of its own: a file system in memory, which only root may mount.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// A disk of so many bytes; `None`, with a message, where none may be mounted.
    pub fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
        succeeds(mount.arg(dir.path())).then_some(Self(dir))
    }

    /// Where it is mounted.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Takes or gives the right to write to it. Nothing on it may be open to be written.
    pub fn read_only(&self, read_only: bool) {
        let how = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let mut mount = Command::new("mount");
        assert!(succeeds(mount.args(["-o", how]).arg(self.dir())));
    }

    /// Fills it up to the last byte with a file, which is given.
    pub fn fill(&self) -> PathBuf {
        let path = self.path("filler");
        let mut file = std::fs::File::create(&path).expect("a file can be made");
        let piece = vec![1; 64 << 10];
        let full = loop {
            if let Err(error) = file.write_all(&piece) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.dir());
    }
}

/// Runs a command that needs rights or programs which may not be there; says so
/// when it fails.
pub fn succeeds(command: &mut Command) -> bool {
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("SKIPPED: {command:?} does not work here: {why}");
    false
}

/// At once for all who look for it, and for good once nobody uses it.
pub fn unmount(dir: &Path) {
    drop(Command::new("umount").arg("-l").arg(dir).status());
}
