//! Tags of objects: in a header of the upload, and by operations of their own.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>

use hyper::HeaderMap;
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::fields::{bad_request, object_of, text, version_id};
use crate::storage::{Storage, Version};

const MOST_TAGS: usize = 10;
/// In characters.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

type Tags = Vec<(String, String)>;

/// The tags a PUT or a Create asks for: `a=1&b=2`, encoded as a query is.
pub(crate) fn asked(headers: &HeaderMap) -> S3Result<Tags> {
    let header = text(headers, "x-amz-tagging").unwrap_or_default();
    let pairs = header.split('&').filter(|pair| !pair.is_empty());
    let tags = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(key)?, decoded(value)?))
        })
        .collect::<Option<Tags>>()
        .filter(|tags| !has_twins(tags));
    let tags = tags.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
        )
    })?;
    check(tags)
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn has_twins(tags: &Tags) -> bool {
    let earlier = |at: usize| &tags[..at];
    (0..tags.len()).any(|at| earlier(at).iter().any(|(key, _)| *key == tags[at].0))
}

/// The rules every set of tags keeps. Which characters are in them is not looked at.
fn check(tags: Tags) -> S3Result<Tags> {
    if tags.len() > MOST_TAGS {
        return Err(bad_request(
            "BadRequest",
            "Object tags cannot be greater than 10",
        ));
    }
    if has_twins(&tags) {
        return Err(s3_error!(
            InvalidTag,
            "Cannot provide multiple Tags with the same key"
        ));
    }
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            return Err(s3_error!(
                InvalidTag,
                "The TagKey you have provided is invalid"
            ));
        }
        if key.starts_with("aws:") {
            return Err(s3_error!(
                InvalidTag,
                "System tags cannot be added/updated by requester"
            ));
        }
        if value.chars().count() > LONGEST_VALUE {
            return Err(s3_error!(
                InvalidTag,
                "The TagValue you have provided is invalid"
            ));
        }
    }
    Ok(tags)
}

pub(crate) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    let (bucket, id) = (&input.bucket, input.version_id.as_deref());
    let version = object_of(storage, bucket, &input.key, id)?;
    let tags = version
        .content
        .iter()
        .flat_map(|content| &content.headers.tags);
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tags
            .map(|(key, value)| Tag {
                key: Some(key.clone()),
                value: Some(value.clone()),
            })
            .collect(),
        version_id: version_id(storage, bucket, &version),
    }))
}

pub(crate) async fn put(
    storage: &Storage,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    let tags = input.tagging.tag_set.into_iter();
    let tags = check(
        tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
            .collect(),
    )?;
    let (bucket, id) = (&input.bucket, input.version_id.as_deref());
    let version = set(storage, bucket, &input.key, id, tags)?;
    Ok(S3Response::new(PutObjectTaggingOutput {
        version_id: version_id(storage, bucket, &version),
    }))
}

pub(crate) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    let (bucket, id) = (&input.bucket, input.version_id.as_deref());
    let version = set(storage, bucket, &input.key, id, Tags::new())?;
    Ok(S3Response::new(DeleteObjectTaggingOutput {
        version_id: version_id(storage, bucket, &version),
    }))
}

fn set(
    storage: &Storage,
    bucket: &str,
    key: &str,
    id: Option<&str>,
    tags: Tags,
) -> S3Result<std::sync::Arc<Version>> {
    let version = object_of(storage, bucket, key, id)?;
    storage.change_headers(bucket, key, &version, |headers| headers.tags = tags)?;
    Ok(version)
}
