//! What the tests of several modules begin with.

use std::path::PathBuf;

use towline_core::{
    BucketName, Connection, Direction, NewTransfer, ObjectAddress, ObjectKey, Record, Spec,
    Timestamp, TransferId, TransferOptions,
};

/// A transfer as it is recorded first. Without a path its bytes are those of a stream.
pub(crate) fn record(id: u64, bucket: &str, path: &str) -> Record {
    let bucket = BucketName::new(bucket).unwrap();
    let spec = Spec {
        direction: Direction::Upload,
        connection: Connection::default(),
        object: ObjectAddress::new(bucket, ObjectKey::new("key").unwrap()),
        path: PathBuf::from(path),
        options: TransferOptions::default(),
        token: None,
        group: None,
    };
    let new = NewTransfer {
        spec,
        source: None,
        created_at: Timestamp::default(),
    };
    Record::new(TransferId::new(id), new)
}
