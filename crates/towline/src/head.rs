//! What an object is, without its bytes.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use towline_core::{
    Access, Checksum, ChecksumKind, Connection, GetObject, ObjectHead, Operation, S3, Timestamp,
};
use towline_s3::S3Client;

use crate::{Error, TransferUtility, place};

/// What S3 says of an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMetadata {
    /// Length in bytes.
    pub size: Option<u64>,
    /// Its ETag, as sent (with its quotes).
    pub etag: Option<String>,
    /// Its version, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// When it was stored.
    pub last_modified: Option<Timestamp>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Expires`.
    pub expires: Option<Timestamp>,
    /// Own metadata, `x-amz-meta-…`.
    pub metadata: BTreeMap<String, String>,
    /// Its storage class; S3 tells none for `STANDARD`.
    pub storage_class: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub redirect: Option<String>,
    /// How it is encrypted: `AES256`, `aws:kms` or alike.
    pub encryption: Option<String>,
    /// The key in KMS that it is encrypted with.
    pub kms_key: Option<String>,
    /// It is encrypted with a key that S3 does not keep (SSE-C).
    pub customer_key: bool,
    /// Its checksums, each with what it covers.
    pub checksums: Vec<(Checksum, ChecksumKind)>,
    /// How many tags it has. S3 tells only who may read them.
    pub tag_count: Option<u32>,
    /// How many parts it was uploaded in; `None` for one in one piece, and
    /// where the store does not tell.
    pub parts: Option<u32>,
}

/// An object to be asked about. Await it.
#[must_use = "await it to ask about the object"]
#[derive(Clone, Debug)]
pub struct HeadRequest {
    utility: TransferUtility,
    connection: Option<Connection>,
    object: GetObject,
}

impl TransferUtility {
    /// What an object is, without its bytes; await the request. Where there is
    /// none it fails with [`Error::Request`], whose
    /// [`is_not_found`](crate::RequestError::is_not_found) then is true. An
    /// empty `bucket` is the default bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    pub fn head(&self, bucket: impl Into<String>, key: impl Into<String>) -> HeadRequest {
        HeadRequest {
            utility: self.clone(),
            connection: None,
            object: GetObject {
                bucket: bucket.into(),
                key: key.into(),
                ..GetObject::default()
            },
        }
    }
}

impl HeadRequest {
    /// A version of the object. Default: the current one.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.object.version_id = Some(version.into());
        self
    }

    /// What S3 wants to see on the request: that the requester pays, who has to
    /// own the bucket, the key of an
    /// object that is encrypted with one that S3 does not keep. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.object.access = access;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    async fn send(self) -> Result<ObjectMetadata, Error> {
        let place = self
            .utility
            .place(&self.object.bucket, self.connection.as_ref())?;
        let asker = self.utility.asker(&place)?;
        let mut object = self.object;
        object.bucket = place.bucket;
        object.key = place::key(&object.key)?;
        let send = move |s3: Arc<S3Client>| {
            let object = object.clone();
            async move { s3.head_object(object).await }
        };
        asker.ask(Operation::HeadObject, send).await.map(Into::into)
    }
}

impl IntoFuture for HeadRequest {
    type Output = Result<ObjectMetadata, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl From<ObjectHead> for ObjectMetadata {
    fn from(head: ObjectHead) -> Self {
        let parts = head.parts.or(head.etag.as_deref().and_then(parts));
        Self {
            size: head.size,
            etag: head.etag,
            version_id: head.version_id,
            last_modified: head.last_modified,
            content_type: head.content_type,
            content_encoding: head.content_encoding,
            content_disposition: head.content_disposition,
            content_language: head.content_language,
            cache_control: head.cache_control,
            expires: head.expires,
            metadata: head.metadata,
            storage_class: head.storage_class,
            redirect: head.redirect,
            encryption: head.encryption,
            kms_key: head.kms_key,
            customer_key: head.customer_key,
            checksums: head.checksums,
            tag_count: head.tag_count,
            parts,
        }
    }
}

/// The ETag of an object uploaded in parts ends in their number: S3 tells it
/// in a header only to who asks for one part.
fn parts(etag: &str) -> Option<u32> {
    let (sum, count) = etag.trim_matches('"').rsplit_once('-')?;
    let hex = sum.len() == 32 && sum.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| count.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_parts_is_read_off_an_etag_that_has_one() {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(parts(&format!("\"{sum}-12\"")), Some(12));
        for etag in [sum.to_owned(), format!("{sum}-x"), "\"abc-3\"".to_owned()] {
            assert_eq!(parts(&etag), None, "{etag}");
        }
    }
}
