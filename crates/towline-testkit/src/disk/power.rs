//! What a disk may hold after the power has failed.
//!
//! The model promises a program what POSIX does, and no more of what file
//! systems add to it:
//!
//! - **fsync of a file** makes its bytes, its length, its mode and its times
//!   durable; fdatasync its bytes and its length. Neither makes a *name* of it
//!   durable: a new file that was synced may be gone all the same.
//! - **fsync of a directory** makes what happened to the names in it durable, and
//!   nothing of what these files hold, nor its own name in the directory above it.
//! - **Bytes that were not synced**: of each block the disk has what the file had
//!   there at *some* moment since its last sync, whatever the other blocks have. So
//!   writes are lost, kept, torn and reordered, also those of one block. Blocks are
//!   512 bytes (sectors) or 4 KiB (pages), by the draw; none is torn in itself.
//! - **Lengths that were not synced** are those of some moment since the last
//!   sync, whatever the bytes are: a file may have its length and no bytes. What
//!   was never written then reads as zeros or, by the draw, as what stood on the
//!   disk before.
//! - **Mode and times** that were not synced: those of some moment since.
//! - **Names that were not synced** (made, renamed, removed) are kept up to some
//!   moment, as by a journal, or, by the draw, any of them, in their order. A rename
//!   is one: it happened or it did not; what it replaced is whole until then.
//! - What was synced is there. Nothing else is.
//!
//! Stricter than ext4, XFS and btrfs, which make the name of a new file durable with
//! the file, write bytes before the rename that replaces a file, and order more of
//! the rest. Not in it: a disk that damages what it is not writing, or that says it
//! has synced and has not; the latter is what [`Honest`] is for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use fastrand::Rng;

use super::torn::{PAGE, Style, bytes_left};
use super::tree::{Ino, Inode, Op, ROOT, Tree};

/// Whether a sync does what it says; with one that does not, tests show that
/// its loss is noticed.
pub type Honest<'a> = &'a dyn Fn(&Op) -> bool;

/// A disk that was watched: what it held, and everything that was done to it.
#[derive(Clone, Debug)]
pub struct Recorded {
    base: Tree,
    /// In their order.
    pub ops: Vec<Op>,
}

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it is lost.
    Lost,
    /// All of it is there, as after a reboot that was asked for.
    Kept,
    /// Each file and each name has a fate of its own.
    Drawn,
}

impl Fate {
    /// Mostly [`Fate::Drawn`].
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.u8(..8) {
            0 => Self::Lost,
            1 => Self::Kept,
            _ => Self::Drawn,
        }
    }
}

/// What a disk holds after the power has failed.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it holds.
    pub tree: Tree,
    /// Of each file that was made since the recording began, by the name it was
    /// made with: how many of its bytes are in every image of this moment.
    pub certain: BTreeMap<OsString, u64>,
    /// The same files: how many of their bytes may be lost.
    pub uncertain: BTreeMap<OsString, u64>,
}

/// What is on the disk for certain, and what may be.
struct Watched<'a> {
    durable: Tree,
    /// Changes of bytes and lengths since the last sync.
    bytes: BTreeMap<Ino, Vec<&'a Op>>,
    /// Changes of modes and times since the last sync.
    attributes: BTreeMap<Ino, Vec<&'a Op>>,
    /// Changes of names since the last sync of their directories.
    names: Vec<&'a Op>,
    made: BTreeMap<Ino, OsString>,
    /// Bytes that were written, and synced since.
    synced: BTreeMap<Ino, u64>,
}

impl Recorded {
    pub(super) fn new(base: Tree) -> Self {
        Self {
            base,
            ops: Vec::new(),
        }
    }

    /// What a program saw after the first `ops` of the changes.
    pub fn held_after(&self, ops: usize) -> Tree {
        let mut tree = self.base.clone();
        self.ops[..ops].iter().for_each(|op| tree.apply(op));
        tree
    }

    pub(super) fn first(&self, ops: usize) -> Self {
        Self {
            base: self.base.clone(),
            ops: self.ops[..ops].to_vec(),
        }
    }

    /// What the disk may hold when the power fails after the first `ops` of the
    /// changes.
    pub fn image(&self, ops: usize, fate: Fate, rng: &mut Rng, honest: Honest<'_>) -> Image {
        let mut watched = Watched {
            durable: self.base.clone(),
            bytes: BTreeMap::new(),
            attributes: BTreeMap::new(),
            names: Vec::new(),
            made: BTreeMap::new(),
            synced: BTreeMap::new(),
        };
        for op in &self.ops[..ops] {
            watched.see(op, honest);
        }
        watched.lose(fate, rng)
    }
}

impl<'a> Watched<'a> {
    fn see(&mut self, op: &'a Op, honest: Honest<'_>) {
        match op {
            Op::Make {
                ino,
                is_dir,
                mode,
                at,
                name,
                ..
            } => {
                let inode = Inode::new(*is_dir, *mode, *at);
                self.durable.inodes.insert(*ino, inode);
                self.made.insert(*ino, name.clone());
                self.names.push(op);
            }
            Op::Rename { .. } | Op::Remove { .. } => self.names.push(op),
            Op::Write { ino, .. } | Op::Resize { ino, .. } => {
                self.bytes.entry(*ino).or_default().push(op);
                self.attributes.entry(*ino).or_default().push(op);
            }
            Op::Attributes { ino, .. } => self.attributes.entry(*ino).or_default().push(op),
            Op::Sync { ino, data_only, .. } if honest(op) => {
                let Some(inode) = self.durable.inodes.get_mut(ino) else {
                    return;
                };
                for op in self.bytes.remove(ino).unwrap_or_default() {
                    inode.change_bytes(op);
                    *self.synced.entry(*ino).or_default() += written(op);
                }
                if !data_only {
                    for op in self.attributes.remove(ino).unwrap_or_default() {
                        inode.change_attributes(op);
                    }
                }
            }
            Op::SyncDir { dir, .. } if honest(op) => {
                let (synced, left) = std::mem::take(&mut self.names)
                    .into_iter()
                    .partition(|op| is_in(op, *dir));
                self.names = left;
                for op in synced {
                    rename(&mut self.durable, op);
                }
            }
            Op::Sync { .. } | Op::SyncDir { .. } => {}
        }
    }

    fn lose(self, fate: Fate, rng: &mut Rng) -> Image {
        let mut tree = self.durable;
        let (mut certain, mut uncertain) = (BTreeMap::new(), BTreeMap::new());
        let reachable = reachable(&tree);
        for (ino, name) in self.made {
            let synced = self.synced.get(&ino).copied().unwrap_or_default();
            let changes = self.bytes.get(&ino).into_iter().flatten();
            let unsynced: u64 = changes.map(|op| written(op)).sum();
            let (sure, unsure) = match reachable.contains(&ino) {
                true => (synced, unsynced),
                false => (0, synced + unsynced),
            };
            certain.insert(name.clone(), sure);
            uncertain.insert(name, unsure);
        }
        let stale = fate == Fate::Drawn && rng.u8(..4) == 0;
        for (ino, ops) in self.bytes {
            if let Some(inode) = tree.inodes.get_mut(&ino) {
                let style = Style::draw(fate, rng);
                inode.bytes = bytes_left(&inode.bytes, &ops, style, stale, rng);
            }
        }
        for (ino, ops) in self.attributes {
            let kept = moment(fate, ops.len(), rng);
            if let Some(inode) = tree.inodes.get_mut(&ino) {
                let ops = ops.into_iter().take(kept);
                ops.for_each(|op| inode.change_attributes(op));
            }
        }
        let in_order = rng.bool();
        let kept = moment(fate, self.names.len(), rng);
        for (number, op) in self.names.into_iter().enumerate() {
            let is_kept = match (fate, in_order) {
                (Fate::Drawn, false) => rng.bool(),
                _ => number < kept,
            };
            if is_kept {
                rename(&mut tree, op);
            }
        }
        sweep(&mut tree);
        Image {
            tree,
            certain,
            uncertain,
        }
    }
}

/// Up to which of so many changes.
fn moment(fate: Fate, changes: usize, rng: &mut Rng) -> usize {
    match fate {
        Fate::Lost => 0,
        Fate::Kept => changes,
        Fate::Drawn => rng.usize(..=changes),
    }
}

/// How many bytes a change writes.
fn written(op: &Op) -> u64 {
    match op {
        Op::Write { bytes, .. } => bytes.len() as u64,
        _ => 0,
    }
}

/// Whether it changes names in this directory.
fn is_in(op: &Op, dir: Ino) -> bool {
    match op {
        Op::Make { dir: in_it, .. } | Op::Remove { dir: in_it, .. } => *in_it == dir,
        Op::Rename { from, to } => from.0 == dir || to.0 == dir,
        _ => false,
    }
}

/// Changes names, also where earlier changes of them were lost.
fn rename(tree: &mut Tree, op: &Op) {
    match op {
        Op::Make { dir, name, ino, .. } => tree.set_name(*dir, name, *ino),
        Op::Remove { dir, name } => drop(tree.remove_name(*dir, name)),
        Op::Rename { from, to } => {
            if let Some(ino) = tree.remove_name(from.0, &from.1) {
                tree.set_name(to.0, &to.1, ino);
            }
        }
        _ => {}
    }
}

fn reachable(tree: &Tree) -> BTreeSet<Ino> {
    let mut found = BTreeSet::from([ROOT]);
    let mut open = vec![ROOT];
    while let Some(dir) = open.pop() {
        let names = tree.inodes.get(&dir).and_then(|dir| dir.names.as_ref());
        for ino in names.into_iter().flat_map(|names| names.values()) {
            if found.insert(*ino) {
                open.push(*ino);
            }
        }
    }
    found
}

/// What has no name is not there.
fn sweep(tree: &mut Tree) {
    let reachable = reachable(tree);
    tree.inodes.retain(|ino, _| reachable.contains(ino));
    for inode in tree.inodes.values_mut() {
        inode.links = 1;
        inode.unsynced.clear();
        inode.pages = vec![true; inode.bytes.len().div_ceil(PAGE as usize)];
    }
}

#[cfg(test)]
#[path = "power_tests.rs"]
mod tests;
