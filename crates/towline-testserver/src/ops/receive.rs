//! Takes in a body: hashes it while it streams to its place, and refuses what
//! does not fit what the request says of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt as _;
use hyper::{HeaderMap, StatusCode};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, s3_error};

use super::fields;
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::storage::{Encryption, Part, Seconds, Storage};

/// What a request says of its body.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    length: Option<u64>,
    md5: Option<Vec<u8>>,
    checksum: Option<Checksum>,
    /// The algorithm of the checksum that follows the body.
    trailer: Option<Algorithm>,
}

impl Expected {
    pub(crate) fn of(headers: &HeaderMap, length: Option<i64>) -> S3Result<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let expected = Self {
            length: length.and_then(|length| u64::try_from(length).ok()),
            md5: text("content-md5").map(md5).transpose()?,
            checksum: fields::checksum_header(headers)?,
            trailer: text("x-amz-trailer").and_then(Algorithm::of_header),
        };
        if let Some(name) = text("x-amz-sdk-checksum-algorithm")
            && expected.algorithm() != Some(fields::algorithm(name)?)
        {
            return Err(s3_error!(
                InvalidRequest,
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
            ));
        }
        Ok(expected)
    }

    /// The algorithm the client chose, if it did.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum
            .as_ref()
            .map(|checksum| checksum.algorithm)
            .or(self.trailer)
    }

    /// Stores the body, computing `algorithm`. Nothing stays of a body that
    /// ends early or is not what was said.
    pub(crate) async fn receive(
        self,
        storage: &Storage,
        body: Option<StreamingBlob>,
        trailers: Option<TrailingHeaders>,
        algorithm: Algorithm,
        sse: &Encryption,
    ) -> S3Result<Part> {
        let mut writer = storage.new_blob().await?;
        let mut size = 0;
        let mut md5 = Md5::new();
        let mut hasher = Hasher::new(algorithm);
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(broken_body)?;
                size += bytes.len() as u64;
                md5.update(&bytes);
                hasher.update(&bytes);
                writer
                    .write(&bytes)
                    .await
                    .map_err(S3Error::internal_error)?;
            }
        }
        let md5 = md5.finalize().as_ref().to_vec();
        let checksum = hasher.finish();
        self.check(size, &md5, &checksum, trailers)?;
        let (blob_id, blob) = writer.finish().await.map_err(S3Error::internal_error)?;
        Ok(Part {
            number: 1,
            size,
            etag: sse.etag(&md5),
            checksum,
            modified: Seconds::now(),
            blob_id,
            blob,
        })
    }

    fn check(
        &self,
        size: u64,
        md5: &[u8],
        checksum: &Checksum,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<()> {
        if self.length.is_some_and(|length| length != size) {
            return Err(incomplete_body());
        }
        if self.md5.as_ref().is_some_and(|expected| expected != md5) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let expected = match (self.trailer, &self.checksum) {
            (Some(algorithm), None) => Some(trailing(algorithm, trailers)?),
            (_, header) => header.clone(),
        };
        match expected {
            Some(expected) if expected != *checksum => Err(bad_digest(checksum.algorithm)),
            _ => Ok(()),
        }
    }
}

pub(crate) fn bad_digest(algorithm: Algorithm) -> S3Error {
    s3_error!(
        BadDigest,
        "The {} you specified did not match the calculated checksum.",
        algorithm.name()
    )
}

fn md5(base64: &str) -> S3Result<Vec<u8>> {
    let bytes = BASE64.decode(base64).ok().filter(|bytes| bytes.len() == 16);
    bytes.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))
}

fn trailing(algorithm: Algorithm, trailers: Option<TrailingHeaders>) -> S3Result<Checksum> {
    let trailers = trailers
        .and_then(|trailers| trailers.take())
        .unwrap_or_default();
    let value = trailers
        .get(algorithm.header())
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| Checksum::parse(algorithm, value))
        .ok_or_else(|| fields::malformed_checksum(algorithm))
}

/// `s3s` checks the signed hash of the payload, but its error is private.
fn broken_body(error: StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let mut refused = S3Error::with_message(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
        refused.set_status_code(StatusCode::BAD_REQUEST);
        refused
    } else if text.contains("SignatureMismatch") {
        s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk does not match"
        )
    } else {
        tracing::debug!(%error, "a body broke off");
        incomplete_body()
    }
}

fn incomplete_body() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}
