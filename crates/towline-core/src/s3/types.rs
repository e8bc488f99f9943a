//! What goes into S3's operations and what comes back, as far as we use it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use super::PartChecksum;
use crate::{
    Access, Checksum, ChecksumAlgorithm, ChecksumKind, Extra, ObjectOptions, ReadCondition,
    Timestamp,
};

/// Why a stream of bytes broke off.
pub type StreamError = Box<dyn Error + Send + Sync>;

/// A stream of bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>;

/// Makes bytes that stand for a range of a file, for the body of a request of the same
/// [`S3`](crate::S3): their length is right, and nobody else may look at what they are. `None`
/// where the range has to be read.
pub type Unread = fn(&Arc<File>, Range<u64>) -> Option<Bytes>;

/// The bytes of a request. When the stream fails or gives fewer than `len`
/// bytes, the connection is cut and S3 stores nothing.
pub struct Body {
    /// Their exact number, sent as `Content-Length`.
    pub len: u64,
    /// The bytes.
    pub stream: ByteStream,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A condition on a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteCondition {
    /// Only where no object has the key (`If-None-Match: *`).
    Absent,
    /// Only where the object has this ETag (`If-Match`).
    ETag(String),
}

/// PutObject.
#[derive(Clone, Debug, Default)]
pub struct PutObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What the object carries besides its bytes.
    pub options: ObjectOptions,
    /// Of the body; sent as a signed header, checked by S3.
    pub checksum: Option<Checksum>,
    /// A condition, if any.
    pub condition: Option<WriteCondition>,
    /// What every request for the object carries.
    pub access: Access,
    /// Further headers and parameters.
    pub extra: Extra,
}

/// CreateMultipartUpload.
#[derive(Clone, Debug, Default)]
pub struct CreateUpload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// It is signed as of this moment, by S3's clock; as of now without one.
    /// S3 takes no request that was signed more than 15 minutes ago, or that
    /// will be: what it begins is begun within 15 minutes of it.
    pub signed_at: Option<Timestamp>,
    /// What the object will carry besides its bytes.
    pub options: ObjectOptions,
    /// The algorithm of its checksums, and what the object's will cover.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// What every request for the object carries.
    pub access: Access,
    /// Further headers and parameters.
    pub extra: Extra,
}

/// An open multipart upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// S3's name for it.
    pub id: String,
    /// What every request for the object carries.
    pub access: Access,
}

/// UploadPart.
#[derive(Clone, Debug)]
pub struct UploadPart {
    /// The upload it belongs to.
    pub upload: Upload,
    /// 1 to 10,000.
    pub number: u32,
    /// Of the part's bytes, checked by S3.
    pub checksum: Option<PartChecksum>,
}

/// S3's answer to CreateMultipartUpload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedUpload {
    /// What it is called from now on.
    pub id: String,
    /// How S3 says that parts may be checked, if it says that.
    pub checksum: Option<ChecksumAlgorithm>,
}

/// S3's answer to UploadPart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartStored {
    /// The part's ETag, as sent (with its quotes); `None` is no proof of success.
    pub etag: Option<String>,
    /// The checksum S3 says it stored, if it says one.
    pub checksum: Option<Checksum>,
}

/// CompleteMultipartUpload.
#[derive(Clone, Debug)]
pub struct CompleteUpload {
    /// The upload.
    pub upload: Upload,
    /// Its parts in order.
    pub parts: Vec<CompletedPart>,
    /// The length that the object must have (`x-amz-mp-object-size`).
    pub size: u64,
    /// The whole object's checksum, where it covers the full object.
    pub checksum: Option<Checksum>,
    /// What the checksum named at Create covers.
    pub checksum_kind: Option<ChecksumKind>,
    /// A condition, if any.
    pub condition: Option<WriteCondition>,
}

/// One entry of CompleteMultipartUpload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// As S3 gave it.
    pub etag: String,
    /// As sent with the part.
    pub checksum: Option<Checksum>,
}

/// S3's answer to PutObject and CompleteMultipartUpload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The object's ETag, as sent (with its quotes); some stores leave it empty.
    pub etag: Option<String>,
    /// The version made, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// The checksum S3 says it stored, and what it covers.
    pub checksum: Option<(Checksum, ChecksumKind)>,
}

/// A part as ListParts shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// As S3 gave it.
    pub etag: String,
    /// Length in bytes.
    pub size: u64,
    /// Its checksum, if the store keeps one.
    pub checksum: Option<Checksum>,
}

/// One page of ListParts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartsPage {
    /// In order of their numbers.
    pub parts: Vec<ListedPart>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<u32>,
}

/// ListMultipartUploads.
#[derive(Clone, Debug, Default)]
pub struct ListUploads {
    /// The bucket.
    pub bucket: String,
    /// Keys start with this.
    pub prefix: String,
    /// From the last page.
    pub after: Option<UploadMarker>,
    /// What every request carries.
    pub access: Access,
}

/// Where a page of ListMultipartUploads starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadMarker {
    /// After this key …
    pub key: String,
    /// … and this upload of it.
    pub upload_id: Option<String>,
}

/// An open upload as ListMultipartUploads shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// Its key.
    pub key: String,
    /// S3's name for it.
    pub upload_id: String,
    /// When it was opened.
    pub initiated: Option<Timestamp>,
    /// Who opened it, where the store tells.
    pub initiator: Option<String>,
}

/// One page of ListMultipartUploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadsPage {
    /// The uploads.
    pub uploads: Vec<ListedUpload>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<UploadMarker>,
}

/// GetObject and HeadObject.
#[derive(Clone, Debug, Default)]
pub struct GetObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// A version; `None` is the current one.
    pub version_id: Option<String>,
    /// Half-open byte offsets; not empty. `None` is all.
    pub range: Option<Range<u64>>,
    /// Only while it is so. An `if_match` binds ranges to one version.
    pub condition: ReadCondition,
    /// Only this part of a multipart object.
    pub part_number: Option<u32>,
    /// What every request for the object carries.
    pub access: Access,
    /// Further headers and parameters.
    pub extra: Extra,
}

/// What S3 says of an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHead {
    /// The server's clock at its answer (`Date`).
    pub told_at: Option<Timestamp>,
    /// Its ETag, as sent (with its quotes).
    pub etag: Option<String>,
    /// The whole object's length in bytes, also when a range was asked for.
    pub size: Option<u64>,
    /// Its version, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// When it was stored.
    pub last_modified: Option<Timestamp>,
    /// Its checksums, each with what it covers.
    pub checksums: Vec<(Checksum, ChecksumKind)>,
    /// How many parts it was made of, where the answer tells.
    pub parts: Option<u32>,
    /// The bytes that the answer is about, where it is not about all of them.
    pub range: Option<Range<u64>>,
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
    /// `x-amz-meta-…`.
    pub metadata: BTreeMap<String, String>,
    /// How many tags it has; they are asked for apart.
    pub tag_count: Option<u32>,
    /// Its storage class; S3 tells none for `STANDARD`.
    pub storage_class: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub redirect: Option<String>,
    /// `x-amz-server-side-encryption` (`aws:kms` makes ETags opaque).
    pub encryption: Option<String>,
    /// The key in KMS that it is encrypted with.
    pub kms_key: Option<String>,
    /// It is encrypted with a key that S3 does not keep, which makes ETags
    /// opaque.
    pub customer_key: bool,
}

/// An object's bytes as they arrive.
pub struct ObjectBody {
    /// What S3 said first.
    pub head: ObjectHead,
    /// The status: 200 (all of it) or 206 (a range).
    pub status: u16,
    /// The bytes that this answer covers, from `Content-Range` or its length.
    pub range: Range<u64>,
    /// The bytes. Ends with an error when fewer arrive than were announced.
    pub stream: ByteStream,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("head", &self.head)
            .field("status", &self.status)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// ListObjectsV2.
#[derive(Clone, Debug, Default)]
pub struct ListObjects {
    /// The bucket.
    pub bucket: String,
    /// Keys start with this.
    pub prefix: String,
    /// Keys are grouped up to this, usually `/`.
    pub delimiter: Option<String>,
    /// From the last page.
    pub continuation: Option<String>,
    /// The first page begins after this key.
    pub start_after: Option<String>,
    /// The most keys and prefixes on a page. Default: S3's, which is 1,000.
    pub max_keys: Option<u32>,
    /// What every request carries.
    pub access: Access,
}

/// DeleteObject.
#[derive(Clone, Debug, Default)]
pub struct DeleteObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// A version; `None` deletes the current one, or marks it deleted.
    pub version_id: Option<String>,
    /// What every request for the object carries.
    pub access: Access,
}

/// An object as ListObjectsV2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    /// As S3 gave it.
    pub etag: Option<String>,
    /// When it was stored.
    pub last_modified: Option<Timestamp>,
    /// Its storage class, where the store tells; `STANDARD` is told too.
    pub storage_class: Option<String>,
}

/// One page of ListObjectsV2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectsPage {
    /// In the order of their keys.
    pub objects: Vec<ListedObject>,
    /// Prefixes up to the delimiter.
    pub prefixes: Vec<String>,
    /// For the next page; `None` on the last.
    pub next: Option<String>,
}
