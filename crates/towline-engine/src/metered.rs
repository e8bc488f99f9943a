//! An S3 client whose requests are counted, and paid for.

use std::sync::Arc;

use async_trait::async_trait;
use towline_core::{
    Body, CompleteUpload, CopyObject, CreateUpload, DeleteObject, DeleteObjects, GetObject,
    GetTags, ListObjects, ListUploads, ObjectBody, ObjectHead, ObjectsDeleted, ObjectsPage,
    OpenedUpload, Operation, PartStored, PartsPage, PutObject, S3, S3Error, Stored, Tags,
    Timestamp, Unread, Upload, UploadPart, UploadPartCopy, UploadsPage,
};

use crate::meter::Meter;
use crate::request_rate::RequestRate;

/// Does what another client does, and counts it.
pub(crate) struct Metered {
    s3: Arc<dyn S3>,
    meter: Arc<Meter>,
    rate: RequestRate,
}

impl Metered {
    pub(crate) fn client(s3: Arc<dyn S3>, meter: &Arc<Meter>, rate: &RequestRate) -> Arc<dyn S3> {
        let (meter, rate) = (Arc::clone(meter), rate.clone());
        Arc::new(Self { s3, meter, rate })
    }

    async fn count<T>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, S3Error>> + Send,
    ) -> Result<T, S3Error> {
        self.rate.sent();
        let _under_way = self.meter.request_began();
        let result = request.await;
        self.meter.request_ended(operation, result.as_ref().err());
        result
    }
}

#[async_trait]
impl S3 for Metered {
    async fn put_object(&self, request: PutObject, body: Body) -> Result<Stored, S3Error> {
        let sent = self.s3.put_object(request, body);
        self.count(Operation::PutObject, sent).await
    }

    async fn copy_object(&self, request: CopyObject) -> Result<Stored, S3Error> {
        let sent = self.s3.copy_object(request);
        self.count(Operation::CopyObject, sent).await
    }

    async fn create_multipart_upload(
        &self,
        request: CreateUpload,
    ) -> Result<OpenedUpload, S3Error> {
        let sent = self.s3.create_multipart_upload(request);
        self.count(Operation::CreateMultipartUpload, sent).await
    }

    async fn upload_part(&self, request: UploadPart, body: Body) -> Result<PartStored, S3Error> {
        let sent = self.s3.upload_part(request, body);
        self.count(Operation::UploadPart, sent).await
    }

    fn sends_trailers(&self, bucket: &str) -> bool {
        self.s3.sends_trailers(bucket)
    }

    fn unread(&self, bucket: &str) -> Option<Unread> {
        self.s3.unread(bucket)
    }

    fn open_ahead(&self, bucket: &str, requests: usize) {
        self.s3.open_ahead(bucket, requests);
    }

    async fn upload_part_copy(&self, request: UploadPartCopy) -> Result<PartStored, S3Error> {
        let sent = self.s3.upload_part_copy(request);
        self.count(Operation::UploadPartCopy, sent).await
    }

    async fn complete_multipart_upload(&self, request: CompleteUpload) -> Result<Stored, S3Error> {
        let sent = self.s3.complete_multipart_upload(request);
        self.count(Operation::CompleteMultipartUpload, sent).await
    }

    async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error> {
        let sent = self.s3.abort_multipart_upload(upload);
        self.count(Operation::AbortMultipartUpload, sent).await
    }

    async fn list_parts(&self, upload: &Upload, after: Option<u32>) -> Result<PartsPage, S3Error> {
        let sent = self.s3.list_parts(upload, after);
        self.count(Operation::ListParts, sent).await
    }

    async fn list_multipart_uploads(&self, request: ListUploads) -> Result<UploadsPage, S3Error> {
        let sent = self.s3.list_multipart_uploads(request);
        self.count(Operation::ListMultipartUploads, sent).await
    }

    async fn head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error> {
        let sent = self.s3.head_object(request);
        self.count(Operation::HeadObject, sent).await
    }

    async fn get_object_tagging(&self, request: GetTags) -> Result<Tags, S3Error> {
        let sent = self.s3.get_object_tagging(request);
        self.count(Operation::GetObjectTagging, sent).await
    }

    async fn get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error> {
        let sent = self.s3.get_object(request);
        self.count(Operation::GetObject, sent).await
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectsPage, S3Error> {
        let sent = self.s3.list_objects(request);
        self.count(Operation::ListObjects, sent).await
    }

    async fn delete_object(&self, request: DeleteObject) -> Result<(), S3Error> {
        let sent = self.s3.delete_object(request);
        self.count(Operation::DeleteObject, sent).await
    }

    async fn delete_objects(&self, request: DeleteObjects) -> Result<ObjectsDeleted, S3Error> {
        let sent = self.s3.delete_objects(request);
        self.count(Operation::DeleteObjects, sent).await
    }

    fn refresh_credentials(&self) {
        self.s3.refresh_credentials();
    }

    fn set_clock(&self, server: Timestamp) {
        self.s3.set_clock(server);
    }

    fn clock_offset(&self) -> i64 {
        self.s3.clock_offset()
    }

    fn set_region(&self, region: &str) {
        self.s3.set_region(region);
    }

    fn set_redirect(&self, location: &str) {
        self.s3.set_redirect(location);
    }

    fn reset_connections(&self) {
        self.s3.reset_connections();
    }
}
