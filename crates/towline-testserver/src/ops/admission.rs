//! Who may ask at all, before any operation: the owner the client expects, and who pays.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html>

use hyper::{HeaderMap, Uri};
use s3s::{S3Request, S3Result, s3_error};

use super::fields::{insert, text};
use crate::operation::{Operation, Query, Target};
use crate::storage::{OWNER_ID, Storage};

/// Whether the requester is charged, which every answer then tells.
#[must_use]
pub(crate) struct Charged(bool);

impl Charged {
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if self.0 {
            insert(headers, "x-amz-request-charged", b"requester");
        }
    }
}

pub(crate) fn check<T>(storage: &Storage, request: &S3Request<T>) -> S3Result<Charged> {
    let target = Target::of(&request.method, &request.uri, &request.headers);
    // What is not there has an answer of its own.
    let bucket = target.bucket.and_then(|name| storage.bucket(&name).ok());
    let Some(bucket) = bucket else {
        return Ok(Charged(false));
    };
    let said = |name| said(&request.headers, &request.uri, name);
    if let Some(owner) = said("x-amz-expected-bucket-owner") {
        if owner.len() != 12 || !owner.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(s3_error!(
                InvalidBucketOwnerAWSAccountID,
                "The value of the expected bucket owner parameter must be an AWS Account ID... [{owner}]"
            ));
        }
        if owner != OWNER_ID {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
    }
    let charged = bucket.requester_pays && is_charged(target.operation);
    if charged && said("x-amz-request-payer").as_deref() != Some("requester") {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    Ok(Charged(charged))
}

/// A header, or the parameter of a presigned URL that stands for it.
fn said(headers: &HeaderMap, uri: &Uri, name: &str) -> Option<String> {
    let header = text(headers, name).map(str::to_owned);
    header.or_else(|| Query(uri.query().unwrap_or_default()).value(name))
}

/// Everything but the settings of the bucket, which are its owner's business.
fn is_charged(operation: Operation) -> bool {
    !matches!(
        operation,
        Operation::CreateBucket
            | Operation::HeadBucket
            | Operation::DeleteBucket
            | Operation::GetBucketVersioning
            | Operation::PutBucketVersioning
            | Operation::GetBucketLocation
            | Operation::GetBucketLifecycleConfiguration
            | Operation::PutBucketLifecycleConfiguration
            | Operation::DeleteBucketLifecycle
    )
}
