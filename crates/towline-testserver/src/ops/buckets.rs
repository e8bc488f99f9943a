//! Buckets and their versioning.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::storage::{Storage, Versioning};

/// The only region there is.
const REGION: &str = "us-east-1";

pub(crate) async fn list(
    storage: &Storage,
    _: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let buckets = storage.buckets().into_iter().map(|bucket| Bucket {
        creation_date: Some(bucket.created.timestamp()),
        name: Some(bucket.name),
        bucket_region: None,
    });
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        ..Default::default()
    }))
}

pub(crate) async fn create(
    storage: &Storage,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let bucket = request.input.bucket;
    storage.create_bucket(&bucket)?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(format!("/{bucket}")),
    }))
}

pub(crate) async fn head(
    storage: &Storage,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    storage.bucket(&request.input.bucket)?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..Default::default()
    }))
}

/// S3 names no region for the one it began in.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>
pub(crate) async fn location(
    storage: &Storage,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    storage.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketLocationOutput::default()))
}

pub(crate) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    storage.delete_bucket(&request.input.bucket)?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

pub(crate) async fn get_versioning(
    storage: &Storage,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let status = match storage.bucket(&request.input.bucket)?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(S3Response::new(GetBucketVersioningOutput {
        status: status.map(BucketVersioningStatus::from_static),
        ..Default::default()
    }))
}

pub(crate) async fn put_versioning(
    storage: &Storage,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let input = request.input;
    let status = input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => return Err(s3_error!(IllegalVersioningConfigurationException)),
    };
    storage.change_bucket(&input.bucket, |bucket| bucket.versioning = versioning)?;
    Ok(S3Response::new(PutBucketVersioningOutput::default()))
}
