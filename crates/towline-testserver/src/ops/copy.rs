//! `CopyObject` and `UploadPartCopy`: bytes from another object instead of a body.

use std::ops::Range;
use std::sync::Arc;

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::conditions::{self, ReadConditions};
use super::encryption;
use super::fields::{self, set_checksum, stored_headers};
use super::get_object::{body, check_class};
use super::multipart::part_number;
use super::receive::Expected;
use crate::checksum::{Algorithm, Kind, ObjectChecksum};
use crate::storage::{Content, Encryption, Headers, Part, Storage, Version};

/// The most that one request copies.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
const MOST: u64 = 5 << 30;
/// Of what is no larger than this no range is copied.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
const SMALLEST_WITH_RANGE: u64 = 5 << 20;

/// The object that is copied.
struct Source {
    bucket: String,
    version: Arc<Version>,
}

macro_rules! source {
    ($storage:expr, $input:expr) => {
        Source::find(
            $storage,
            &$input.copy_source,
            &ReadConditions {
                if_match: $input.copy_source_if_match,
                if_none_match: $input.copy_source_if_none_match,
                if_modified_since: $input.copy_source_if_modified_since,
                if_unmodified_since: $input.copy_source_if_unmodified_since,
            },
        )
    };
}

impl Source {
    fn find(storage: &Storage, from: &CopySource, conditions: &ReadConditions) -> S3Result<Self> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = from
        else {
            return Err(s3_error!(NotImplemented, "Only buckets are copied from"));
        };
        let version = fields::object_of(storage, bucket, key, version_id.as_deref())?;
        let source = Self {
            bucket: bucket.to_string(),
            version,
        };
        let content = source.content()?;
        encryption::check_read(&HeaderMap::new(), &content.headers.sse)?;
        check_class(content)?;
        // What has not changed is no answer to a copy.
        conditions
            .check(&source.version, &content.etag)
            .map_err(|_| {
                s3_error!(
                    PreconditionFailed,
                    "At least one of the pre-conditions you specified did not hold"
                )
            })?;
        Ok(source)
    }

    fn content(&self) -> S3Result<&Content> {
        let content = self.version.content.as_ref();
        content.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    /// Stores these of its bytes anew.
    async fn copy(
        &self,
        storage: &Storage,
        range: Range<u64>,
        algorithm: Algorithm,
        sse: &Encryption,
    ) -> S3Result<Part> {
        if range.end - range.start > MOST {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: {MOST}"
            ));
        }
        let bytes = StreamingBlob::from(body(self.content()?, range));
        Expected::default()
            .receive(storage, Some(bytes), None, algorithm, sse)
            .await
    }
}

pub(crate) async fn object(
    storage: &Storage,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    storage.bucket(&input.bucket)?;
    let text = |name| fields::text(&request.headers, name);
    let condition = conditions::of_write(
        text("if-match").map(etag_condition).transpose()?,
        text("if-none-match").map(etag_condition).transpose()?,
    )?;
    let source = source!(storage, input)?;
    let from = source.content()?;
    let replaces = |directive: Option<&str>| directive == Some("REPLACE");
    let metadata = replaces(input.metadata_directive.as_ref().map(|it| it.as_str()));
    let tags = replaces(input.tagging_directive.as_ref().map(|it| it.as_str()));
    let changes = metadata
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some();
    let asked = stored_headers!(input, &request.headers)?;
    let is_current = text("x-amz-copy-source").is_some_and(|from| !from.contains("?versionId="));
    let onto_itself = source.bucket == input.bucket && source.version.key == input.key;
    if onto_itself && is_current && !changes {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let headers = headers(asked, &from.headers, metadata, tags);
    let algorithm = match &input.checksum_algorithm {
        Some(name) => fields::algorithm(name.as_str())?,
        None => from.checksum.algorithm,
    };
    let whole = 0..from.size;
    let part = source.copy(storage, whole, algorithm, &headers.sse).await?;
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
    let mut result = CopyObjectResult {
        e_tag: Some(fields::quoted(&etag)),
        last_modified: Some(version.modified.timestamp()),
        checksum_type: Some(ChecksumType::from_static(Kind::FullObject.name())),
        ..Default::default()
    };
    set_checksum!(result, checksum.algorithm, checksum.value);
    let output = CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: fields::version_id(storage, &source.bucket, &source.version),
        version_id: fields::version_id(storage, &input.bucket, &version),
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, told))
}

/// Metadata and tags are the source's, unless they are replaced; the rest is as asked.
fn headers(asked: Headers, from: &Headers, metadata: bool, tags: bool) -> Headers {
    let mut headers = if metadata {
        asked
    } else {
        Headers {
            storage_class: asked.storage_class,
            redirect: asked.redirect,
            tags: asked.tags,
            acl: asked.acl,
            sse: asked.sse,
            ..from.clone()
        }
    };
    if !tags {
        headers.tags.clone_from(&from.tags);
    }
    headers
}

fn etag_condition(text: &str) -> S3Result<ETagCondition> {
    if text == "*" {
        return Ok(ETagCondition::Any);
    }
    let parsed = ETag::parse_http_header(text.as_bytes()).map(ETagCondition::ETag);
    parsed.map_err(|_| s3_error!(InvalidArgument, "The condition is invalid"))
}

pub(crate) async fn part(
    storage: &Storage,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    let (bucket, key, upload_id) = (&input.bucket, &input.key, &input.upload_id);
    let number = part_number(input.part_number)?;
    let upload = storage.upload_head(bucket, key, upload_id)?;
    encryption::check_part(&request.headers, &upload.headers.sse)?;
    let source = source!(storage, input)?;
    let size = source.content()?.size;
    let range = match input.copy_source_range.as_deref() {
        Some(_) if size <= SMALLEST_WITH_RANGE => {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is not supported as a byte-range copy source"
            ));
        }
        Some(range) => range_of(range, size)?,
        None => 0..size,
    };
    let (algorithm, sse) = (upload.algorithm, &upload.headers.sse);
    let mut part = source.copy(storage, range, algorithm, sse).await?;
    part.number = number;
    let mut result = CopyPartResult {
        e_tag: Some(fields::quoted(&part.etag)),
        last_modified: Some(part.modified.timestamp()),
        ..Default::default()
    };
    set_checksum!(result, part.checksum.algorithm, part.checksum.base64());
    storage.put_part(bucket, key, upload_id, part)?;
    let output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: fields::version_id(storage, &source.bucket, &source.version),
        ..Default::default()
    };
    let mut told = HeaderMap::new();
    sse.tell(&mut told);
    Ok(S3Response::with_headers(output, told))
}

/// `bytes=a-b`, both of which must be there.
fn range_of(text: &str, size: u64) -> S3Result<Range<u64>> {
    let numbers = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<u64>().ok()?)));
    match numbers {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy"
        )),
    }
}
