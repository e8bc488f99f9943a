//! The S3 operations, one file per kind; everything not here is `NotImplemented`.

mod acl;
mod admission;
mod buckets;
mod complete;
mod conditions;
mod copy;
mod delete_object;
mod encryption;
mod fields;
mod get_object;
mod lifecycle;
mod list_multipart;
mod list_objects;
mod multipart;
mod put_object;
mod receive;
mod stored;
mod tagging;

use std::sync::Arc;

pub(crate) use get_object::IgnoreRange;
pub(crate) use put_object::replace;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::storage::Storage;

/// The storage behind the protocol.
pub(crate) struct Backend {
    storage: Arc<Storage>,
}

impl Backend {
    pub(crate) fn new(storage: Arc<Storage>) -> Self {
        Self { storage }
    }
}

/// `async fn name(&self, request)` for each operation, as `s3s` asks for it.
macro_rules! operations {
    ($($name:ident: $input:ident -> $output:ident = $run:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Backend {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let charged = admission::check(&self.storage, &request)?;
                let mut response = $run(&self.storage, request).await?;
                charged.tell(&mut response.headers);
                Ok(response)
            })*
        }
    };
}

operations! {
    list_buckets: ListBucketsInput -> ListBucketsOutput = buckets::list;
    create_bucket: CreateBucketInput -> CreateBucketOutput = buckets::create;
    head_bucket: HeadBucketInput -> HeadBucketOutput = buckets::head;
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput = buckets::delete;
    get_bucket_versioning: GetBucketVersioningInput -> GetBucketVersioningOutput = buckets::get_versioning;
    put_bucket_versioning: PutBucketVersioningInput -> PutBucketVersioningOutput = buckets::put_versioning;
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput = buckets::location;
    get_bucket_lifecycle_configuration:
        GetBucketLifecycleConfigurationInput -> GetBucketLifecycleConfigurationOutput = lifecycle::get;
    put_bucket_lifecycle_configuration:
        PutBucketLifecycleConfigurationInput -> PutBucketLifecycleConfigurationOutput = lifecycle::put;
    delete_bucket_lifecycle: DeleteBucketLifecycleInput -> DeleteBucketLifecycleOutput = lifecycle::delete;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput = delete_object::many;
    list_objects: ListObjectsInput -> ListObjectsOutput = list_objects::first_version;
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output = list_objects::run;
    put_object: PutObjectInput -> PutObjectOutput = put_object::run;
    copy_object: CopyObjectInput -> CopyObjectOutput = copy::object;
    get_object: GetObjectInput -> GetObjectOutput = get_object::get;
    head_object: HeadObjectInput -> HeadObjectOutput = get_object::head;
    delete_object: DeleteObjectInput -> DeleteObjectOutput = delete_object::run;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput = multipart::create;
    get_object_acl: GetObjectAclInput -> GetObjectAclOutput = acl::get;
    get_object_tagging: GetObjectTaggingInput -> GetObjectTaggingOutput = tagging::get;
    put_object_tagging: PutObjectTaggingInput -> PutObjectTaggingOutput = tagging::put;
    delete_object_tagging: DeleteObjectTaggingInput -> DeleteObjectTaggingOutput = tagging::delete;
    upload_part: UploadPartInput -> UploadPartOutput = multipart::upload_part;
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput = copy::part;
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput = multipart::abort;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput = complete::run;
    list_parts: ListPartsInput -> ListPartsOutput = list_multipart::parts;
    list_multipart_uploads: ListMultipartUploadsInput -> ListMultipartUploadsOutput = list_multipart::uploads;
}
