//! Where a request goes: checked, and with what was left open settled.

use towline_core::{BucketName, Connection, ObjectKey};

use crate::{SubmitError, TransferUtility};

/// A bucket, and how to reach it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) connection: Connection,
}

impl TransferUtility {
    /// The bucket of a request; an empty one is the default bucket. Nothing is
    /// asked of the network.
    pub(crate) fn place(
        &self,
        bucket: &str,
        connection: Option<&Connection>,
    ) -> Result<Place, SubmitError> {
        let bucket = match (bucket.is_empty(), self.default_bucket()) {
            (true, Some(bucket)) => bucket.clone(),
            _ => BucketName::new(bucket)?,
        };
        let connection = connection.unwrap_or(self.default_connection());
        Ok(Place {
            connection: self.resolve(connection, bucket.as_str())?,
            bucket: bucket.into(),
        })
    }
}

/// A key that can be one.
pub(crate) fn key(key: &str) -> Result<String, SubmitError> {
    Ok(ObjectKey::new(key)?.as_str().to_owned())
}
