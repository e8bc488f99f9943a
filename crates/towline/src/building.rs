//! Uploads and downloads built step by step, and submitted by awaiting them.

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;

use towline_core::{ChecksumAlgorithm, Connection, PartSize, WhenTargetExists};

use crate::{Error, SubmitError, TransferObserver, TransferRequest, TransferUtility};

/// An upload to be submitted. Await it.
#[must_use = "await it to submit the upload"]
#[derive(Debug)]
pub struct UploadRequest {
    utility: TransferUtility,
    request: TransferRequest,
}

/// A download to be submitted. Await it.
#[must_use = "await it to submit the download"]
#[derive(Debug)]
pub struct DownloadRequest {
    utility: TransferUtility,
    request: TransferRequest,
}

impl UploadRequest {
    pub(crate) fn new(utility: TransferUtility, bucket: String, key: String, file: &Path) -> Self {
        let request = TransferRequest::upload(bucket, key, file);
        Self { utility, request }
    }

    /// `Content-Type`. Default: by the file name's extension.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.request.options.object.content_type = Some(content_type.into());
        self
    }

    /// Adds own metadata, `x-amz-meta-NAME: VALUE`.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let metadata = &mut self.request.options.object.metadata;
        metadata.insert(name.into(), value.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let tags = &mut self.request.options.object.tags;
        tags.insert(name.into(), value.into());
        self
    }

    /// A canned ACL such as `public-read`.
    pub fn acl(mut self, acl: impl Into<String>) -> Self {
        self.request.options.object.acl = Some(acl.into());
        self
    }

    /// A storage class such as `STANDARD_IA`.
    pub fn storage_class(mut self, class: impl Into<String>) -> Self {
        self.request.options.object.storage_class = Some(class.into());
        self
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
}

impl DownloadRequest {
    pub(crate) fn new(utility: TransferUtility, bucket: String, key: String, file: &Path) -> Self {
        let request = TransferRequest::download(bucket, key, file);
        Self { utility, request }
    }

    /// A version of the object. Default: the current one.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.request.version_id = Some(version.into());
        self
    }

    /// What to do when the target exists. Default: replace it, at the end.
    pub fn when_target_exists(mut self, policy: WhenTargetExists) -> Self {
        self.request.options.when_target_exists = policy;
        self
    }
}

type Submitting = Pin<Box<dyn Future<Output = Result<TransferObserver, Error>> + Send>>;

/// What both have in common.
macro_rules! both {
    ($($request:ident)*) => {$(
        impl $request {
            /// Checks what can be checked on this machine, and records nothing.
            /// Awaiting the request does the same first.
            pub fn check(&self) -> Result<(), SubmitError> {
                self.request.settle(&self.utility, false).map(drop)
            }

            /// Size of every part but the last. Default: by the length.
            pub fn part_size(mut self, size: PartSize) -> Self {
                self.request.options.part_size = Some(size);
                self
            }

            /// Another connection than the utility's own.
            pub fn connection(mut self, connection: Connection) -> Self {
                self.request.connection = Some(connection);
                self
            }

            /// The caller's own name for this request: the same one again is
            /// the same transfer.
            pub fn token(mut self, token: impl Into<String>) -> Self {
                self.request.token = Some(token.into());
                self
            }

            /// Cancels an unfinished transfer of the same and starts anew.
            pub fn restart(mut self, restart: bool) -> Self {
                self.request.restart = restart;
                self
            }
        }

        impl IntoFuture for $request {
            type Output = Result<TransferObserver, Error>;
            type IntoFuture = Submitting;

            fn into_future(self) -> Submitting {
                let Self { utility, request } = self;
                Box::pin(async move {
                    let ids = utility.submit(vec![request]).await?;
                    let id = ids.first().ok_or(Error::Closed)?;
                    utility.observe(*id).await
                })
            }
        }
    )*};
}

both!(UploadRequest DownloadRequest);
