//! What S3 refuses of the headers that are to be stored with an object.

use hyper::HeaderMap;
use s3s::{S3Result, s3_error};

use super::fields::bad_request;
use crate::storage::Headers;

/// The classes of a bucket that is no directory bucket.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html>
const CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];

/// Bytes of all names and values of user metadata together.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MOST_METADATA: usize = 2048;

/// Options of a bucket that keeps versions from being deleted, which none here does.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
const LOCK: &str = "x-amz-object-lock-";

pub(crate) fn checked(headers: Headers, request: &HeaderMap) -> S3Result<Headers> {
    if request.keys().any(|name| name.as_str().starts_with(LOCK)) {
        return Err(s3_error!(
            InvalidRequest,
            "Bucket is missing Object Lock Configuration"
        ));
    }
    if let Some(class) = &headers.storage_class
        && !CLASSES.contains(&class.as_str())
    {
        return Err(s3_error!(
            InvalidStorageClass,
            "The storage class you specified is not valid"
        ));
    }
    if let Some(redirect) = &headers.redirect
        && !["/", "http://", "https://"]
            .iter()
            .any(|start| redirect.starts_with(start))
    {
        return Err(bad_request(
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
        ));
    }
    let pairs = headers.metadata.iter();
    if pairs
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        > MOST_METADATA
    {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(headers)
}
