//! The port to S3: one method per operation, facts in, facts out.
//!
//! An implementation sends one request per call. It never retries, waits or
//! follows a redirect; dropping a call's future cuts its connection.

mod copy;
mod delete;
mod error;
mod part_checksum;
mod types;

use std::sync::Arc;

use async_trait::async_trait;

pub use copy::{CopyObject, CopySource, GetTags, Tags, UploadPartCopy};
pub use delete::{DeleteObjects, NotDeleted, ObjectVersion, ObjectsDeleted};
pub use error::{Operation, S3Error, S3ErrorKind};
pub use part_checksum::{PartChecksum, Trailer};
pub use types::*;

use crate::{Connection, Timestamp, TransferId};

/// One S3 store, reached in one way with one identity.
#[async_trait]
pub trait S3: Send + Sync + 'static {
    /// Stores `body` under a key in one request.
    async fn put_object(&self, request: PutObject, body: Body) -> Result<Stored, S3Error>;

    /// Makes an object of another one. `Ok` only for a whole and well-formed answer
    /// that says so; S3 may send an error under status 200.
    async fn copy_object(&self, request: CopyObject) -> Result<Stored, S3Error>;

    /// Opens a multipart upload. Not idempotent: each success opens another.
    async fn create_multipart_upload(&self, request: CreateUpload)
    -> Result<OpenedUpload, S3Error>;

    /// Stores one part; a part sent again replaces the earlier one.
    async fn upload_part(&self, request: UploadPart, body: Body) -> Result<PartStored, S3Error>;

    /// Whether the checksum of a part for this bucket can be a [`Trailer`] as far as it
    /// is for us; what the store makes of one is another question.
    fn sends_trailers(&self, _bucket: &str) -> bool {
        false
    }

    /// What makes the body of a part for this bucket out of its file's bytes without a copy
    /// of them, where its checksum is a [`Trailer`] and this can be done.
    fn unread(&self, _bucket: &str) -> Option<Unread> {
        None
    }

    /// So many requests for this bucket will be under way at one time after the next
    /// one: their connections may be opened meanwhile.
    fn open_ahead(&self, _bucket: &str, _requests: usize) {}

    /// Makes one part of an object's bytes. As to `Ok`, see [`copy_object`](S3::copy_object).
    async fn upload_part_copy(&self, request: UploadPartCopy) -> Result<PartStored, S3Error>;

    /// Makes the object out of its parts. `Ok` only for a whole and well-formed
    /// answer that says so; S3 may send an error under status 200.
    async fn complete_multipart_upload(&self, request: CompleteUpload) -> Result<Stored, S3Error>;

    /// Gives an open upload up. Parts in flight may still land after it.
    async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error>;

    /// One page of the parts that an open upload has.
    async fn list_parts(&self, upload: &Upload, after: Option<u32>) -> Result<PartsPage, S3Error>;

    /// One page of the open uploads whose key starts with `prefix`.
    async fn list_multipart_uploads(&self, request: ListUploads) -> Result<UploadsPage, S3Error>;

    /// What an object is, without its bytes; checksums included.
    async fn head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error>;

    /// An object's tags.
    async fn get_object_tagging(&self, request: GetTags) -> Result<Tags, S3Error>;

    /// An object's bytes, or a range of them, as they arrive.
    async fn get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error>;

    /// One page of the objects whose key starts with `prefix`.
    async fn list_objects(&self, request: ListObjects) -> Result<ObjectsPage, S3Error>;

    /// Deletes an object, or one version of it.
    async fn delete_object(&self, request: DeleteObject) -> Result<(), S3Error>;

    /// Deletes up to 1,000 objects. `Ok` says of each what became of it, and
    /// that may be that it is still there.
    async fn delete_objects(&self, request: DeleteObjects) -> Result<ObjectsDeleted, S3Error>;

    /// Forgets cached credentials, so that the next request asks for them anew.
    fn refresh_credentials(&self) {}

    /// Signs from now on as if the clock read `server` at this moment.
    fn set_clock(&self, _server: Timestamp) {}

    /// How far [`set_clock`](S3::set_clock) has moved the clock that requests
    /// are signed by ahead of this machine's, in milliseconds.
    fn clock_offset(&self) -> i64 {
        0
    }

    /// Signs from now on for this region, where the endpoint stays the same.
    fn set_region(&self, _region: &str) {}

    /// Sends requests for a bucket for a while where [`S3Error::location`]
    /// pointed for it, which is within the endpoint.
    fn set_redirect(&self, _location: &str) {}

    /// Closes idle connections and forgets resolved addresses.
    fn reset_connections(&self) {}
}

/// Gives the [`S3`] that belongs to a stored connection.
pub trait Connector: Send + Sync + 'static {
    /// The client for a transfer's connection; the same one for equal
    /// connections with equal credentials. Does no network I/O. Fails when the
    /// connection can never work as it stands: an unknown profile, an endpoint
    /// that is no URL, a bucket it cannot address.
    fn connect(&self, id: TransferId, connection: &Connection)
    -> Result<Arc<dyn S3>, ConnectError>;

    /// A transfer is final: credentials that were given for it alone can go.
    fn ended(&self, _id: TransferId) {}
}

/// Why a connection can never work as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The profile is in none of AWS's files.
    #[error("no profile {name:?} in {}", files.join(" or "))]
    UnknownProfile {
        /// The profile asked for.
        name: String,
        /// The files that were looked into.
        files: Vec<String>,
    },
    /// No credentials were registered under the name.
    #[error("no connection is registered as {name:?}")]
    NotRegistered {
        /// The name asked for.
        name: String,
    },
    /// The endpoint is not an `http` or `https` URL of a host.
    #[error("{endpoint:?} is not an endpoint URL: {why}")]
    BadEndpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The bucket does not go with the endpoint's options.
    #[error("bucket {bucket:?} cannot be used with {option}: {why}")]
    BucketUnfit {
        /// The bucket.
        bucket: String,
        /// The option, such as transfer acceleration.
        option: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A file with settings or certificates cannot be read.
    #[error("cannot use {path}: {why}")]
    BadFile {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
}
