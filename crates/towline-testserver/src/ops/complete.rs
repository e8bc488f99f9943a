//! `CompleteMultipartUpload`: checks the list against the parts and makes the object.

use hyper::HeaderMap;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::fields::{self, set_checksum};
use super::receive::bad_digest;
use super::{conditions, encryption};
use crate::checksum::{Algorithm, Checksum, Kind, ObjectChecksum};
use crate::storage::{Content, Encryption, Part as StoredPart, Storage, Upload};

/// Every part but the last has at least this size.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

pub(crate) async fn run(
    storage: &Storage,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let condition = conditions::of_write(input.if_match, input.if_none_match)?;
    let claims = Claims {
        parts: input
            .multipart_upload
            .and_then(|list| list.parts)
            .unwrap_or_default(),
        checksum: complete_checksum(&request.headers)?,
        kind: input.checksum_type,
        size: input.mpu_object_size,
    };
    let (bucket, key) = (input.bucket, input.key);
    let version =
        storage.complete_upload(&bucket, &key, &input.upload_id, &condition, |upload| {
            encryption::check_upload(&request.headers, upload)?;
            claims.assemble(upload)
        })?;
    let Some(content) = &version.content else {
        return Err(s3_error!(InternalError));
    };
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        e_tag: Some(fields::quoted(&content.etag)),
        checksum_type: Some(ChecksumType::from_static(content.checksum.kind.name())),
        version_id: fields::version_id(storage, &bucket, &version),
        bucket: Some(bucket),
        key: Some(key),
        ..Default::default()
    };
    set_checksum!(
        output,
        content.checksum.algorithm,
        content.checksum.value.clone()
    );
    let mut told = HeaderMap::new();
    // Of a customer's key, this answer alone says nothing.
    if !matches!(content.headers.sse, Encryption::Customer { .. }) {
        content.headers.sse.tell(&mut told);
    }
    Ok(S3Response::with_headers(output, told))
}

/// What the client says the object is.
struct Claims {
    parts: Vec<CompletedPart>,
    /// Of the whole object; for a composite one perhaps with the `-N` behind it.
    checksum: Option<(Algorithm, String)>,
    kind: Option<ChecksumType>,
    size: Option<i64>,
}

impl Claims {
    /// The object, if everything claimed of it is true.
    fn assemble(&self, upload: &Upload) -> S3Result<Content> {
        if self.parts.is_empty() {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        if let Some(kind) = &self.kind
            && kind.as_str() != upload.kind.name()
        {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                upload.kind.name()
            ));
        }
        let numbers = self.parts.iter().map(|part| part.part_number);
        if !numbers.is_sorted_by(|one, next| one < next) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let parts = self
            .parts
            .iter()
            .map(|claimed| stored_part(upload, claimed))
            .collect::<S3Result<Vec<_>>>()?;
        if parts
            .iter()
            .rev()
            .skip(1)
            .any(|part| part.size < SMALLEST_PART)
        {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        let size = parts.iter().map(|part| part.size).sum();
        self.check_size(size)?;
        let checksum = object_checksum(upload, &parts)?;
        self.check_checksum(&checksum)?;
        Ok(Content {
            size,
            etag: etag(&upload.headers.sse, &parts)?,
            checksum,
            headers: upload.headers.clone(),
            parts,
        })
    }

    fn check_size(&self, size: u64) -> S3Result<()> {
        match self.size {
            Some(claimed) if u64::try_from(claimed) != Ok(size) => Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value {claimed} does not match what was computed: {size}"
            )),
            _ => Ok(()),
        }
    }

    fn check_checksum(&self, is: &ObjectChecksum) -> S3Result<()> {
        let Some((algorithm, claimed)) = &self.checksum else {
            return Ok(());
        };
        let without_count = is.value.split('-').next().unwrap_or_default();
        if *algorithm == is.algorithm && (*claimed == is.value || *claimed == without_count) {
            Ok(())
        } else {
            Err(bad_digest(*algorithm))
        }
    }
}

/// Unlike everywhere else, the value may end in `-N` here.
fn complete_checksum(headers: &HeaderMap) -> S3Result<Option<(Algorithm, String)>> {
    for algorithm in Algorithm::ALL {
        let Some(value) = headers.get(algorithm.header()) else {
            continue;
        };
        let malformed = || fields::malformed_checksum(algorithm);
        let value = value.to_str().map_err(|_| malformed())?;
        let base64 = value.split('-').next().unwrap_or_default();
        Checksum::parse(algorithm, base64).ok_or_else(malformed)?;
        return Ok(Some((algorithm, value.to_owned())));
    }
    Ok(None)
}

/// The part as it is stored, if it is the one the client means.
fn stored_part(upload: &Upload, claimed: &CompletedPart) -> S3Result<StoredPart> {
    let part = claimed
        .part_number
        .and_then(|number| upload.parts.get(&u32::try_from(number).ok()?))
        .filter(|part| {
            claimed
                .e_tag
                .as_ref()
                .is_some_and(|etag| etag.value() == part.etag)
        })
        .ok_or_else(invalid_part)?;
    let claimed_checksum = match upload.algorithm {
        Algorithm::Crc32 => &claimed.checksum_crc32,
        Algorithm::Crc32c => &claimed.checksum_crc32c,
        Algorithm::Crc64Nvme => &claimed.checksum_crc64nvme,
        Algorithm::Sha1 => &claimed.checksum_sha1,
        Algorithm::Sha256 => &claimed.checksum_sha256,
    };
    match claimed_checksum {
        Some(checksum) if *checksum != part.checksum.base64() => Err(invalid_part()),
        None if upload.kind == Kind::Composite => Err(s3_error!(
            InvalidRequest,
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. \
             It was missing for part {} in the request.",
            upload.algorithm.name().to_lowercase(),
            part.number
        )),
        _ => Ok(part.clone()),
    }
}

fn object_checksum(upload: &Upload, parts: &[StoredPart]) -> S3Result<ObjectChecksum> {
    let algorithm = upload.algorithm;
    let checksums = parts.iter().map(|part| (&part.checksum, part.size));
    match upload.kind {
        Kind::Composite => Ok(ObjectChecksum::composite(
            algorithm,
            checksums.map(|(checksum, _)| checksum),
        )),
        Kind::FullObject => {
            ObjectChecksum::combined(algorithm, checksums).ok_or_else(|| s3_error!(InternalError))
        }
    }
}

/// The MD5 of the MD5s of the parts where keys are S3's, and how many they are.
fn etag(sse: &Encryption, parts: &[StoredPart]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(&part.etag).map_err(S3Error::internal_error)?);
    }
    Ok(format!(
        "{}-{}",
        sse.etag(md5.finalize().as_ref()),
        parts.len()
    ))
}

fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified \
         entity tag may not match the part's entity tag."
    )
}
