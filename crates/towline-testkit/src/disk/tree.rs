//! What a disk holds: files and directories, changed by one [`Op`] at a time.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The number of a file or directory.
pub type Ino = u64;

/// The number of the disk's own directory.
pub const ROOT: Ino = 1;

/// Something that changes what a disk holds, or makes changes durable.
#[derive(Clone, Debug)]
pub enum Op {
    /// A file or a directory is made, and has this name.
    Make {
        /// In which directory.
        dir: Ino,
        /// Under which name.
        name: OsString,
        /// Its number.
        ino: Ino,
        /// Whether it is a directory.
        is_dir: bool,
        /// Its mode.
        mode: u16,
        /// When.
        at: SystemTime,
    },
    /// Bytes are written.
    Write {
        /// Into which file.
        ino: Ino,
        /// At which place.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
        /// When.
        at: SystemTime,
    },
    /// A file gets longer or shorter; what is new reads as zeros.
    Resize {
        /// Which file.
        ino: Ino,
        /// How long it is now.
        size: u64,
        /// When.
        at: SystemTime,
    },
    /// Mode or time are set.
    Attributes {
        /// Of what.
        ino: Ino,
        /// The mode, if it is set.
        mode: Option<u16>,
        /// The time of the last change, if it is set.
        modified: Option<SystemTime>,
        /// When.
        at: SystemTime,
    },
    /// A name becomes another one, and replaces what had that.
    Rename {
        /// Directory and name.
        from: (Ino, OsString),
        /// Directory and name.
        to: (Ino, OsString),
    },
    /// A name goes.
    Remove {
        /// In which directory.
        dir: Ino,
        /// Which name.
        name: OsString,
    },
    /// fsync, or fdatasync, of a file.
    Sync {
        /// Which file.
        ino: Ino,
        /// Its path on the disk at this time.
        path: PathBuf,
        /// Mode and times may be left out.
        data_only: bool,
    },
    /// fsync of a directory.
    SyncDir {
        /// Which one.
        dir: Ino,
        /// Its path on the disk at this time.
        path: PathBuf,
    },
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub struct Inode {
    /// What a file holds.
    pub bytes: Vec<u8>,
    /// What a directory holds; `None` for a file.
    pub names: Option<BTreeMap<OsString, Ino>>,
    /// Its rights.
    pub mode: u16,
    /// How many names it has.
    pub links: u32,
    /// When its content changed.
    pub modified: SystemTime,
    /// When anything of it changed.
    pub changed: SystemTime,
    /// Which pages have room on the disk.
    pub(super) pages: Vec<bool>,
    /// Written since the last sync.
    pub(super) unsynced: Vec<Range<usize>>,
}

/// All that a disk holds.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) inodes: BTreeMap<Ino, Inode>,
}

impl Inode {
    pub(super) fn new(is_dir: bool, mode: u16, at: SystemTime) -> Self {
        Self {
            bytes: Vec::new(),
            names: is_dir.then(BTreeMap::new),
            mode,
            links: 1,
            modified: at,
            changed: at,
            pages: Vec::new(),
            unsynced: Vec::new(),
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        let root = Inode::new(true, 0o755, SystemTime::UNIX_EPOCH);
        Self {
            inodes: [(ROOT, root)].into(),
        }
    }
}

impl Tree {
    /// What has this path.
    pub fn at(&self, path: &Path) -> Option<Ino> {
        path.iter()
            .try_fold(ROOT, |dir, name| self.named(dir, name))
    }

    /// The bytes of the file with this path.
    pub fn file(&self, path: &Path) -> Option<&[u8]> {
        let inode = self.inodes.get(&self.at(path)?)?;
        inode.names.is_none().then_some(&inode.bytes)
    }

    /// The names in the directory with this path.
    pub fn names(&self, path: &Path) -> Vec<String> {
        let dir = self.at(path).and_then(|ino| self.inodes.get(&ino));
        let names = dir.and_then(|dir| dir.names.as_ref());
        let names = names.into_iter().flat_map(|names| names.keys());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// What has this name in a directory.
    pub fn named(&self, dir: Ino, name: &OsStr) -> Option<Ino> {
        self.inodes.get(&dir)?.names.as_ref()?.get(name).copied()
    }

    /// The first path of a file or directory; empty for what has none, and for
    /// the disk's own directory.
    pub(super) fn path_of(&self, ino: Ino) -> PathBuf {
        let mut path = PathBuf::new();
        let mut at = ino;
        while at != ROOT {
            let found = self.inodes.iter().find_map(|(dir, inode)| {
                let names = inode.names.as_ref()?;
                let (name, _) = names.iter().find(|(_, named)| **named == at)?;
                Some((*dir, name))
            });
            let Some((dir, name)) = found else {
                return PathBuf::new();
            };
            path = match path.as_os_str().is_empty() {
                true => PathBuf::from(name),
                false => Path::new(name).join(path),
            };
            at = dir;
        }
        path
    }

    /// A number that nothing has.
    pub(super) fn next(&self) -> Ino {
        self.inodes.keys().next_back().map_or(ROOT, |last| last + 1)
    }

    pub(super) fn set_name(&mut self, dir: Ino, name: &OsStr, ino: Ino) {
        if let Some(names) = self.names_mut(dir) {
            names.insert(name.to_owned(), ino);
        }
    }

    pub(super) fn remove_name(&mut self, dir: Ino, name: &OsStr) -> Option<Ino> {
        self.names_mut(dir)?.remove(name)
    }

    fn names_mut(&mut self, dir: Ino) -> Option<&mut BTreeMap<OsString, Ino>> {
        self.inodes.get_mut(&dir)?.names.as_mut()
    }

    /// Whoever has it open goes on using it; the tests are short.
    fn unlink(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.links = 0;
            inode.pages.fill(false);
            inode.changed = SystemTime::now();
        }
    }

    /// Makes a change, as a running system shows it.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Make {
                dir,
                name,
                ino,
                is_dir,
                mode,
                at,
            } => {
                self.inodes.insert(*ino, Inode::new(*is_dir, *mode, *at));
                self.set_name(*dir, name, *ino);
            }
            Op::Rename { from, to } => {
                let Some(ino) = self.remove_name(from.0, &from.1) else {
                    return;
                };
                if let Some(replaced) = self.named(to.0, &to.1) {
                    self.unlink(replaced);
                }
                self.set_name(to.0, &to.1, ino);
            }
            Op::Remove { dir, name } => {
                if let Some(ino) = self.remove_name(*dir, name) {
                    self.unlink(ino);
                }
            }
            Op::Write { ino, .. } | Op::Resize { ino, .. } | Op::Attributes { ino, .. } => {
                if let Some(inode) = self.inodes.get_mut(ino) {
                    inode.change_bytes(op);
                    inode.change_attributes(op);
                }
            }
            Op::Sync { .. } | Op::SyncDir { .. } => {}
        }
    }
}

impl Inode {
    /// What a change does to the bytes.
    pub(super) fn change_bytes(&mut self, op: &Op) {
        match op {
            Op::Write { offset, bytes, .. } => {
                let range = *offset as usize..*offset as usize + bytes.len();
                if self.bytes.len() < range.end {
                    self.bytes.resize(range.end, 0);
                }
                self.bytes[range].copy_from_slice(bytes);
            }
            Op::Resize { size, .. } => self.bytes.resize(*size as usize, 0),
            _ => {}
        }
    }

    /// What a change does to the mode and the times.
    pub(super) fn change_attributes(&mut self, op: &Op) {
        let (at, mode, modified) = match op {
            Op::Write { at, .. } | Op::Resize { at, .. } => (*at, None, Some(*at)),
            Op::Attributes {
                mode, modified, at, ..
            } => (*at, *mode, *modified),
            _ => return,
        };
        self.changed = at;
        self.mode = mode.unwrap_or(self.mode);
        self.modified = modified.unwrap_or(self.modified);
    }
}
