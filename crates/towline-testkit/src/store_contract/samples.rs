//! Transfers, parts and changes to fill a store with.

use std::path::PathBuf;

use towline_core::{
    BucketName, Change, Checksum, ChecksumAlgorithm, Connection, Direction, ErrorRecord,
    Fingerprint, NewTransfer, ObjectAddress, ObjectKey, Outcome, PartNumber, PartRow, Phase, Proof,
    Spec, Timestamp, TransferOptions, Verified,
};

/// A transfer to be recorded, and what differs from the usual one.
#[derive(Clone, Debug)]
pub struct Sample(NewTransfer);

impl Sample {
    /// An upload of `/data/in/NAME` to `s3://bucket/NAME`.
    pub fn upload(name: &str) -> Self {
        let source = Fingerprint {
            device: 7,
            inode: u64::MAX,
            size: 10_000,
            modified_ns: 1_700_000_000_123_456_789,
            changed_ns: -1,
        };
        Self::new(Direction::Upload, name, "/data/in", Some(source))
    }

    /// A download of `s3://bucket/NAME` to `/data/out/NAME`.
    pub fn download(name: &str) -> Self {
        Self::new(Direction::Download, name, "/data/out", None)
    }

    /// A copy of `s3://source/NAME` to `s3://bucket/NAME`.
    pub fn copy(name: &str) -> Self {
        let sample = Self::new(Direction::Copy, name, "", None);
        sample.with(|spec| spec.path = format!("s3://source/{name}").into())
    }

    fn new(direction: Direction, name: &str, dir: &str, source: Option<Fingerprint>) -> Self {
        let spec = Spec {
            direction,
            connection: Connection::default(),
            object: ObjectAddress::new(bucket("bucket"), key(name)),
            path: PathBuf::from(dir).join(name),
            options: TransferOptions::default(),
            token: None,
            group: None,
        };
        Self(NewTransfer {
            spec,
            source,
            created_at: Timestamp::from_millis(1_763_000_000_000),
        })
    }

    /// In another bucket.
    pub fn bucket(mut self, name: &str) -> Self {
        self.0.spec.object.bucket = bucket(name);
        self
    }

    /// With a token.
    pub fn token(mut self, token: &str) -> Self {
        self.0.spec.token = Some(token.into());
        self
    }

    /// With anything else that differs.
    pub fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.0.spec);
        self
    }

    /// The transfer.
    pub fn build(self) -> NewTransfer {
        self.0
    }
}

/// A bucket of this name.
pub(super) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

/// A key of this name.
pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

/// The change to a phase, at some time.
pub fn phase(phase: Phase) -> Change {
    Change::Phase {
        phase,
        at: Timestamp::from_millis(1_763_000_001_000),
    }
}

/// The changes that complete a transfer.
pub fn completed() -> Vec<Change> {
    let proof = Proof {
        verified: Verified::FullObject,
        etag: Some("\"done\"".into()),
        version_id: None,
        checksum: None,
        renamed: None,
    };
    let ended = Change::Ended {
        outcome: Outcome::Transferred,
        proof: Some(proof),
    };
    vec![ended, phase(Phase::Completed)]
}

/// A part of 5 MiB with an ETag and a checksum.
pub fn part(number: u32) -> PartRow {
    PartRow {
        number: PartNumber::new(number).unwrap(),
        len: 5 << 20,
        etag: Some(format!("\"etag-{number}\"")),
        checksum: Some(sum(ChecksumAlgorithm::Crc64Nvme, number)),
    }
}

/// Some checksum of an algorithm.
pub fn sum(algorithm: ChecksumAlgorithm, seed: u32) -> Checksum {
    let bytes: Vec<u8> = (0..algorithm.len())
        .map(|at| seed.to_le_bytes()[at % 4])
        .collect();
    Checksum::new(algorithm, &bytes).unwrap()
}

/// Some error, told from others by its number.
pub fn error(attempts: u32) -> ErrorRecord {
    ErrorRecord {
        code: "SlowDown".into(),
        message: "S3 asks for fewer requests – \u{1b}[31m".into(),
        http_status: Some(503),
        request_id: Some("R1".into()),
        host_id: None,
        attempts,
    }
}
