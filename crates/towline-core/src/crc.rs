//! How the CRCs of neighbouring bytes give that of both together.
//!
//! Bytes that follow shift a CRC: it is multiplied by a power of x, modulo the CRC's
//! polynomial. All is bit-reflected, as S3's CRCs are: the highest bit is that of x⁰.

/// A CRC that begins with all ones and is inverted at its end.
#[derive(Clone, Copy)]
pub(crate) struct Crc {
    /// Bits of a value.
    width: u32,
    /// Reflected, without its highest power.
    polynomial: u64,
}

impl Crc {
    pub(crate) const CRC64_NVME: Self = Self {
        width: 64,
        polynomial: 0x9a6c_9329_ac4b_c9b5,
    };
    pub(crate) const CRC32C: Self = Self {
        width: 32,
        polynomial: 0x82f6_3b78,
    };
    pub(crate) const CRC32: Self = Self {
        width: 32,
        polynomial: 0xedb8_8320,
    };

    /// The CRC of bytes whose CRC is `first`, followed by `len` whose CRC is `next`.
    pub(crate) fn combined(self, first: u64, next: u64, len: u64) -> u64 {
        self.times(self.shift_by(len), first) ^ next
    }

    /// x to the power of the bits in so many bytes.
    fn shift_by(self, len: u64) -> u64 {
        let mut power = self.one();
        let mut square = self.one() >> 8; // one byte
        let mut left = len;
        while left > 0 {
            if left & 1 == 1 {
                power = self.times(square, power);
            }
            square = self.times(square, square);
            left >>= 1;
        }
        power
    }

    fn times(self, one: u64, other: u64) -> u64 {
        let mut product = 0;
        let mut shifted = other;
        for power in 0..self.width {
            if one & (self.one() >> power) != 0 {
                product ^= shifted;
            }
            let overflows = shifted & 1 == 1;
            shifted >>= 1;
            if overflows {
                shifted ^= self.polynomial;
            }
        }
        product
    }

    fn one(self) -> u64 {
        1 << (self.width - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn combined_as_the_library_of_the_crcs_combines(first: u64, next: u64, len in 0..u64::MAX >> 4) {
            use crc_fast::CrcAlgorithm::{Crc32IsoHdlc, Crc32Iscsi, Crc64Nvme};
            for (ours, theirs) in [
                (Crc::CRC64_NVME, Crc64Nvme),
                (Crc::CRC32C, Crc32Iscsi),
                (Crc::CRC32, Crc32IsoHdlc),
            ] {
                let [first, next] = [first, next].map(|crc| crc >> (64 - ours.width));
                prop_assert_eq!(
                    ours.combined(first, next, len),
                    crc_fast::checksum_combine(theirs, first, next, len)
                );
            }
        }
    }
}
