//! The bytes of a file: as they are read, and as they are on the disk.

use std::collections::BTreeSet;

const BLOCK: usize = 4096;
/// What a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    now: Vec<u8>,
    on_disk: Vec<u8>,
    /// Blocks that differ, or may.
    dirty: BTreeSet<usize>,
}

impl Blocks {
    pub(super) fn synced(bytes: Vec<u8>) -> Self {
        Self {
            on_disk: bytes.clone(),
            now: bytes,
            dirty: BTreeSet::new(),
        }
    }

    pub(super) fn now(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn on_disk(&self) -> &[u8] {
        &self.on_disk
    }

    pub(super) fn lengthen(&mut self, len: usize) {
        self.now.resize(len, 0);
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / BLOCK..end.div_ceil(BLOCK));
    }

    pub(super) fn sync(&mut self) {
        self.on_disk.resize(self.now.len(), 0);
        for block in std::mem::take(&mut self.dirty) {
            let range = range_of(block, self.now.len());
            self.on_disk[range.clone()].copy_from_slice(&self.now[range]);
        }
    }

    /// Nothing of it is written, nor will it be by the next sync.
    pub(super) fn fail_to_sync(&mut self) {
        self.dirty.clear();
    }

    /// Tells how many blocks are not as they were read before.
    pub(super) fn lose_power(&mut self, dice: &mut fastrand::Rng) -> usize {
        if self.dirty.is_empty() && self.now == self.on_disk {
            return 0;
        }
        let len = match dice.bool() {
            true => self.now.len(),
            false => self.on_disk.len(),
        };
        let mut left = self.on_disk.clone();
        left.resize(len, 0);
        for block in std::mem::take(&mut self.dirty) {
            let range = range_of(block, len.min(self.now.len()));
            let new = match dice.u8(0..4) {
                0 => 0,
                1 => dice.usize(0..=range.len() / SECTOR) * SECTOR,
                _ => range.len(),
            };
            let range = range.start..range.start + new.min(range.len());
            left[range.clone()].copy_from_slice(&self.now[range]);
        }
        let blocks = left.len().max(self.now.len()).div_ceil(BLOCK);
        let part =
            |bytes: &[u8], block| bytes.get(range_of(block, bytes.len())).map(<[u8]>::to_vec);
        let lost = (0..blocks).filter(|block| part(&left, *block) != part(&self.now, *block));
        let lost = lost.count();
        (self.now, self.on_disk) = (left.clone(), left);
        lost
    }
}

fn range_of(block: usize, len: usize) -> std::ops::Range<usize> {
    let start = (block * BLOCK).min(len);
    start..(start + BLOCK).min(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_stays_and_the_rest_is_lost_by_blocks() {
        let (mut whole, mut torn, mut lost) = (0, 0, 0);
        for seed in 0..50 {
            let mut file = Blocks::default();
            file.write(&[1; BLOCK], 0);
            file.sync();
            file.write(&[2; BLOCK], BLOCK);
            file.lose_power(&mut fastrand::Rng::with_seed(seed));
            assert_eq!(file.now()[..BLOCK], [1; BLOCK], "synced");
            assert_eq!(file.now(), file.on_disk());
            let twos = file.now().iter().filter(|byte| **byte == 2).count();
            assert_eq!(twos % SECTOR, 0, "a sector is never torn");
            match twos {
                0 => lost += 1,
                BLOCK => whole += 1,
                _ => torn += 1,
            }
        }
        assert!(whole > 0 && torn > 0 && lost > 0, "{whole} {torn} {lost}");
    }

    #[test]
    fn after_a_sync_that_failed_another_one_means_nothing() {
        let mut file = Blocks::default();
        file.write(&[1; BLOCK], 0);
        file.sync();
        file.write(&[2; BLOCK], 0);
        file.fail_to_sync();
        file.sync();
        assert_eq!(file.now(), [2; BLOCK]);
        assert_eq!(file.on_disk(), [1; BLOCK]);
    }
}
