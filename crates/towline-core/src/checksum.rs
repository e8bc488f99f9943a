//! Checksums: which there are, their values, and how those of parts combine.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crc::Crc;

/// An algorithm by which S3 checks what it was sent.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumAlgorithm {
    /// CRC-64/NVME, S3's own default since 2024; always of the full object.
    #[default]
    Crc64Nvme,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-32 (ISO).
    Crc32,
    /// SHA-256; of a multipart object only as a checksum of checksums.
    Sha256,
    /// MD5 as `Content-MD5`; S3 checks it but returns none.
    Md5,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc64Nvme,
        Self::Crc32c,
        Self::Crc32,
        Self::Sha256,
        Self::Md5,
    ];

    /// The name S3 uses in `x-amz-checksum-algorithm`; of MD5 there is none.
    pub const fn s3_name(self) -> Option<&'static str> {
        match self {
            Self::Crc64Nvme => Some("CRC64NVME"),
            Self::Crc32c => Some("CRC32C"),
            Self::Crc32 => Some("CRC32"),
            Self::Sha256 => Some("SHA256"),
            Self::Md5 => None,
        }
    }

    /// The header that carries a value of this algorithm.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Md5 => "content-md5",
        }
    }

    /// Length of a value in bytes.
    #[allow(clippy::len_without_is_empty)] // none is empty
    pub const fn len(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
            Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// Whether values of neighbouring ranges give the value of both together.
    pub const fn combines(self) -> bool {
        matches!(self, Self::Crc64Nvme | Self::Crc32c | Self::Crc32)
    }

    const fn crc(self) -> Option<Crc> {
        match self {
            Self::Crc64Nvme => Some(Crc::CRC64_NVME),
            Self::Crc32c => Some(Crc::CRC32C),
            Self::Crc32 => Some(Crc::CRC32),
            Self::Sha256 | Self::Md5 => None,
        }
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.s3_name().unwrap_or("MD5"))
    }
}

/// What a checksum of a multipart object covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    /// The bytes of the object.
    FullObject,
    /// The checksums of its parts (shown by S3 as `value-N`).
    Composite,
}

/// A value of a named algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    bytes: [u8; 32],
}

/// A checksum value was not of its algorithm's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {algorithm} checksum has {} bytes, not {length}", algorithm.len())]
pub struct ParseChecksumError {
    /// The algorithm it was said to be of.
    pub algorithm: ChecksumAlgorithm,
    /// The length it had.
    pub length: usize,
}

impl Checksum {
    /// A value in the byte order S3 sends (big-endian for CRCs).
    pub fn new(algorithm: ChecksumAlgorithm, value: &[u8]) -> Result<Self, ParseChecksumError> {
        if value.len() != algorithm.len() {
            return Err(ParseChecksumError {
                algorithm,
                length: value.len(),
            });
        }
        let mut bytes = [0; 32];
        bytes[..value.len()].copy_from_slice(value);
        Ok(Self { algorithm, bytes })
    }

    /// The value of a CRC; `None` for the algorithms that are none.
    pub fn from_crc(algorithm: ChecksumAlgorithm, crc: u64) -> Option<Self> {
        algorithm.crc()?;
        let big_endian = crc.to_be_bytes();
        Self::new(algorithm, &big_endian[8 - algorithm.len()..]).ok()
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Its value, in the byte order S3 sends.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// The checksum of these bytes followed by `len` bytes whose checksum is
    /// `next`; `None` when the algorithm does not combine, or they differ.
    pub fn followed_by(&self, next: &Self, len: u64) -> Option<Self> {
        if self.algorithm != next.algorithm {
            return None;
        }
        let crc = self.algorithm.crc()?;
        let whole = crc.combined(self.as_crc(), next.as_crc(), len);
        Self::from_crc(self.algorithm, whole)
    }

    fn as_crc(&self) -> u64 {
        self.as_bytes()
            .iter()
            .fold(0, |crc, byte| crc << 8 | u64::from(*byte))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm)?;
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use crc_fast::CrcAlgorithm;

    use super::*;

    #[test]
    fn checksums_of_neighbours_give_the_checksum_of_both() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * 7 % 251) as u8).collect();
        for (algorithm, crc) in [
            (ChecksumAlgorithm::Crc64Nvme, CrcAlgorithm::Crc64Nvme),
            (ChecksumAlgorithm::Crc32c, CrcAlgorithm::Crc32Iscsi),
            (ChecksumAlgorithm::Crc32, CrcAlgorithm::Crc32IsoHdlc),
        ] {
            let sum = |b: &[u8]| Checksum::from_crc(algorithm, crc_fast::checksum(crc, b)).unwrap();
            for cut in [0, 1, 4096, 9_999, 10_000] {
                let (head, tail) = bytes.split_at(cut);
                let both = sum(head).followed_by(&sum(tail), tail.len() as u64);
                assert_eq!(both, Some(sum(&bytes)), "{algorithm} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_value_of_the_wrong_length_is_refused() {
        assert!(Checksum::new(ChecksumAlgorithm::Crc32, &[0; 8]).is_err());
        assert!(Checksum::new(ChecksumAlgorithm::Sha256, &[0; 32]).is_ok());
    }

    #[test]
    fn the_published_check_values_hold() {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"123456789");
        let sum = Checksum::from_crc(ChecksumAlgorithm::Crc64Nvme, crc).unwrap();
        assert_eq!(sum.as_bytes(), 0xae8b_1486_0a79_9888_u64.to_be_bytes());
    }
}
