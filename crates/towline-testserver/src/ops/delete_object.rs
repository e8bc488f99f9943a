//! `DeleteObject`.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use crate::storage::Storage;

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
