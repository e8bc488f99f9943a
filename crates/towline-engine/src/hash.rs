//! Checksums over bytes as they pass.

use md5::Digest;
use towline_core::{Checksum, ChecksumAlgorithm};

/// A checksum in the making.
#[derive(Clone)]
pub struct Hasher {
    algorithm: ChecksumAlgorithm,
    state: HashState,
}

#[derive(Clone)]
enum HashState {
    Crc(Box<crc_fast::Digest>),
    Sha256(Box<sha2::Sha256>),
    Md5(Box<md5::Md5>),
}

impl Hasher {
    /// Of no bytes yet.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let crc = |kind| HashState::Crc(Box::new(crc_fast::Digest::new(kind)));
        let state = match algorithm {
            ChecksumAlgorithm::Crc64Nvme => crc(crc_fast::CrcAlgorithm::Crc64Nvme),
            ChecksumAlgorithm::Crc32c => crc(crc_fast::CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc32 => crc(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Sha256 => HashState::Sha256(Box::default()),
            ChecksumAlgorithm::Md5 => HashState::Md5(Box::default()),
        };
        Self { algorithm, state }
    }

    /// Whether it takes in bytes about as fast as they are copied.
    pub(crate) fn is_fast(&self) -> bool {
        matches!(self.state, HashState::Crc(_))
    }

    /// Takes in further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            HashState::Crc(digest) => digest.update(bytes),
            HashState::Sha256(digest) => digest.update(bytes),
            HashState::Md5(digest) => digest.update(bytes),
        }
    }

    /// Of all bytes that were taken in.
    pub fn finish(self) -> Checksum {
        let sum = match self.state {
            HashState::Crc(digest) => Checksum::from_crc(self.algorithm, digest.finalize()),
            HashState::Sha256(digest) => Checksum::new(self.algorithm, &digest.finalize()).ok(),
            HashState::Md5(digest) => Checksum::new(self.algorithm, &digest.finalize()).ok(),
        };
        sum.expect("each algorithm gives values of its own length")
    }
}

/// The checksum of bytes in memory.
pub fn checksum_of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// The MD5 that an ETag of S3 shows: of one PUT, or (as `…-N`) of N parts.
/// `None` for ETags that are none.
pub fn etag_md5(etag: &str) -> Option<(Checksum, Option<u32>)> {
    let etag = etag.trim_matches('"');
    let (hex, parts) = match etag.split_once('-') {
        Some((hex, parts)) => (hex, Some(parts.parse().ok()?)),
        None => (etag, None),
    };
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..16)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok())
        .collect();
    Some((Checksum::new(ChecksumAlgorithm::Md5, &bytes?).ok()?, parts))
}

/// The number of parts that an ETag ends in, of whatever it is made.
pub fn etag_parts(etag: &str) -> Option<u32> {
    let (_, parts) = etag.trim_matches('"').rsplit_once('-')?;
    parts.parse().ok()
}

/// The checksum over the checksums of parts, as S3 makes composite ones.
pub fn composite<'a>(parts: impl Iterator<Item = &'a Checksum>) -> Option<Checksum> {
    let mut parts = parts.peekable();
    let algorithm = parts.peek()?.algorithm();
    let mut hasher = Hasher::new(algorithm);
    for part in parts {
        if part.algorithm() != algorithm {
            return None;
        }
        hasher.update(part.as_bytes());
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_read_as_md5_only_where_they_are_one() {
        let plain = etag_md5("\"d41d8cd98f00b204e9800998ecf8427e\"").unwrap();
        assert_eq!(plain, (checksum_of(ChecksumAlgorithm::Md5, b""), None));
        let parts = etag_md5("\"d41d8cd98f00b204e9800998ecf8427e-3\"").unwrap();
        assert_eq!(parts.1, Some(3));
        for other in [
            "",
            "\"abc\"",
            "\"zz1d8cd98f00b204e9800998ecf8427e\"",
            "\"é41d8cd98f00b204e9800998ecf8427\"",
        ] {
            assert_eq!(etag_md5(other), None);
        }
    }
}
