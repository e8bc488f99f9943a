//! The checksums S3 knows: computed while bytes stream by, checked, combined over parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// Over what the checksum of an object is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Over all bytes of the object.
    FullObject,
    /// Over the checksums of the parts.
    Composite,
}

/// A checksum with the algorithm that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    #[serde(with = "hex")]
    pub(crate) bytes: Vec<u8>,
}

/// The checksum of a whole object, as S3 reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectChecksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// Base64; for a composite one followed by `-` and the number of parts.
    pub(crate) value: String,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The name in `x-amz-checksum-algorithm` and in XML.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header that carries a checksum of this algorithm.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(crate) fn of_header(header: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.header() == header)
    }

    /// What S3 takes when an upload names the algorithm and no type.
    pub(crate) fn default_kind(self) -> Kind {
        match self {
            Self::Crc64Nvme => Kind::FullObject,
            _ => Kind::Composite,
        }
    }

    /// Whether S3 has this algorithm in this kind: only CRCs can be combined
    /// over parts, and CRC64NVME is never composite.
    pub(crate) fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::FullObject => self.crc().is_some(),
            Kind::Composite => self != Self::Crc64Nvme,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Checksum {
    /// Reads the base64 of a header; `None` when malformed or of another length.
    pub(crate) fn parse(algorithm: Algorithm, base64: &str) -> Option<Self> {
        let bytes = BASE64.decode(base64).ok()?;
        (bytes.len() == algorithm.bytes()).then_some(Self { algorithm, bytes })
    }

    pub(crate) fn base64(&self) -> String {
        BASE64.encode(&self.bytes)
    }
}

impl ObjectChecksum {
    /// The checksum of an object stored by one PUT.
    pub(crate) fn of_single(checksum: &Checksum) -> Self {
        Self {
            algorithm: checksum.algorithm,
            kind: Kind::FullObject,
            value: checksum.base64(),
        }
    }

    /// The checksum over all bytes, from those of the parts and their sizes.
    ///
    /// `None` for the algorithms that cannot be combined.
    pub(crate) fn combined<'a>(
        algorithm: Algorithm,
        parts: impl IntoIterator<Item = (&'a Checksum, u64)>,
    ) -> Option<Self> {
        let crc = algorithm.crc()?;
        let combined = parts.into_iter().fold(0, |whole, (part, size)| {
            checksum_combine(crc, whole, number(&part.bytes), size)
        });
        let bytes = combined.to_be_bytes()[8 - algorithm.bytes()..].to_vec();
        Some(Self::of_single(&Checksum { algorithm, bytes }))
    }

    /// The checksum over the checksums of the parts.
    pub(crate) fn composite<'a>(
        algorithm: Algorithm,
        parts: impl IntoIterator<Item = &'a Checksum>,
    ) -> Self {
        let mut hasher = Hasher::new(algorithm);
        let mut count = 0;
        for part in parts {
            hasher.update(&part.bytes);
            count += 1;
        }
        Self {
            algorithm,
            kind: Kind::Composite,
            value: format!("{}-{count}", hasher.finish().base64()),
        }
    }
}

/// Reads a big-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A running checksum.
pub(crate) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, bytes) = match self {
            Self::Crc32(hasher) => (Algorithm::Crc32, hasher.finalize().to_vec()),
            Self::Crc32c(hasher) => (Algorithm::Crc32c, hasher.finalize().to_vec()),
            Self::Crc64Nvme(hasher) => (Algorithm::Crc64Nvme, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().as_ref().to_vec()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().as_ref().to_vec()),
        };
        Checksum { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_answers_hold() {
        // Check values of the CRC catalogue for "123456789".
        let hex = |algorithm| hex::encode(checksum(algorithm, b"123456789").bytes);
        assert_eq!(hex(Algorithm::Crc32), "cbf43926");
        assert_eq!(hex(Algorithm::Crc32c), "e3069283");
        assert_eq!(hex(Algorithm::Crc64Nvme), "ae8b14860a799888");
    }

    #[test]
    fn a_crc_combined_over_parts_is_the_crc_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (first, second) = (checksum(algorithm, b"12345"), checksum(algorithm, b"6789"));
            let whole = ObjectChecksum::of_single(&checksum(algorithm, b"123456789"));
            let combined = ObjectChecksum::combined(algorithm, [(&first, 5), (&second, 4)]);
            assert_eq!(combined, Some(whole));
        }
    }

    #[test]
    fn a_hash_is_never_combined() {
        let part = checksum(Algorithm::Sha256, b"1");
        assert_eq!(
            ObjectChecksum::combined(Algorithm::Sha256, [(&part, 1)]),
            None
        );
    }

    #[test]
    fn a_checksum_of_another_length_is_malformed() {
        assert_eq!(Checksum::parse(Algorithm::Crc32, "AAAAAAAAAAA="), None);
        assert_eq!(Checksum::parse(Algorithm::Crc32, "not base64"), None);
    }
}
