//! `GetObject` and `HeadObject`: the same answer, with and without the bytes.

use std::ops;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::{HeaderMap, StatusCode};
use s3s::dto::*;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::conditions::ReadConditions;
use super::encryption;
use super::fields::{self, insert, set_checksum};
use crate::checksum::{Algorithm, Kind};
use crate::storage::{Content, Headers, Storage, Version};

/// A fault on a request: the range it asks for is not seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IgnoreRange;

/// What both requests ask for.
struct Wanted {
    version_id: Option<String>,
    conditions: ReadConditions,
    range: Option<Range>,
    part_number: Option<i32>,
    with_checksum: bool,
}

/// What both answers tell.
struct Found {
    version: Arc<Version>,
    /// The bytes asked for.
    bytes: ops::Range<u64>,
    /// Whether only a part of the object was asked for.
    partial: bool,
    parts_count: Option<i32>,
    checksum: Option<(Algorithm, Kind, String)>,
}

macro_rules! wanted {
    ($input:expr) => {
        Wanted {
            version_id: $input.version_id,
            conditions: ReadConditions {
                if_match: $input.if_match,
                if_none_match: $input.if_none_match,
                if_modified_since: $input.if_modified_since,
                if_unmodified_since: $input.if_unmodified_since,
            },
            range: $input.range,
            part_number: $input.part_number,
            with_checksum: $input
                .checksum_mode
                .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED),
        }
    };
}

// A query may say what the answer is to say instead of what was stored:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
macro_rules! described {
    ($output:ident, $found:expr, $content:expr, $version_id:expr, $input:expr) => {{
        let (found, content, headers) = (&$found, $content, $content.headers.clone());
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: $input.response_cache_control.or(headers.cache_control),
            content_disposition: $input
                .response_content_disposition
                .or(headers.content_disposition),
            content_encoding: $input
                .response_content_encoding
                .or(headers.content_encoding),
            content_language: $input
                .response_content_language
                .or(headers.content_language),
            content_length: Some(signed(found.bytes.end - found.bytes.start)),
            content_range: found.content_range(content),
            content_type: $input
                .response_content_type
                .or(headers.content_type)
                .or_else(|| Some("binary/octet-stream".to_owned())),
            e_tag: Some(fields::quoted(&content.etag)),
            expires: $input.response_expires.or(headers.expires),
            last_modified: Some(found.version.modified.timestamp()),
            metadata: Some(headers.metadata.into_iter().collect()),
            parts_count: found.parts_count,
            // S3 does not tell the default class.
            storage_class: headers
                .storage_class
                .filter(|class| class != StorageClass::STANDARD)
                .map(StorageClass::from),
            version_id: $version_id,
            website_redirect_location: headers.redirect,
            ..Default::default()
        };
        if let Some((algorithm, kind, value)) = &found.checksum {
            output.checksum_type = Some(ChecksumType::from_static(kind.name()));
            set_checksum!(output, *algorithm, value.clone());
        }
        output
    }};
}

pub(crate) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let mut input = request.input;
    if request.extensions.get::<IgnoreRange>().is_some() {
        input.range = None;
    }
    let (bucket, key) = (input.bucket, input.key);
    let found = find(storage, &bucket, &key, &request.headers, wanted!(input))?;
    let content = found.content()?;
    check_class(content)?;
    let version_id = fields::version_id(storage, &bucket, &found.version);
    let mut output = described!(GetObjectOutput, found, content, version_id, input);
    output.body = Some(StreamingBlob::from(body(content, found.bytes.clone())));
    let headers = more_headers(&content.headers);
    Ok(S3Response::with_headers(output, headers))
}

pub(crate) async fn head(
    storage: &Storage,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let (bucket, key) = (input.bucket, input.key);
    let found = find(storage, &bucket, &key, &request.headers, wanted!(input))?;
    let content = found.content()?;
    let version_id = fields::version_id(storage, &bucket, &found.version);
    let output = described!(HeadObjectOutput, found, content, version_id, input);
    let headers = more_headers(&content.headers);
    Ok(S3Response::with_headers(output, headers))
}

/// What is archived is told of, and not given before it was restored, which nothing here is.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
pub(super) fn check_class(content: &Content) -> S3Result<()> {
    match content.headers.storage_class.as_deref() {
        Some("GLACIER" | "DEEP_ARCHIVE") => Err(s3_error!(
            InvalidObjectState,
            "The operation is not valid for the object's storage class"
        )),
        _ => Ok(()),
    }
}

/// Headers that both answers have and not both of s3s's outputs.
fn more_headers(headers: &Headers) -> HeaderMap {
    let mut more = HeaderMap::new();
    headers.sse.tell(&mut more);
    if let Some(count) = headers.tag_count() {
        insert(
            &mut more,
            "x-amz-tagging-count",
            count.to_string().as_bytes(),
        );
    }
    more
}

fn find(
    storage: &Storage,
    bucket: &str,
    key: &str,
    headers: &HeaderMap,
    wanted: Wanted,
) -> S3Result<Found> {
    let version = fields::object_of(storage, bucket, key, wanted.version_id.as_deref())?;
    let Some(content) = &version.content else {
        return Err(s3_error!(NoSuchKey));
    };
    encryption::check_read(headers, &content.headers.sse)?;
    wanted.conditions.check(&version, &content.etag)?;
    let whole = content.checksum.clone();
    let whole = wanted
        .with_checksum
        .then_some((whole.algorithm, whole.kind, whole.value));
    let (bytes, partial, parts_count, checksum) = match (wanted.range, wanted.part_number) {
        (None, None) => (0..content.size, false, None, whole),
        (Some(range), None) => {
            let bytes = range
                .check(content.size)
                .map_err(|_| not_satisfiable(content.size))?;
            (bytes, true, None, None)
        }
        (None, Some(number)) => {
            let (bytes, at) = part_range(content, number)?;
            let count = version
                .is_multipart()
                .then_some(signed_32(content.parts.len()));
            let checksum = match content.checksum.kind {
                Kind::FullObject if version.is_multipart() => None,
                Kind::FullObject => whole,
                Kind::Composite => {
                    let part = &content.parts[at].checksum;
                    wanted
                        .with_checksum
                        .then(|| (part.algorithm, Kind::Composite, part.base64()))
                }
            };
            (bytes, content.size > 0, count, checksum)
        }
        (Some(_), Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            ));
        }
    };
    Ok(Found {
        version,
        bytes,
        partial,
        parts_count,
        checksum,
    })
}

impl Found {
    fn content(&self) -> S3Result<&Content> {
        self.version
            .content
            .as_ref()
            .ok_or_else(|| s3_error!(NoSuchKey))
    }

    fn content_range(&self, content: &Content) -> Option<String> {
        self.partial.then(|| {
            format!(
                "bytes {}-{}/{}",
                self.bytes.start,
                self.bytes.end - 1,
                content.size
            )
        })
    }
}

/// The bytes of the `number`th part, and its place in the list. Numbers count
/// the parts of the object, whatever numbers they were uploaded under.
fn part_range(content: &Content, number: i32) -> S3Result<(ops::Range<u64>, usize)> {
    let at = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let Some((at, part)) = at.and_then(|at| Some((at, content.parts.get(at)?))) else {
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("InvalidPartNumber".into()),
            "The requested partnumber is not satisfiable",
        );
        error.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
        return Err(error);
    };
    let start = content.parts[..at].iter().map(|part| part.size).sum();
    Ok((start..start + part.size, at))
}

/// Streams a range across the parts it touches.
pub(super) fn body(content: &Content, range: ops::Range<u64>) -> Body {
    let mut pieces = Vec::new();
    let mut start = 0;
    for part in &content.parts {
        let end = start + part.size;
        if start < range.end && range.start < end {
            let piece = range.start.max(start) - start..range.end.min(end) - start;
            pieces.push((Arc::clone(&part.blob), piece));
        }
        start = end;
    }
    let bytes = stream::iter(pieces)
        .map(|(blob, piece)| blob.read(piece))
        .flatten();
    Body::http_body_unsync(StreamBody::new(bytes.map_ok(Frame::data)))
}

fn not_satisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = HeaderMap::new();
    insert(
        &mut headers,
        "content-range",
        format!("bytes */{size}").as_bytes(),
    );
    error.set_headers(headers);
    error
}

/// S3's fields are signed; no object comes near the limit.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn signed_32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
