//! What apps and bindings hold can be sent, shared and kept.

use towline::{
    Builder, Credentials, CustomerKey, DownloadRequest, DownloadStream, Error, StreamRequest,
    SubmitError, Transfer, TransferChanges, TransferObserver, TransferRequest, TransferUtility,
    Updates, UploadRequest,
};

fn lasts<T: Send + Sync + 'static>() {}

#[test]
fn every_object_is_send_sync_and_static() {
    lasts::<Builder>();
    lasts::<TransferUtility>();
    lasts::<TransferObserver>();
    lasts::<Transfer>();
    lasts::<TransferRequest>();
    lasts::<UploadRequest>();
    lasts::<DownloadRequest>();
    lasts::<StreamRequest>();
    lasts::<DownloadStream>();
    lasts::<TransferChanges>();
    lasts::<Updates>();
    lasts::<Credentials>();
    lasts::<CustomerKey>();
    lasts::<Error>();
    lasts::<SubmitError>();
}
