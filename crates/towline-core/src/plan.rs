//! How many bytes are cut into parts.

use std::ops::Range;

use crate::{PartNumber, PartSize, TransferOptions, UploadMode};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Up to here a file goes in one PUT; strictly above it in parts.
pub const SINGLE_PUT_MAX: u64 = 5 * MIB;

/// S3's limit on parts.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_PARTS: u64 = 10_000;

/// S3's limit on the bytes of one PUT: 5 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
const ONE_PUT_LIMIT: u64 = 5 * GIB;

/// Up to here an object is copied by one request. S3 would take 5 GiB
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>), but copies
/// some 50 to 150 MB/s in one request: that would be most of a minute or more in which
/// nothing shows, and all of it again after a break.
const COPY_IN_ONE: u64 = 256 * MIB;

/// Parts above that: a second or two each, so that several go at one time, and an
/// interruption costs little. No bytes come here, so more requests gain nothing.
const COPY_PART: u64 = 128 * MIB;

/// Parts of an object of this size are good parts of a download too.
const LIKE_ITS_OBJECT: std::ops::RangeInclusive<u64> = 5 * MIB..=64 * MIB;

/// How the parts of a stream of unknown length grow: so many of each size. Few
/// bytes are held in memory for it, and 10,000 parts hold 122 GiB.
const GROWTH: [(u64, u64); 3] = [(1000, 5 * MIB), (3000, 8 * MIB), (6000, 16 * MIB)];

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
    /// More than one PUT can carry.
    #[error("{size} bytes are more than one PUT can carry (5 GiB); upload them in parts")]
    TooLargeForOnePut {
        /// The length in bytes.
        size: u64,
    },
}

/// A length and how it is cut: fixed for one generation of a transfer, so that
/// every part always covers the same bytes.
///
/// A plan may be *open*: of a stream whose length is not known yet. It then has
/// the most parts that there can be, and [`ended`](Self::ended) gives the plan
/// with the true length, in which no part but the last is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// Of an open plan: the most there can be.
    size: u64,
    cut: Cut,
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Every part but the last has this many bytes.
    Even(u64),
    /// See [`GROWTH`].
    Growing,
}

impl PartPlan {
    /// The plan for `size` bytes: one part up to 5,242,880 bytes; above, the
    /// asked part size or 5 MiB, 8 MiB from 64 MiB, 16 MiB from 16 GiB, and
    /// always as much as 10,000 parts need (in whole MiB).
    pub fn new(size: u64, asked: Option<PartSize>) -> Result<Self, PlanError> {
        let whole = asked.map_or(SINGLE_PUT_MAX, PartSize::bytes); // which is no less
        if size <= whole {
            return Ok(Self::even(size, size));
        }
        let wished = asked.map(PartSize::bytes).unwrap_or(match size {
            size if size < 64 * MIB => 5 * MIB,
            size if size < 16 * GIB => 8 * MIB,
            _ => 16 * MIB,
        });
        let part_size = match size.div_ceil(wished) {
            ..=MAX_PARTS => wished,
            _ => needed(size),
        };
        if part_size > PartSize::MAX.bytes() {
            return Err(PlanError::TooLarge { size });
        }
        Ok(Self::even(size, part_size))
    }

    /// The plan for a download of `size` bytes. An object that was made of parts
    /// of this size is read in the same ones, if no other size is asked for and
    /// they are neither small nor huge: then each can be compared by itself.
    pub fn for_download(
        size: u64,
        asked: Option<PartSize>,
        made_of: Option<u64>,
    ) -> Result<Self, PlanError> {
        match made_of {
            Some(part) if asked.is_none() && LIKE_ITS_OBJECT.contains(&part) && part < size => {
                Ok(Self::even(size, part))
            }
            _ => Self::new(size, asked),
        }
    }

    /// The plan for an upload of `size` bytes in the mode that is asked for.
    pub fn for_upload(size: u64, options: &TransferOptions) -> Result<Self, PlanError> {
        match options.upload_mode {
            UploadMode::Single if size > ONE_PUT_LIMIT => {
                Err(PlanError::TooLargeForOnePut { size })
            }
            UploadMode::Single => Ok(Self::even(size, size)),
            UploadMode::Auto | UploadMode::Multipart => Self::new(size, options.part_size),
        }
    }

    /// The plan for a copy of `size` bytes: one request up to 256 MiB or the asked
    /// part size; above, the asked part size or 128 MiB, and as much as 10,000 parts
    /// need.
    pub fn for_copy(size: u64, options: &TransferOptions) -> Result<Self, PlanError> {
        match (options.upload_mode, options.part_size) {
            (UploadMode::Single, _) => Self::for_upload(size, options),
            (UploadMode::Auto, None) if size <= COPY_IN_ONE => Ok(Self::even(size, size)),
            (_, asked) => Self::new(size, asked.or(PartSize::from_bytes(COPY_PART).ok())),
        }
    }

    /// The plan for a stream of unknown length, in parts that grow from 5 to
    /// 16 MiB, which ends at 122 GiB; with an asked part size or an `expected`
    /// length in parts that do not grow.
    pub fn open(asked: Option<PartSize>, expected: Option<u64>) -> Result<Self, PlanError> {
        let expected = expected.map(|size| Self::new(size, asked)).transpose()?;
        let even = expected
            .map(|plan| plan.len(PartNumber::FIRST).max(PartSize::MIN.bytes()))
            .or(asked.map(PartSize::bytes));
        Ok(Self::opened(even))
    }

    /// The plan of a stream that turned out to have `size` bytes; `None` when
    /// they are more than it has parts for.
    pub fn ended(self, size: u64) -> Option<Self> {
        (size <= self.size).then_some(Self {
            size,
            open: false,
            ..self
        })
    }

    /// The plan that was recorded; a part size of 0 means one part.
    pub fn recorded(size: u64, part_size: u64) -> Self {
        Self::even(size, if part_size == 0 { size } else { part_size })
    }

    /// The plan that was recorded of a stream: without a size it is open,
    /// without a part size it grows.
    pub fn recorded_stream(size: Option<u64>, part_size: Option<u64>) -> Self {
        let open = Self::opened(part_size.map(|bytes| bytes.max(1)));
        size.and_then(|size| open.ended(size)).unwrap_or(open)
    }

    fn even(size: u64, part_size: u64) -> Self {
        Self {
            size,
            cut: Cut::Even(part_size.min(size)),
            open: false,
        }
    }

    fn opened(even: Option<u64>) -> Self {
        let (cut, size) = match even {
            Some(bytes) => (Cut::Even(bytes), bytes.saturating_mul(MAX_PARTS)),
            None => (Cut::Growing, grown(MAX_PARTS)),
        };
        Self {
            size,
            cut,
            open: true,
        }
    }

    /// All bytes; of an open plan the most there can be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the length is not known yet.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The size of every part but the last, in bytes; `None` where they grow.
    pub fn part_size(&self) -> Option<u64> {
        match self.cut {
            Cut::Even(bytes) => Some(bytes),
            Cut::Growing => None,
        }
    }

    /// How many parts there are; a plan of no bytes has one, of no bytes.
    pub fn parts(&self) -> u32 {
        let parts = match self.cut {
            Cut::Even(0) => 1,
            Cut::Even(bytes) => self.size.div_ceil(bytes),
            Cut::Growing => grown_parts(self.size),
        };
        u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
    }

    /// The bytes that a part covers; empty for a number that is not in the plan.
    pub fn range(&self, part: PartNumber) -> Range<u64> {
        let index = u64::from(part.index());
        let (start, end) = match self.cut {
            Cut::Even(bytes) => (
                index.saturating_mul(bytes),
                (index + 1).saturating_mul(bytes),
            ),
            Cut::Growing => (grown(index), grown(index + 1)),
        };
        start.min(self.size)..end.min(self.size)
    }

    /// How many bytes a part has.
    pub fn len(&self, part: PartNumber) -> u64 {
        let range = self.range(part);
        range.end - range.start
    }

    /// Every part, in order.
    pub fn numbers(&self) -> impl Iterator<Item = PartNumber> + use<> {
        self.numbers_from(0)
    }

    /// The same, without the first so many.
    pub(crate) fn numbers_from(&self, first: u32) -> impl Iterator<Item = PartNumber> + use<> {
        (first..self.parts()).map(PartNumber::from_index)
    }
}

/// The part size that 10,000 parts need, in whole MiB.
fn needed(size: u64) -> u64 {
    size.div_ceil(MAX_PARTS).next_multiple_of(MIB)
}

/// How many bytes the first so many growing parts have.
fn grown(parts: u64) -> u64 {
    let mut left = parts;
    let tiers = GROWTH.iter().map(|(count, bytes)| {
        let here = left.min(*count);
        left -= here;
        here * bytes
    });
    tiers.sum()
}

/// How many growing parts so many bytes take.
fn grown_parts(size: u64) -> u64 {
    let mut left = size;
    let tiers = GROWTH.iter().map(|(count, bytes)| {
        let here = left.min(count * bytes);
        left -= here;
        here.div_ceil(*bytes)
    });
    tiers.sum()
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
    fn a_copy_goes_in_one_request_while_that_is_short_and_in_large_parts_above() {
        let mut options = TransferOptions::default();
        let cut = |size, options: &TransferOptions| {
            let plan = PartPlan::for_copy(size, options).unwrap();
            (plan.parts(), plan.part_size().unwrap())
        };
        for size in [0, 1, 256 * MIB] {
            assert_eq!(cut(size, &options), (1, size));
        }
        assert_eq!(cut(256 * MIB + 1, &options), (3, 128 * MIB));
        let (parts, size) = cut(2 << 40, &options); // 2 TiB
        assert!(parts <= 10_000 && size > 128 * MIB);
        options.upload_mode = UploadMode::Multipart;
        assert_eq!(cut(200 * MIB, &options), (2, 128 * MIB));
        options.upload_mode = UploadMode::Single;
        assert_eq!(cut(5 * GIB, &options), (1, 5 * GIB));
        assert!(PartPlan::for_copy(5 * GIB + 1, &options).is_err());
        options.upload_mode = UploadMode::Auto;
        options.part_size = PartSize::from_bytes(5 * MIB).ok();
        assert_eq!(cut(5 * MIB, &options), (1, 5 * MIB));
        assert_eq!(cut(5 * MIB + 1, &options), (2, 5 * MIB));
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
    fn t4_one_put_and_parts_can_be_forced_within_the_limits_of_s3() {
        let forced = |upload_mode, size| {
            let options = TransferOptions {
                upload_mode,
                ..TransferOptions::default()
            };
            PartPlan::for_upload(size, &options).map(|plan| plan.parts())
        };
        assert_eq!(forced(UploadMode::Single, 5 * GIB), Ok(1));
        let size = 5 * GIB + 1;
        assert_eq!(
            forced(UploadMode::Single, size),
            Err(PlanError::TooLargeForOnePut { size })
        );
        assert_eq!(forced(UploadMode::Multipart, 0), Ok(1));
        assert_eq!(forced(UploadMode::Multipart, 5 * MIB + 1), Ok(2));
    }

    #[test]
    fn a_stream_of_unknown_length_holds_122_gib_and_more_when_told() {
        let open = PartPlan::open(None, None).unwrap();
        assert_eq!((open.parts(), open.size() / GIB), (10_000, 122));
        assert!(open.is_open() && open.ended(open.size() + 1).is_none());
        let told = PartPlan::open(None, Some(1 << 40)).unwrap();
        assert!(told.size() >= 1 << 40 && told.parts() == 10_000);
        let asked = PartPlan::open(Some(PartSize::MIN), None).unwrap();
        assert_eq!(asked.part_size(), Some(5 * MIB));
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
            prop_assert_eq!(PartPlan::recorded(size, plan.part_size().unwrap()), plan);
        }

        #[test]
        fn a_stream_that_ends_keeps_every_part_but_the_last(size in 1..122 * GIB, even in proptest::bool::ANY) {
            let asked = even.then_some(PartSize::MIN);
            let open = PartPlan::open(asked, None).unwrap();
            if let Some(ended) = open.ended(size) {
                let parts = ended.parts();
                prop_assert_eq!(ended.size(), size);
                let mut next = 0;
                for part in ended.numbers() {
                    let range = ended.range(part);
                    prop_assert_eq!(range.start, next);
                    next = range.end;
                    if part.get() < parts {
                        prop_assert_eq!(range, open.range(part));
                    }
                }
                prop_assert_eq!(next, size);
                prop_assert!(ended.len(PartNumber::from_index(parts - 1)) > 0);
                prop_assert_eq!(PartPlan::recorded_stream(Some(size), ended.part_size()), ended);
                prop_assert_eq!(PartPlan::recorded_stream(None, open.part_size()), open);
            }
        }
    }
}
