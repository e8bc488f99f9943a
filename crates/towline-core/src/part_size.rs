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

    /// One that S3 would refuse, for simulations that move few bytes.
    #[doc(hidden)]
    pub const fn simulated(bytes: u64) -> Self {
        Self(bytes)
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
}
