//! Transfers, files and failures for tests.

use std::path::PathBuf;
use std::time::Duration;

use crate::{
    BucketName, Connection, Direction, Failure, Fingerprint, LocalFailure, NewTransfer, Now,
    ObjectAddress, ObjectKey, Operation, PartNumber, PartPlan, PartRow, PartSize, Proof, Record,
    S3Error, S3ErrorKind, Spec, Timestamp, TransferId, TransferOptions, Verified,
};

const MIB: u64 = 1 << 20;

/// A transfer that was just accepted; an upload of `source`, or a download.
pub(in crate::transfer) fn accepted(source: Option<Fingerprint>, if_absent: bool) -> Record {
    let bucket = BucketName::new("bucket").unwrap();
    let spec = Spec {
        direction: match source {
            Some(_) => Direction::Upload,
            None => Direction::Download,
        },
        connection: Connection::default(),
        object: ObjectAddress::new(bucket, ObjectKey::new("key").unwrap()),
        path: PathBuf::from("/data/file"),
        options: TransferOptions {
            if_absent,
            ..TransferOptions::default()
        },
        token: None,
        group: None,
    };
    let created_at = Timestamp::from_millis(0);
    Record::new(
        TransferId::new(1),
        NewTransfer {
            spec,
            source,
            created_at,
        },
    )
}

/// An upload of a stream, just accepted.
pub(in crate::transfer) fn accepted_stream() -> Record {
    let mut record = accepted(Some(file(0, 1)), false);
    let spec = std::sync::Arc::make_mut(&mut record.spec);
    spec.path = PathBuf::new();
    record.source = None;
    record
}

/// A copy, just accepted, in parts of 5 MiB.
pub(in crate::transfer) fn accepted_copy() -> Record {
    let mut record = accepted(None, true);
    let spec = std::sync::Arc::make_mut(&mut record.spec);
    spec.direction = Direction::Copy;
    spec.path = PathBuf::from("s3://bucket/source");
    spec.options.part_size = PartSize::from_bytes(5 * MIB).ok();
    record
}

/// How long a file is that is moved in so many parts.
pub(in crate::transfer) fn size_of(parts: u32) -> u64 {
    match parts {
        1 => 1_000,
        parts => u64::from(parts) * 5 * MIB - 1,
    }
}

/// A file of so many parts; each version has other bytes.
pub(in crate::transfer) fn file(version: u32, parts: u32) -> Fingerprint {
    Fingerprint {
        device: 1,
        inode: 1,
        size: size_of(parts),
        modified_ns: i64::from(version),
        changed_ns: i64::from(version),
    }
}

/// A part as it is recorded.
pub(in crate::transfer) fn row(plan: PartPlan, number: PartNumber, etag: Option<&str>) -> PartRow {
    PartRow {
        number,
        len: plan.len(number),
        etag: etag.map(str::to_string),
        checksum: None,
    }
}

pub(in crate::transfer) fn proof() -> Proof {
    Proof {
        verified: Verified::FullObject,
        etag: None,
        version_id: None,
        checksum: None,
        renamed: None,
    }
}

/// S3 answered, and refused.
pub(in crate::transfer) fn refused(operation: Operation, status: u16, code: &str) -> Failure {
    let mut error = S3Error::new(operation, S3ErrorKind::Answer, "");
    error.status = Some(status);
    error.code = Some(code.to_string());
    error.server_date = Some(Timestamp::from_millis(0));
    error.into()
}

/// The request was sent, its answer did not come.
pub(in crate::transfer) fn lost(operation: Operation) -> Failure {
    let mut error = S3Error::new(operation, S3ErrorKind::Transport, "reset");
    error.request_sent = true;
    error.into()
}

/// There was no way to the store.
pub(in crate::transfer) fn offline(operation: Operation) -> Failure {
    S3Error::new(operation, S3ErrorKind::Connect, "refused").into()
}

pub(in crate::transfer) fn source_changed() -> Failure {
    let (path, why) = ("/data/file".into(), "it grew".into());
    LocalFailure::SourceChanged { path, why }.into()
}

pub(in crate::transfer) fn temp_gone() -> Failure {
    let path = "/data/file".into();
    LocalFailure::TempGone { path }.into()
}

pub(in crate::transfer) fn disk_full() -> Failure {
    let (path, why) = ("/data/file".into(), "no byte is free".into());
    LocalFailure::DiskFull { path, why }.into()
}

pub(in crate::transfer) fn wrong_bytes() -> Failure {
    let (object, why) = ("s3://bucket/key".into(), "checksum".into());
    LocalFailure::WrongBytes { object, why }.into()
}

/// Some moment, later with each `tick`.
pub(in crate::transfer) fn moment(tick: u32) -> Now {
    let wall = Timestamp::from_millis(i64::from(tick) * 1000);
    Now {
        monotonic: Duration::from_secs(tick.into()),
        wall,
        server: wall,
    }
}
