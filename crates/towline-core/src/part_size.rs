//! The size of parts that S3 accepts.

use serde::{Deserialize, Serialize};

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
    pub const MIN: Self = Self(5 << 20);
    /// The largest: 5 GiB.
    pub const MAX: Self = Self(5 << 30);

    /// A part size in bytes; fails outside [`Self::MIN`]..=[`Self::MAX`].
    pub const fn from_bytes(bytes: u64) -> Result<Self, PartSizeError> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 {
            return Err(PartSizeError { bytes });
        }
        Ok(Self(bytes))
    }

    /// The size nearest to so many MB (of 1,048,576 bytes) that S3 accepts, as the
    /// old API's minimum part size was clamped.
    pub fn clamped_mb(mb: u64) -> Self {
        let bytes = mb.saturating_mul(1 << 20);
        Self(bytes.clamp(Self::MIN.0, Self::MAX.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_sizes_that_s3_refuses_are_refused() {
        for bytes in [0, (5 << 20) - 1, (5 << 30) + 1] {
            assert_eq!(PartSize::from_bytes(bytes), Err(PartSizeError { bytes }));
        }
    }

    #[test]
    fn t3_a_minimum_in_mb_is_clamped_to_what_s3_accepts() {
        let mb = |mb| PartSize::clamped_mb(mb).bytes() >> 20;
        assert_eq!([mb(0), mb(3), mb(5), mb(16)], [5, 5, 5, 16]);
        assert_eq!([mb(6 << 10), mb(u64::MAX)], [5 << 10, 5 << 10]);
    }
}
