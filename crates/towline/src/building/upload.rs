//! Uploads, built step by step.

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncRead;
use towline_core::{
    ChecksumAlgorithm, Connection, Direction, Encryption, Grant, Grantee, KeyReference,
    NetworkPolicy, ObjectOptions, PartSize, Permission, Priority, Timestamp, UploadMode,
    WhenSourceChanges,
};
use towline_engine::Reading;

use super::common;
use crate::listener::Listener;
use crate::{
    Error, SubmitError, TransferListener, TransferObserver, TransferRequest, TransferUtility,
};

/// An upload to be submitted. Await it.
#[must_use = "await it to submit the upload"]
#[derive(Debug)]
pub struct UploadRequest {
    utility: TransferUtility,
    request: TransferRequest,
    /// Readers are not to be shared, and the request is.
    body: Mutex<Body>,
    spool: bool,
    listener: Listener,
}

/// Where the bytes of an upload are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In the file that the request names.
    File,
    /// In memory.
    Bytes(Bytes),
    /// To be read.
    Reader(Reading),
}

impl UploadRequest {
    pub(crate) fn file(utility: TransferUtility, bucket: String, key: String, file: &Path) -> Self {
        let request = TransferRequest::upload(bucket, key, file);
        Self::new(utility, request, Body::File)
    }

    pub(crate) fn bytes(
        utility: TransferUtility,
        bucket: String,
        key: String,
        bytes: Bytes,
    ) -> Self {
        let mut request = TransferRequest::stream(Direction::Upload, bucket, key);
        request.length = Some(bytes.len() as u64);
        Self::new(utility, request, Body::Bytes(bytes))
    }

    pub(crate) fn reader(
        utility: TransferUtility,
        bucket: String,
        key: String,
        reader: impl AsyncRead + Send + 'static,
    ) -> Self {
        let request = TransferRequest::stream(Direction::Upload, bucket, key);
        let reading = Reading {
            reader: Box::pin(reader),
            length: None,
            expected: None,
        };
        Self::new(utility, request, Body::Reader(reading))
    }

    fn new(utility: TransferUtility, request: TransferRequest, body: Body) -> Self {
        Self {
            utility,
            request,
            body: Mutex::new(body),
            spool: false,
            listener: Listener::default(),
        }
    }

    /// Readers: how many bytes there are. With others the upload fails. Default:
    /// not known, and the object ends where the reader does.
    pub fn length(mut self, bytes: u64) -> Self {
        if let Body::Reader(reading) = self.body_mut() {
            reading.length = Some(bytes);
            self.request.length = Some(bytes);
        }
        self
    }

    /// Readers of unknown length: about how many bytes to expect. Without it the
    /// parts grow from 5 to 16 MiB, so that an object of 122 GiB is the largest;
    /// with it they are as large as it needs, and as much more is held in memory.
    pub fn expected_size(mut self, bytes: u64) -> Self {
        if let Body::Reader(reading) = self.body_mut() {
            reading.expected = Some(bytes);
        }
        self
    }

    fn body_mut(&mut self) -> &mut Body {
        self.body.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes and readers: copies them to a file beside the state first, so that
    /// the upload goes on in a later process. The copy goes when the upload is
    /// completed or canceled. Default: no copy, and the upload ends with the
    /// process.
    pub fn spool(mut self, spool: bool) -> Self {
        self.spool = spool;
        self
    }

    /// In one PUT or in parts. Default: in parts above 5 MiB.
    pub fn mode(mut self, mode: UploadMode) -> Self {
        self.request.options.upload_mode = mode;
        self
    }

    /// Files: what to do when the file changes before the upload is done.
    /// Default: start from zero with the file as it is then.
    pub fn when_source_changes(mut self, policy: WhenSourceChanges) -> Self {
        self.request.options.when_source_changes = policy;
        self
    }

    /// All that the object is to carry, in place of what was set so far.
    pub fn object_options(mut self, options: ObjectOptions) -> Self {
        self.request.options.object = options;
        self
    }

    /// `Content-Type`. Default: by the file name's extension, or the key's.
    pub fn content_type(self, content_type: impl Into<String>) -> Self {
        self.object(|object| object.content_type = Some(content_type.into()))
    }

    /// `Content-Encoding`, stored as given: bytes are sent as they are.
    pub fn content_encoding(self, encoding: impl Into<String>) -> Self {
        self.object(|object| object.content_encoding = Some(encoding.into()))
    }

    /// `Content-Disposition`.
    pub fn content_disposition(self, disposition: impl Into<String>) -> Self {
        self.object(|object| object.content_disposition = Some(disposition.into()))
    }

    /// `Content-Language`.
    pub fn content_language(self, language: impl Into<String>) -> Self {
        self.object(|object| object.content_language = Some(language.into()))
    }

    /// `Cache-Control`.
    pub fn cache_control(self, control: impl Into<String>) -> Self {
        self.object(|object| object.cache_control = Some(control.into()))
    }

    /// `Expires`, in whole seconds.
    pub fn expires(self, at: Timestamp) -> Self {
        self.object(|object| object.expires = Some(at))
    }

    /// Adds own metadata, `x-amz-meta-NAME: VALUE`; printable ASCII, at most
    /// 2 KB in all.
    pub fn metadata(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.object(|object| drop(object.metadata.insert(name.into(), value.into())))
    }

    /// Adds a tag; at most 10.
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.object(|object| drop(object.tags.insert(name.into(), value.into())))
    }

    /// A canned ACL such as `public-read`; not together with grants.
    pub fn acl(self, acl: impl Into<String>) -> Self {
        self.object(|object| object.acl = Some(acl.into()))
    }

    /// Adds a permission for somebody.
    pub fn grant(self, permission: Permission, grantee: Grantee) -> Self {
        let grant = Grant {
            permission,
            grantee,
        };
        self.object(|object| object.grants.push(grant))
    }

    /// A storage class such as `STANDARD_IA`.
    pub fn storage_class(self, class: impl Into<String>) -> Self {
        self.object(|object| object.storage_class = Some(class.into()))
    }

    /// Where a website sends those who ask for the object: `/key`, or a URL.
    pub fn website_redirect(self, location: impl Into<String>) -> Self {
        self.object(|object| object.website_redirect = Some(location.into()))
    }

    /// How S3 encrypts the object. Default: as its bucket says.
    pub fn encryption(self, encryption: Encryption) -> Self {
        self.object(|object| object.encryption = Some(encryption))
    }

    /// Only where no object has the key yet; otherwise it ends as a conflict.
    pub fn if_absent(mut self, if_absent: bool) -> Self {
        self.request.options.if_absent = if_absent;
        self
    }

    /// What S3 checks the bytes with. Default: CRC-64/NVME.
    pub fn checksum(mut self, algorithm: ChecksumAlgorithm) -> Self {
        self.request.options.checksum = algorithm;
        self
    }

    fn object(mut self, set: impl FnOnce(&mut ObjectOptions)) -> Self {
        set(&mut self.request.options.object);
        self
    }
}

common!(UploadRequest);

impl IntoFuture for UploadRequest {
    type Output = Result<TransferObserver, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let body = self
                .body
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            let observer = match (body, self.spool) {
                (Body::File, _) => self.utility.submit_one(self.request).await?,
                (body, false) => self.utility.upload_stream_now(self.request, body).await?,
                (body, true) => self.utility.upload_spooled(self.request, body).await?,
            };
            observer.listen(self.listener);
            Ok(observer)
        })
    }
}
