//! The names in a directory: as they are found, and as they are on the disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

#[derive(Debug, Default)]
pub(super) struct Names {
    now: BTreeMap<OsString, u64>,
    on_disk: BTreeMap<OsString, u64>,
    /// What was done since the last sync.
    since: Vec<Done>,
}

#[derive(Clone, Debug)]
enum Done {
    Linked(OsString, u64),
    Unlinked(OsString),
    Renamed(OsString, OsString),
}

impl Names {
    pub(super) fn get(&self, name: &OsStr) -> Option<u64> {
        self.now.get(name).copied()
    }

    pub(super) fn get_synced(&self, name: &OsStr) -> Option<u64> {
        self.on_disk.get(name).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&OsString, u64)> {
        self.now.iter().map(|(name, inode)| (name, *inode))
    }

    pub(super) fn link_for_good(&mut self, name: &OsStr, inode: u64) {
        self.now.insert(name.to_owned(), inode);
        self.on_disk.insert(name.to_owned(), inode);
    }

    pub(super) fn unlink_for_good(&mut self, name: &OsStr) {
        self.now.remove(name);
        self.on_disk.remove(name);
    }

    pub(super) fn link(&mut self, name: &OsStr, inode: u64) {
        self.apply(Done::Linked(name.to_owned(), inode));
    }

    pub(super) fn unlink(&mut self, name: &OsStr) {
        self.apply(Done::Unlinked(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &OsStr, to: &OsStr) {
        self.apply(Done::Renamed(from.to_owned(), to.to_owned()));
    }

    pub(super) fn sync(&mut self) {
        for done in std::mem::take(&mut self.since) {
            done.apply(&mut self.on_disk);
        }
    }

    /// As with a journal, the first of what was done stays. Tells how much of it
    /// does not.
    pub(super) fn lose_power(&mut self, dice: &mut fastrand::Rng) -> usize {
        let since = std::mem::take(&mut self.since);
        let kept = dice.usize(0..=since.len());
        let lost = since.len() - kept;
        for done in since.into_iter().take(kept) {
            done.apply(&mut self.on_disk);
        }
        self.now = self.on_disk.clone();
        lost
    }

    fn apply(&mut self, done: Done) {
        done.clone().apply(&mut self.now);
        self.since.push(done);
    }
}

impl Done {
    fn apply(self, names: &mut BTreeMap<OsString, u64>) {
        match self {
            Self::Linked(name, inode) => drop(names.insert(name, inode)),
            Self::Unlinked(name) => drop(names.remove(&name)),
            Self::Renamed(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sync_of_the_directory_a_new_name_may_be_lost_and_the_old_one_back() {
        let (mut old, mut new) = (0, 0);
        for seed in 0..20 {
            let mut names = Names::default();
            names.link_for_good("target".as_ref(), 1);
            names.link("temp".as_ref(), 2);
            names.sync();
            names.rename("temp".as_ref(), "target".as_ref());
            names.lose_power(&mut fastrand::Rng::with_seed(seed));
            match (names.get("temp".as_ref()), names.get("target".as_ref())) {
                (Some(2), Some(1)) => old += 1,
                (None, Some(2)) => new += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(old > 0 && new > 0);
    }
}
