//! Stands in for a store whose connection cannot be used as it is: an unknown
//! profile, a name nobody registered yet. Its transfers park and say why.

use std::sync::Arc;

use async_trait::async_trait;
use towline_core::{
    Body, CompleteUpload, ConnectError, CopyObject, CreateUpload, DeleteObject, DeleteObjects,
    GetObject, GetTags, ListObjects, ListUploads, ObjectBody, ObjectHead, ObjectsDeleted,
    ObjectsPage, OpenedUpload, Operation, PartStored, PartsPage, PutObject, S3, S3Error,
    S3ErrorKind, Stored, Tags, Upload, UploadPart, UploadPartCopy, UploadsPage,
};

struct Unusable(ConnectError);

pub(crate) fn client(error: ConnectError) -> Arc<dyn S3> {
    Arc::new(Unusable(error))
}

impl Unusable {
    fn refuse<T>(&self, operation: Operation) -> Result<T, S3Error> {
        Err(S3Error::new(
            operation,
            S3ErrorKind::Credentials,
            self.0.to_string(),
        ))
    }
}

#[async_trait]
impl S3 for Unusable {
    async fn put_object(&self, _: PutObject, _: Body) -> Result<Stored, S3Error> {
        self.refuse(Operation::PutObject)
    }

    async fn copy_object(&self, _: CopyObject) -> Result<Stored, S3Error> {
        self.refuse(Operation::CopyObject)
    }

    async fn create_multipart_upload(&self, _: CreateUpload) -> Result<OpenedUpload, S3Error> {
        self.refuse(Operation::CreateMultipartUpload)
    }

    async fn upload_part(&self, _: UploadPart, _: Body) -> Result<PartStored, S3Error> {
        self.refuse(Operation::UploadPart)
    }

    async fn upload_part_copy(&self, _: UploadPartCopy) -> Result<PartStored, S3Error> {
        self.refuse(Operation::UploadPartCopy)
    }

    async fn complete_multipart_upload(&self, _: CompleteUpload) -> Result<Stored, S3Error> {
        self.refuse(Operation::CompleteMultipartUpload)
    }

    async fn abort_multipart_upload(&self, _: &Upload) -> Result<(), S3Error> {
        self.refuse(Operation::AbortMultipartUpload)
    }

    async fn list_parts(&self, _: &Upload, _: Option<u32>) -> Result<PartsPage, S3Error> {
        self.refuse(Operation::ListParts)
    }

    async fn list_multipart_uploads(&self, _: ListUploads) -> Result<UploadsPage, S3Error> {
        self.refuse(Operation::ListMultipartUploads)
    }

    async fn head_object(&self, _: GetObject) -> Result<ObjectHead, S3Error> {
        self.refuse(Operation::HeadObject)
    }

    async fn get_object_tagging(&self, _: GetTags) -> Result<Tags, S3Error> {
        self.refuse(Operation::GetObjectTagging)
    }

    async fn get_object(&self, _: GetObject) -> Result<ObjectBody, S3Error> {
        self.refuse(Operation::GetObject)
    }

    async fn list_objects(&self, _: ListObjects) -> Result<ObjectsPage, S3Error> {
        self.refuse(Operation::ListObjects)
    }

    async fn delete_object(&self, _: DeleteObject) -> Result<(), S3Error> {
        self.refuse(Operation::DeleteObject)
    }

    async fn delete_objects(&self, _: DeleteObjects) -> Result<ObjectsDeleted, S3Error> {
        self.refuse(Operation::DeleteObjects)
    }
}
