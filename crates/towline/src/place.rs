//! Where a request goes: checked, and with what was left open settled.

use towline_core::{BucketName, ConnectError, Connection, ObjectKey};

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
        let bucket = self.bucket(bucket)?;
        let connection = connection.unwrap_or(self.default_connection());
        Ok(Place {
            connection: self.resolve(connection, bucket.as_str())?,
            bucket: bucket.into(),
        })
    }

    /// The same over a connection that was resolved elsewhere.
    pub(crate) fn place_as_it_stands(
        &self,
        bucket: &str,
        connection: &Connection,
    ) -> Result<Place, SubmitError> {
        let bucket = self.bucket(bucket)?;
        Ok(Place {
            connection: self.check_connection(connection, bucket.as_str())?,
            bucket: bucket.into(),
        })
    }

    fn bucket(&self, bucket: &str) -> Result<BucketName, SubmitError> {
        Ok(match (bucket.is_empty(), self.default_bucket()) {
            (true, Some(bucket)) => bucket.clone(),
            _ => BucketName::new(bucket)?,
        })
    }

    /// What a connection means here and now, so that what is stored does not
    /// change its meaning with the environment.
    pub(crate) fn resolve(
        &self,
        connection: &Connection,
        bucket: &str,
    ) -> Result<Connection, ConnectError> {
        let connection = self.connector().resolve(connection.clone())?;
        towline_s3::check_bucket(&connection, bucket)?;
        Ok(connection)
    }

    /// A connection that was resolved elsewhere, if it can be used here.
    pub(crate) fn check_connection(
        &self,
        connection: &Connection,
        bucket: &str,
    ) -> Result<Connection, ConnectError> {
        self.connector().check(connection, bucket)?;
        Ok(connection.clone())
    }
}

/// A key that can be one.
pub(crate) fn key(key: &str) -> Result<String, SubmitError> {
    Ok(ObjectKey::new(key)?.as_str().to_owned())
}
