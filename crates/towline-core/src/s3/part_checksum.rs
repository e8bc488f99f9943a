//! The checksum of a part, where it goes with the bytes and how it is told.

use std::sync::{Arc, OnceLock};

use crate::{Checksum, ChecksumAlgorithm};

/// The checksum that S3 is to compare with a part's bytes.
#[derive(Clone, Debug)]
pub enum PartChecksum {
    /// Known before the bytes are sent: a signed header.
    Header(Checksum),
    /// Known once they were: a trailer behind them.
    Trailer(Trailer),
}

impl PartChecksum {
    /// Its value; that of a trailer once all bytes were given.
    pub fn value(&self) -> Option<Checksum> {
        match self {
            Self::Header(checksum) => Some(*checksum),
            Self::Trailer(trailer) => trailer.value(),
        }
    }
}

impl From<Checksum> for PartChecksum {
    fn from(checksum: Checksum) -> Self {
        Self::Header(checksum)
    }
}

/// A checksum that becomes known while its bytes are sent. Who gives the bytes
/// tells it before the last of them; clones share it.
#[derive(Clone, Debug)]
pub struct Trailer {
    algorithm: ChecksumAlgorithm,
    value: Arc<OnceLock<Checksum>>,
}

impl Trailer {
    /// Not known yet. MD5 cannot go in a trailer.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self {
            algorithm,
            value: Arc::default(),
        }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Makes it known; the first value counts.
    pub fn tell(&self, value: Checksum) {
        let _ = self.value.set(value);
    }

    /// Its value, once it is known.
    pub fn value(&self) -> Option<Checksum> {
        self.value.get().copied()
    }
}
