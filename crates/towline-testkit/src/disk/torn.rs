//! What is left of the bytes of a file that was not synced.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::power::Fate;
use super::tree::{Inode, Op};

/// How the bytes of one file fare.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Lost,
    Kept,
    /// Blocks of so many bytes, of which so many in 256 are as they were last.
    Torn(u64, u8),
}

impl Style {
    pub(super) fn draw(fate: Fate, rng: &mut Rng) -> Self {
        match (fate, rng.u8(..6)) {
            (Fate::Lost, _) | (Fate::Drawn, 0) => Self::Lost,
            (Fate::Kept, _) | (Fate::Drawn, 1) => Self::Kept,
            (Fate::Drawn, 2 | 3) => Self::Torn(PAGE, rng.u8(..)),
            (Fate::Drawn, _) => Self::Torn(SECTOR, rng.u8(..)),
        }
    }
}

const SECTOR: u64 = 512;
pub(super) const PAGE: u64 = 4096;

/// What is left of a file that held `durable` and was changed by `ops`.
pub(super) fn bytes_left(
    durable: &[u8],
    ops: &[&Op],
    style: Style,
    stale: bool,
    rng: &mut Rng,
) -> Vec<u8> {
    let mut last = Inode::new(false, 0, std::time::SystemTime::UNIX_EPOCH);
    last.bytes = durable.to_vec();
    let (block, kept) = match style {
        Style::Lost => return last.bytes,
        Style::Kept => {
            ops.iter().for_each(|op| last.change_bytes(op));
            return last.bytes;
        }
        Style::Torn(block, kept) => (block, kept),
    };
    let mut sizes = vec![durable.len() as u64];
    // Which changes touched which block.
    let mut touched: BTreeMap<u64, Vec<(u64, &Op)>> = BTreeMap::new();
    for op in ops {
        let before = sizes.last().copied().unwrap_or_default();
        let (range, after) = match op {
            Op::Write { offset, bytes, .. } => {
                let end = offset + bytes.len() as u64;
                (*offset..end, before.max(end))
            }
            // What is cut off reads as zeros when the file grows again.
            Op::Resize { size, .. } => (*size..before.max(*size), *size),
            _ => continue,
        };
        sizes.push(after);
        for number in range.start / block..range.end.div_ceil(block) {
            touched.entry(number).or_default().push((before, op));
        }
    }
    let longest = sizes.iter().max().copied().unwrap_or_default() as usize;
    let mut bytes = durable.to_vec();
    bytes.resize(longest, 0);
    for (number, changes) in touched {
        let range = (number * block) as usize..(((number + 1) * block) as usize).min(longest);
        let moment = match rng.u8(..) < kept {
            true => changes.len(),
            false => rng.usize(..changes.len()),
        };
        if moment == 0 && stale && range.start >= durable.len() {
            rng.fill(&mut bytes[range]);
            continue;
        }
        for (before, op) in &changes[..moment] {
            match op {
                Op::Write {
                    offset, bytes: new, ..
                } => {
                    let offset = *offset as usize;
                    let start = range.start.max(offset);
                    let end = range.end.min(offset + new.len());
                    bytes[start..end].copy_from_slice(&new[start - offset..end - offset]);
                }
                Op::Resize { size, .. } => {
                    let start = range.start.max(*size as usize);
                    let end = range.end.min((*before).max(*size) as usize);
                    bytes[start.min(end)..end].fill(0);
                }
                _ => {}
            }
        }
    }
    let size = match rng.u8(..3) {
        0 => sizes[rng.usize(..sizes.len())],
        1 => sizes[sizes.len() - 1],
        _ => sizes[sizes.len() - 1].min(sizes[rng.usize(..sizes.len())]),
    };
    bytes.resize(size as usize, 0);
    bytes
}
