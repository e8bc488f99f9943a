//! Downloads, built step by step.

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use towline_core::{
    ByteRange, Connection, Direction, KeyReference, NetworkPolicy, PartSize, Priority,
    ReadCondition, Timestamp, WhenTargetExists,
};

use super::common;
use crate::listener::Listener;
use crate::{
    DownloadStream, Error, SubmitError, Transfer, TransferListener, TransferObserver,
    TransferRequest, TransferUtility,
};

/// A download to a file, to be submitted. Await it.
#[must_use = "await it to submit the download"]
#[derive(Debug)]
pub struct DownloadRequest {
    utility: TransferUtility,
    request: TransferRequest,
    listener: Listener,
}

/// A download to memory, to a writer, or as a stream, to be submitted. Awaiting
/// it gives the stream.
///
/// It is carried as one to a file is, in parts and checked, but lives only as
/// long as this process: afterwards it is failed, `TargetNotReopenable`. At
/// most four parts are held in memory.
#[must_use = "await it to submit the download"]
#[derive(Debug)]
pub struct StreamRequest {
    utility: TransferUtility,
    request: TransferRequest,
    listener: Listener,
}

impl DownloadRequest {
    pub(crate) fn new(utility: TransferUtility, bucket: String, key: String, file: &Path) -> Self {
        Self {
            utility,
            request: TransferRequest::download(bucket, key, file),
            listener: Listener::default(),
        }
    }

    /// What to do when the target exists. Default: replace it, at the end.
    pub fn when_target_exists(mut self, policy: WhenTargetExists) -> Self {
        self.request.options.when_target_exists = policy;
        self
    }
}

impl StreamRequest {
    pub(crate) fn new(utility: TransferUtility, bucket: String, key: String) -> Self {
        Self {
            utility,
            request: TransferRequest::stream(Direction::Download, bucket, key),
            listener: Listener::default(),
        }
    }

    /// Downloads into memory, and gives all bytes once they are proven. Fails
    /// with [`Error::Ended`] when the transfer ends in another way than
    /// completed, and as not modified.
    pub async fn to_bytes(self) -> Result<Bytes, Error> {
        self.await?.collect().await
    }

    /// Downloads to a writer, and flushes it. The writer has got
    /// [`bytes_transferred`](Transfer::bytes_transferred) of the transfer that
    /// is given, or that [`Error::Ended`] has; when the writer fails, the transfer
    /// is canceled.
    pub async fn to_writer(self, writer: impl AsyncWrite + Send) -> Result<Transfer, Error> {
        self.await?.write_to(writer).await
    }
}

macro_rules! both {
    ($($request:ident)*) => {$(
        impl $request {
            /// A version of the object. Default: the current one.
            pub fn version_id(mut self, version: impl Into<String>) -> Self {
                self.request.version_id = Some(version.into());
                self
            }

            /// Some of its bytes. S3 tells no checksum of them, so their number
            /// is all that is proven. Default: all bytes.
            pub fn range(mut self, range: ByteRange) -> Self {
                self.request.options.range = Some(range);
                self
            }

            /// Only if the object has this ETag; otherwise it fails with
            /// `PreconditionFailed`.
            pub fn if_match(self, etag: impl Into<String>) -> Self {
                self.only(|when| when.if_match = Some(etag.into()))
            }

            /// Only if it has another ETag; otherwise it completes with the outcome
            /// [`NotModified`](towline_core::Outcome::NotModified).
            pub fn if_none_match(self, etag: impl Into<String>) -> Self {
                self.only(|when| when.if_none_match = Some(etag.into()))
            }

            /// Only if it was stored after this; otherwise it completes with the
            /// outcome [`NotModified`](towline_core::Outcome::NotModified).
            pub fn if_modified_since(self, at: Timestamp) -> Self {
                self.only(|when| when.if_modified_since = Some(at))
            }

            /// Only if it was not stored after this; otherwise it fails with
            /// `PreconditionFailed`.
            pub fn if_unmodified_since(self, at: Timestamp) -> Self {
                self.only(|when| when.if_unmodified_since = Some(at))
            }

            fn only(mut self, set: impl FnOnce(&mut ReadCondition)) -> Self {
                set(&mut self.request.options.condition);
                self
            }
        }
    )*};
}

both!(DownloadRequest StreamRequest);
common!(DownloadRequest StreamRequest);

impl IntoFuture for DownloadRequest {
    type Output = Result<TransferObserver, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let observer = self.utility.submit_one(self.request).await?;
            observer.listen(self.listener);
            Ok(observer)
        })
    }
}

impl IntoFuture for StreamRequest {
    type Output = Result<DownloadStream, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let stream = self.utility.download_stream_now(self.request).await?;
            stream.observer().listen(self.listener);
            Ok(stream)
        })
    }
}
