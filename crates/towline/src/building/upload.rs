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

use super::{carries, common};
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
}

carries!(UploadRequest);
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
