//! How many bytes are cut into parts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::PartNumber;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Up to here a file goes in one PUT; strictly above it in parts.
pub const SINGLE_PUT_MAX: u64 = 5 * MIB;

/// S3's limit on parts.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_PARTS: u64 = 10_000;

/// The size of every part but the last, in bytes: 5 MiB to 5 GiB, the range
/// that S3 accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PartSize(u64);

/// A part size that S3 would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part size of {bytes} bytes is outside 5 MiB to 5 GiB, which is what S3 accepts")]
pub struct PartSizeError {
    /// The size asked for.
    pub bytes: u64,
}

impl PartSize {
    /// The smallest: 5 MiB.
    pub const MIN: Self = Self(5 * MIB);
    /// The largest: 5 GiB.
    pub const MAX: Self = Self(5 * GIB);

    /// A part size in bytes; fails outside [`Self::MIN`]..=[`Self::MAX`].
    pub const fn from_bytes(bytes: u64) -> Result<Self, PartSizeError> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 {
            return Err(PartSizeError { bytes });
        }
        Ok(Self(bytes))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for PartSize {
    type Error = PartSizeError;

    fn try_from(bytes: u64) -> Result<Self, PartSizeError> {
        Self::from_bytes(bytes)
    }
}

impl From<PartSize> for u64 {
    fn from(size: PartSize) -> u64 {
        size.0
    }
}

/// Why bytes cannot be cut into parts that S3 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More than 10,000 parts of 5 GiB.
    #[error("{size} bytes are more than an S3 object can hold (10,000 parts of 5 GiB)")]
    TooLarge {
        /// The length in bytes.
        size: u64,
    },
}

/// A length and how it is cut: fixed for one generation of a transfer, so that
/// every part always covers the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    size: u64,
    part_size: u64,
}

impl PartPlan {
    /// The plan for `size` bytes: one part up to 5,242,880 bytes; above, the
    /// asked part size or 5 MiB, 8 MiB from 64 MiB, 16 MiB from 16 GiB, and
    /// always as much as 10,000 parts need (in whole MiB).
    pub fn new(size: u64, asked: Option<PartSize>) -> Result<Self, PlanError> {
        let whole = asked
            .map_or(SINGLE_PUT_MAX, PartSize::bytes)
            .max(SINGLE_PUT_MAX);
        if size <= whole {
            return Ok(Self {
                size,
                part_size: size,
            });
        }
        let wished = asked.map(PartSize::bytes).unwrap_or(match size {
            size if size < 64 * MIB => 5 * MIB,
            size if size < 16 * GIB => 8 * MIB,
            _ => 16 * MIB,
        });
        let needed = size.div_ceil(MAX_PARTS).next_multiple_of(MIB);
        let part_size = wished.max(needed);
        if part_size > PartSize::MAX.0 {
            return Err(PlanError::TooLarge { size });
        }
        Ok(Self { size, part_size })
    }

    /// The plan that was recorded; a part size of 0 means one part.
    pub fn recorded(size: u64, part_size: u64) -> Self {
        let part_size = if part_size == 0 {
            size
        } else {
            part_size.min(size)
        };
        Self { size, part_size }
    }

    /// All bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The size of every part but the last, in bytes.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    /// How many parts there are; a plan of no bytes has one, of no bytes.
    pub fn parts(&self) -> u32 {
        if self.part_size == 0 {
            return 1;
        }
        u32::try_from(self.size.div_ceil(self.part_size)).unwrap_or(u32::MAX)
    }

    /// Whether everything goes in one request.
    pub fn is_single(&self) -> bool {
        self.parts() == 1
    }

    /// The bytes that a part covers; empty for a number that is not in the plan.
    pub fn range(&self, part: PartNumber) -> Range<u64> {
        let start = u64::from(part.index())
            .saturating_mul(self.part_size)
            .min(self.size);
        start..start.saturating_add(self.part_size).min(self.size)
    }

    /// How many bytes a part has.
    pub fn len(&self, part: PartNumber) -> u64 {
        let range = self.range(part);
        range.end - range.start
    }

    /// Every part, in order.
    pub fn numbers(&self) -> impl Iterator<Item = PartNumber> + use<> {
        (0..self.parts()).map(PartNumber::from_index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(size: u64) -> Vec<u64> {
        let plan = PartPlan::new(size, None).unwrap();
        plan.numbers().map(|n| plan.len(n)).collect()
    }

    #[test]
    fn t1_up_to_5_mib_is_one_put_and_one_byte_more_is_two_parts() {
        for size in [0, 1, 5_242_879, 5_242_880] {
            assert_eq!(parts(size), [size]);
        }
        assert_eq!(parts(5_242_881), [5_242_880, 1]);
    }

    #[test]
    fn t2_ten_thousand_parts_hold_any_length() {
        let size = 10_000 * 5_242_880 + 1;
        let parts = parts(size);
        assert!(parts.len() <= 10_000);
        assert!(
            parts[..parts.len() - 1]
                .iter()
                .all(|p| *p == parts[0] && *p >= 5_242_880)
        );
        assert_eq!(parts.iter().sum::<u64>(), size);
        let asked = PartPlan::new(size, Some(PartSize::MIN)).unwrap();
        assert!(asked.parts() <= 10_000);
    }

    #[test]
    fn the_largest_object_is_10_000_parts_of_5_gib() {
        assert_eq!(
            PartPlan::new(10_000 * 5 * GIB, None).unwrap().parts(),
            10_000
        );
        let size = 10_000 * 5 * GIB + 1;
        assert_eq!(PartPlan::new(size, None), Err(PlanError::TooLarge { size }));
    }

    #[test]
    fn part_sizes_that_s3_refuses_are_refused() {
        for bytes in [0, 5 * MIB - 1, 5 * GIB + 1] {
            assert_eq!(PartSize::from_bytes(bytes), Err(PartSizeError { bytes }));
        }
    }

    proptest! {
        #[test]
        fn parts_cover_every_byte_once(size in 0..60 * GIB, asked in proptest::option::of(5 * MIB..64 * MIB)) {
            let asked = asked.map(|bytes| PartSize::from_bytes(bytes).unwrap());
            let plan = PartPlan::new(size, asked).unwrap();
            let mut next = 0;
            for part in plan.numbers() {
                let range = plan.range(part);
                prop_assert_eq!(range.start, next);
                next = range.end;
            }
            prop_assert_eq!(next, size);
            prop_assert!(u64::from(plan.parts()) <= MAX_PARTS);
            prop_assert_eq!(PartPlan::recorded(size, plan.part_size()), plan);
        }
    }
}
