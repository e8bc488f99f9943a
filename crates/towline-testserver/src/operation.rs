//! Which S3 operation a request asks for, told from its method, path and query alone.
//!
//! The history and the faults need this before `s3s` has looked at the request.

use std::fmt;
use std::str::FromStr;

use hyper::{HeaderMap, Method, Uri, header};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// An S3 operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are S3's own")]
pub enum Operation {
    ListBuckets,
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    GetBucketVersioning,
    PutBucketVersioning,
    GetBucketLocation,
    GetBucketLifecycleConfiguration,
    PutBucketLifecycleConfiguration,
    DeleteBucketLifecycle,
    DeleteObjects,
    ListObjects,
    ListObjectsV2,
    ListMultipartUploads,
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    DeleteObject,
    GetObjectAcl,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    /// Anything else, which this server answers with `NotImplemented`.
    Other,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a request is about, as far as its head tells.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) operation: Operation,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) part_number: Option<u32>,
    pub(crate) upload_id: Option<String>,
    pub(crate) version_id: Option<String>,
    pub(crate) range: Option<String>,
}

impl Target {
    /// Reads the head of a path-style request.
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let (bucket, key) = split_path(uri.path());
        let query = Query(uri.query().unwrap_or_default());
        let operation = match (&bucket, &key) {
            (None, _) if method == Method::GET => Operation::ListBuckets,
            (None, _) => Operation::Other,
            (Some(_), None) => bucket_operation(method, &query),
            (Some(_), Some(_)) => object_operation(method, &query, headers),
        };
        Self {
            operation,
            bucket,
            key,
            part_number: query.number("partNumber"),
            upload_id: query.value("uploadId"),
            version_id: query.value("versionId"),
            range: headers
                .get(header::RANGE)
                .and_then(|range| range.to_str().ok())
                .map(str::to_owned),
        }
    }
}

fn bucket_operation(method: &Method, query: &Query<'_>) -> Operation {
    let versioning = query.has("versioning");
    let lifecycle = query.has("lifecycle");
    match method.as_str() {
        "GET" if lifecycle => Operation::GetBucketLifecycleConfiguration,
        "PUT" if lifecycle => Operation::PutBucketLifecycleConfiguration,
        "DELETE" if lifecycle => Operation::DeleteBucketLifecycle,
        "GET" if query.has("location") => Operation::GetBucketLocation,
        "POST" if query.has("delete") => Operation::DeleteObjects,
        "GET" if versioning => Operation::GetBucketVersioning,
        "GET" if query.has("uploads") => Operation::ListMultipartUploads,
        "GET" if query.value("list-type").as_deref() == Some("2") => Operation::ListObjectsV2,
        "GET" if query.is_listing() => Operation::ListObjects,
        "PUT" if versioning => Operation::PutBucketVersioning,
        "PUT" if query.is_plain() => Operation::CreateBucket,
        "HEAD" => Operation::HeadBucket,
        "DELETE" if query.is_plain() => Operation::DeleteBucket,
        _ => Operation::Other,
    }
}

fn object_operation(method: &Method, query: &Query<'_>, headers: &HeaderMap) -> Operation {
    let upload = query.has("uploadId");
    let copies = headers.contains_key("x-amz-copy-source");
    let subresource = [
        "acl",
        "tagging",
        "attributes",
        "retention",
        "legal-hold",
        "torrent",
    ]
    .iter()
    .any(|name| query.has(name));
    match method.as_str() {
        "GET" if query.has("acl") => Operation::GetObjectAcl,
        "GET" if query.has("tagging") => Operation::GetObjectTagging,
        "PUT" if query.has("tagging") => Operation::PutObjectTagging,
        "DELETE" if query.has("tagging") => Operation::DeleteObjectTagging,
        _ if subresource => Operation::Other,
        "PUT" if copies && upload => Operation::UploadPartCopy,
        "PUT" if copies => Operation::CopyObject,
        "GET" if upload => Operation::ListParts,
        "GET" => Operation::GetObject,
        "HEAD" => Operation::HeadObject,
        "PUT" if upload => Operation::UploadPart,
        "PUT" => Operation::PutObject,
        "POST" if upload => Operation::CompleteMultipartUpload,
        "POST" if query.has("uploads") => Operation::CreateMultipartUpload,
        "DELETE" if upload => Operation::AbortMultipartUpload,
        "DELETE" => Operation::DeleteObject,
        _ => Operation::Other,
    }
}

/// Bucket and key of a path-style path, decoded.
fn split_path(path: &str) -> (Option<String>, Option<String>) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    (decoded(bucket), decoded(key))
}

fn decoded(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// A query string, looked through on demand.
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl Query<'_> {
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.pairs()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    pub(crate) fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.value(name)?.parse().ok()
    }

    fn has(&self, name: &str) -> bool {
        self.pairs().any(|(key, _)| key == name)
    }

    /// No subresource: nothing but the SDKs' own `x-id`, or a presigned signature.
    fn is_plain(&self) -> bool {
        self.pairs()
            .all(|(key, _)| key.is_empty() || key.to_ascii_lowercase().starts_with("x-"))
    }

    /// Nothing but what the older listing knows.
    fn is_listing(&self) -> bool {
        let known = ["delimiter", "encoding-type", "marker", "max-keys", "prefix"];
        self.pairs().all(|(key, _)| {
            key.is_empty() || known.contains(&key) || key.to_ascii_lowercase().starts_with("x-")
        })
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: Method, uri: &'static str) -> Target {
        Target::of(&method, &Uri::from_static(uri), &HeaderMap::new())
    }

    #[test]
    fn a_part_is_told_from_an_object() {
        let part = target(
            Method::PUT,
            "/b/some%20key?partNumber=7&uploadId=u1&x-id=UploadPart",
        );
        assert_eq!(part.operation, Operation::UploadPart);
        assert_eq!(part.key.as_deref(), Some("some key"));
        assert_eq!(part.part_number, Some(7));
        assert_eq!(part.upload_id.as_deref(), Some("u1"));

        let object = target(Method::PUT, "/b/some%20key?x-id=PutObject");
        assert_eq!(object.operation, Operation::PutObject);
    }

    #[test]
    fn subresources_of_a_bucket_are_told_apart() {
        assert_eq!(
            target(Method::GET, "/b?uploads").operation,
            Operation::ListMultipartUploads
        );
        assert_eq!(
            target(Method::GET, "/b/?list-type=2&prefix=x").operation,
            Operation::ListObjectsV2
        );
        assert_eq!(
            target(Method::PUT, "/b?versioning=").operation,
            Operation::PutBucketVersioning
        );
        assert_eq!(
            target(Method::GET, "/b?prefix=x&marker=y").operation,
            Operation::ListObjects
        );
        assert_eq!(target(Method::GET, "/b?policy").operation, Operation::Other);
        assert_eq!(target(Method::PUT, "/b").operation, Operation::CreateBucket);
        assert_eq!(target(Method::PUT, "/b?policy").operation, Operation::Other);
        assert_eq!(target(Method::GET, "/").operation, Operation::ListBuckets);
    }
}
