//! `DeleteObject` and `DeleteObjects`.

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::storage::Storage;

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const MOST_KEYS: usize = 1000;

pub(crate) async fn run(
    storage: &Storage,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    let deleted = storage.delete_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version_id,
        ..Default::default()
    }))
}

pub(crate) async fn many(
    storage: &Storage,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    if !has_checksum(&request.headers) {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5"
        ));
    }
    let input = request.input;
    storage.bucket(&input.bucket)?;
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MOST_KEYS {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        match storage.delete_object(&input.bucket, &object.key, object.version_id.as_deref()) {
            Ok(done) => deleted.push(DeletedObject {
                delete_marker: done.marker.then_some(true),
                delete_marker_version_id: done.version_id.filter(|_| done.marker),
                key: Some(object.key),
                version_id: object.version_id,
            }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: object.version_id,
            }),
        }
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        ..Default::default()
    }))
}

fn has_checksum(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name == "content-md5" || name.starts_with("x-amz-checksum-") || name == "x-amz-trailer"
    })
}
