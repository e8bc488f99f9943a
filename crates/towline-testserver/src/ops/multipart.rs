//! `CreateMultipartUpload`, `UploadPart` and `AbortMultipartUpload`.

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::encryption;
use super::fields::{self, set_checksum, stored_headers};
use super::lifecycle;
use super::receive::Expected;
use crate::checksum::{Algorithm, Kind};
use crate::storage::{NewUpload, Storage, Upload};

pub(crate) async fn create(
    storage: &Storage,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    let declared = declared_checksum(
        input.checksum_algorithm.as_ref(),
        input.checksum_type.as_ref(),
    )?;
    let (algorithm, kind) = declared.unwrap_or((Algorithm::Crc64Nvme, Kind::FullObject));
    let initiator = request
        .credentials
        .map(|credentials| credentials.access_key);
    let headers = stored_headers!(input, &request.headers)?;
    let mut told = HeaderMap::new();
    headers.sse.tell_with_context(&mut told);
    let upload = storage.create_upload(
        &input.bucket,
        NewUpload {
            key: input.key,
            initiator: initiator.unwrap_or_default(),
            algorithm,
            kind,
            declared: declared.is_some(),
            headers,
        },
    )?;
    let abort = lifecycle::abort_of(storage, &input.bucket, &upload.key, upload.initiated.into());
    let (abort_date, abort_rule_id) = abort.unzip();
    let output = CreateMultipartUploadOutput {
        abort_date,
        abort_rule_id,
        bucket: Some(input.bucket),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        checksum_algorithm: declared
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: declared.map(|(_, kind)| ChecksumType::from_static(kind.name())),
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, told))
}

/// The algorithm and type a Create names, if they are a pair S3 has.
fn declared_checksum(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<(Algorithm, Kind)>> {
    let unknown_kind = || {
        s3_error!(
            InvalidRequest,
            "Value for x-amz-checksum-type header is invalid."
        )
    };
    let kind = kind
        .map(|kind| Kind::named(kind.as_str()).ok_or_else(unknown_kind))
        .transpose()?;
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )),
        };
    };
    let algorithm = fields::algorithm(algorithm.as_str())?;
    let kind = kind.unwrap_or(algorithm.default_kind());
    if !algorithm.allows(kind) {
        return Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.name(),
            algorithm.name().to_lowercase()
        ));
    }
    Ok(Some((algorithm, kind)))
}

pub(crate) async fn upload_part(
    storage: &Storage,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let input = request.input;
    let (bucket, key, upload_id) = (&input.bucket, &input.key, &input.upload_id);
    let number = part_number(input.part_number)?;
    let upload = storage.upload_head(bucket, key, upload_id)?;
    let expected = Expected::of(&request.headers, input.content_length)?;
    encryption::check_part(&request.headers, &upload.headers.sse)?;
    check_algorithm(&upload, expected.algorithm())?;
    let mut part = expected
        .receive(
            storage,
            input.body,
            request.trailing_headers,
            upload.algorithm,
            &upload.headers.sse,
        )
        .await?;
    part.number = number;
    let mut output = UploadPartOutput {
        e_tag: Some(fields::quoted(&part.etag)),
        ..Default::default()
    };
    set_checksum!(output, part.checksum.algorithm, part.checksum.base64());
    storage.put_part(bucket, key, upload_id, part)?;
    let mut told = HeaderMap::new();
    upload.headers.sse.tell(&mut told);
    Ok(S3Response::with_headers(output, told))
}

pub(super) fn part_number(asked: i32) -> S3Result<u32> {
    let number = u32::try_from(asked).ok();
    let number = number.filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        )
    })
}

/// A part may carry the checksum its upload was opened for, and no other.
fn check_algorithm(upload: &Upload, given: Option<Algorithm>) -> S3Result<()> {
    match given {
        Some(given) if given != upload.algorithm => Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            if upload.declared {
                upload.algorithm.name()
            } else {
                "null"
            }
            .to_lowercase(),
            given.name().to_lowercase()
        )),
        _ => Ok(()),
    }
}

pub(crate) async fn abort(
    storage: &Storage,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    storage.abort_upload(&input.bucket, &input.key, &input.upload_id)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
