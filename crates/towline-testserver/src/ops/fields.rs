//! Between S3's fields and ours: checksums, ETags, stored headers, validators.

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use s3s::dto::{ETag, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::checksum::{Algorithm, Checksum};
use crate::storage::{NULL_VERSION, Storage, Version, Versioning};

/// Sets the one of S3's five checksum fields that fits the algorithm.
macro_rules! set_checksum {
    ($output:expr, $algorithm:expr, $value:expr) => {{
        let value = Some($value);
        match $algorithm {
            $crate::checksum::Algorithm::Crc32 => $output.checksum_crc32 = value,
            $crate::checksum::Algorithm::Crc32c => $output.checksum_crc32c = value,
            $crate::checksum::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
            $crate::checksum::Algorithm::Sha1 => $output.checksum_sha1 = value,
            $crate::checksum::Algorithm::Sha256 => $output.checksum_sha256 = value,
        }
    }};
}

/// What a PUT and a Create both may say of the object.
macro_rules! stored_headers {
    ($input:expr, $headers:expr) => {
        $crate::ops::stored::checked(
            $crate::storage::Headers {
                cache_control: $input.cache_control,
                content_disposition: $input.content_disposition,
                content_encoding: $input
                    .content_encoding
                    .and_then($crate::ops::fields::without_chunking),
                content_language: $input.content_language,
                content_type: $input.content_type,
                expires: $input.expires,
                storage_class: $input.storage_class.map(|class| class.as_str().to_owned()),
                redirect: $input.website_redirect_location,
                metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
                tags: $crate::ops::tagging::asked($headers)?,
                acl: $crate::ops::acl::asked($headers)?,
                sse: $crate::ops::encryption::asked($headers)?,
            },
            $headers,
        )
    };
}

pub(crate) use {set_checksum, stored_headers};

/// The `Content-Encoding` to store: `aws-chunked` is about the request only.
pub(crate) fn without_chunking(encoding: String) -> Option<String> {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|encoding| !encoding.is_empty() && *encoding != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

pub(crate) fn quoted(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

/// The value of a header, where it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A refusal whose code `s3s` does not know.
pub(crate) fn bad_request(code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

/// The version asked for, or the current one, if it is an object.
pub(crate) fn object_of(
    storage: &Storage,
    bucket: &str,
    key: &str,
    id: Option<&str>,
) -> S3Result<Arc<Version>> {
    let version = storage.version(bucket, key, id)?;
    match version.content {
        Some(_) => Ok(version),
        None => Err(is_delete_marker(&version, id.is_some())),
    }
}

fn is_delete_marker(version: &Version, asked_for: bool) -> S3Error {
    let mut error = if asked_for {
        s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against this resource."
        )
    } else {
        s3_error!(NoSuchKey, "The specified key does not exist.")
    };
    let mut headers = HeaderMap::new();
    insert(&mut headers, "x-amz-delete-marker", b"true");
    insert(&mut headers, "x-amz-version-id", version.id.as_bytes());
    error.set_headers(headers);
    error
}

/// The version id to tell: none while its bucket was never versioned.
pub(crate) fn version_id(storage: &Storage, bucket: &str, version: &Version) -> Option<String> {
    let unversioned = storage
        .bucket(bucket)
        .is_ok_and(|bucket| bucket.versioning == Versioning::Off);
    (version.id != NULL_VERSION || !unversioned).then(|| version.id.clone())
}

/// `ETag` and `Last-Modified`, for answers that carry no object.
pub(crate) fn validators(version: &Version, etag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut modified = Vec::new();
    if version
        .modified
        .timestamp()
        .format(TimestampFormat::HttpDate, &mut modified)
        .is_ok()
    {
        insert(&mut headers, header::LAST_MODIFIED.as_str(), &modified);
    }
    insert(
        &mut headers,
        header::ETAG.as_str(),
        format!("\"{etag}\"").as_bytes(),
    );
    headers
}

/// Adds a header whose value is known to be one.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// The checksum a request's headers carry, whichever operation it is.
pub(crate) fn checksum_header(headers: &HeaderMap) -> S3Result<Option<Checksum>> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        let Some(value) = headers.get(algorithm.header()) else {
            continue;
        };
        let checksum = value
            .to_str()
            .ok()
            .and_then(|value| Checksum::parse(algorithm, value));
        let checksum = checksum.ok_or_else(|| malformed_checksum(algorithm))?;
        if found.replace(checksum).is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            ));
        }
    }
    Ok(found)
}

pub(crate) fn malformed_checksum(algorithm: Algorithm) -> S3Error {
    s3_error!(
        InvalidRequest,
        "Value for {} header is invalid.",
        algorithm.header()
    )
}

/// The algorithm a request names by name.
pub(crate) fn algorithm(name: &str) -> S3Result<Algorithm> {
    Algorithm::named(name).ok_or_else(|| {
        s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported: {name}"
        )
    })
}
