//! Contents: made from a seed, and compared by length and SHA-256.

use std::fmt;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// What a file or an object holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Content {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::hashed(bytes).expect("reading from memory cannot fail")
    }

    /// Of a file, by one open descriptor; `None` where there is none.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::File::open(path) {
            Ok(file) => Self::hashed(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn hashed(mut bytes: impl io::Read) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let size = io::copy(&mut bytes, &mut hash)?;
        let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { size, sha256 })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.sha256.get(..12).unwrap_or(&self.sha256);
        write!(f, "{} bytes {short}", self.size)
    }
}

/// `len` bytes that are the same for the same seed.
pub fn bytes(len: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("a test's file fits in memory")];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
