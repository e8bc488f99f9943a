//! `PutObject`.

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::conditions;
use super::fields::{self, set_checksum, stored_headers};
use super::receive::Expected;
use crate::checksum::{Algorithm, Kind, ObjectChecksum};
use crate::storage::{Content, Storage, WriteCondition};

pub(crate) async fn run(
    storage: &Storage,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let input = request.input;
    storage.bucket(&input.bucket)?;
    let condition = conditions::of_write(input.if_match, input.if_none_match)?;
    let expected = Expected::of(&request.headers, input.content_length)?;
    let headers = stored_headers!(input, &request.headers)?;
    let algorithm = expected.algorithm().unwrap_or(Algorithm::Crc64Nvme);
    let part = expected
        .receive(
            storage,
            input.body,
            request.trailing_headers,
            algorithm,
            &headers.sse,
        )
        .await?;
    let content = Content {
        size: part.size,
        etag: part.etag.clone(),
        checksum: ObjectChecksum::of_single(&part.checksum),
        headers,
        parts: vec![part],
    };
    let (etag, checksum) = (content.etag.clone(), content.checksum.clone());
    let mut told = HeaderMap::new();
    content.headers.sse.tell_with_context(&mut told);
    let version = storage.put_object(&input.bucket, &input.key, content, &condition)?;
    let mut output = PutObjectOutput {
        e_tag: Some(fields::quoted(&etag)),
        checksum_type: Some(ChecksumType::from_static(Kind::FullObject.name())),
        version_id: fields::version_id(storage, &input.bucket, &version),
        ..Default::default()
    };
    set_checksum!(output, checksum.algorithm, checksum.value);
    Ok(S3Response::with_headers(output, told))
}

/// Puts these bytes in the place of an object, without a request. The headers stay.
pub(crate) async fn replace(
    storage: &Storage,
    bucket: &str,
    key: &str,
    bytes: Vec<u8>,
) -> S3Result<()> {
    let version = storage.version(bucket, key, None).ok();
    let headers = version.and_then(|version| Some(version.content.as_ref()?.headers.clone()));
    let headers = headers.unwrap_or_default();
    let body = StreamingBlob::from(Body::from(bytes));
    let part = Expected::default()
        .receive(
            storage,
            Some(body),
            None,
            Algorithm::Crc64Nvme,
            &headers.sse,
        )
        .await?;
    let content = Content {
        size: part.size,
        etag: part.etag.clone(),
        checksum: ObjectChecksum::of_single(&part.checksum),
        headers,
        parts: vec![part],
    };
    storage.put_object(bucket, key, content, &WriteCondition::None)?;
    Ok(())
}
