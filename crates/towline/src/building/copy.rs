//! Copies, built step by step.

use std::future::IntoFuture;
use std::pin::Pin;

use towline_core::{
    ChecksumAlgorithm, Connection, Encryption, Grant, Grantee, KeyReference, NetworkPolicy,
    ObjectOptions, PartSize, Permission, Priority, Timestamp, UploadMode, WhenSourceChanges,
};

use super::{carries, common};
use crate::listener::Listener;
use crate::{
    Error, SubmitError, TransferListener, TransferObserver, TransferRequest, TransferUtility,
};

/// A copy of an object, made by the store itself, to be submitted. Await it.
///
/// The copy has the bytes, the metadata and the headers of its source, and its tags
/// where they may be read; what is set here takes their place, option by option, and
/// all own metadata at one time. Its storage class, its ACL and its encryption are
/// those of any new object. Both buckets are reached by one connection.
#[must_use = "await it to submit the copy"]
#[derive(Debug)]
pub struct CopyRequest {
    utility: TransferUtility,
    request: TransferRequest,
    listener: Listener,
}

impl CopyRequest {
    pub(crate) fn new(utility: TransferUtility, request: TransferRequest) -> Self {
        Self {
            utility,
            request,
            listener: Listener::default(),
        }
    }

    /// A version of the source. Default: the current one.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.request.version_id = Some(version.into());
        self
    }

    /// In one request or in parts. Default: in parts of 128 MiB above 256 MiB.
    pub fn mode(mut self, mode: UploadMode) -> Self {
        self.request.options.upload_mode = mode;
        self
    }

    /// What to do when the source is replaced before the copy is done. Default:
    /// start from zero with the object as it is then.
    pub fn when_source_changes(mut self, policy: WhenSourceChanges) -> Self {
        self.request.options.when_source_changes = policy;
        self
    }
}

carries!(CopyRequest);
common!(CopyRequest);

impl IntoFuture for CopyRequest {
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
