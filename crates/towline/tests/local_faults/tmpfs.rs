//! A small disk of its own: a file system in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted; unmounted when dropped.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where this user may not mount; says so.
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                eprintln!("SKIPPED: no tmpfs can be mounted here: {}", why.trim());
                None
            }
            Err(error) => {
                eprintln!("SKIPPED: no tmpfs can be mounted here: {error}");
                None
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Fills it up to the last byte with a file.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.path("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let piece = vec![1; 64 << 10];
        let full = loop {
            if let Err(error) = std::io::Write::write_all(&mut file, &piece) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.dir());
    }
}

/// At once from all who look for it, and for good once nobody uses it.
pub(crate) fn unmount(dir: &Path) {
    drop(Command::new("umount").arg("-l").arg(dir).status());
}
