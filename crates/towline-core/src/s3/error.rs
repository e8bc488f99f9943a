//! What is known about a request that did not succeed. Facts only: what they
//! mean is decided in [`react`](crate::react).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::Timestamp;

/// An S3 operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are S3's
pub enum Operation {
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    DeleteObject,
    DeleteObjects,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    ListObjects,
    GetBucketLifecycleConfiguration,
    GetObjectTagging,
}

impl Operation {
    /// Whether sending it a second time may have an effect of its own, so that
    /// a lost answer has to be resolved by asking.
    pub const fn is_ambiguous_when_lost(self) -> bool {
        matches!(
            self,
            Self::PutObject
                | Self::CopyObject
                | Self::CreateMultipartUpload
                | Self::CompleteMultipartUpload
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// At what point a request did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum S3ErrorKind {
    /// No credentials could be had.
    Credentials,
    /// The host's name did not resolve.
    Dns,
    /// No address of the host accepted a connection.
    Connect,
    /// TLS could not be set up: certificate, name, protocol.
    Tls,
    /// The connection broke: reset, closed, half an answer.
    Transport,
    /// Nothing moved for too long (given by the engine, which has the clocks).
    Stalled,
    /// S3 answered with a status that is no success, or with an error inside one.
    Answer,
    /// The answer is not one that S3 gives: wrong XML, missing header, over a limit.
    Malformed,
    /// Somebody on the way answered: a captive portal, a proxy.
    Foreign,
    /// The request's own body failed or fell short.
    Body,
    /// The request cannot be made: it would not be valid.
    Invalid,
}

/// One request that did not succeed.
#[derive(Debug)]
pub struct S3Error {
    /// Which operation.
    pub operation: Operation,
    /// At what point.
    pub kind: S3ErrorKind,
    /// This machine had no descriptor for a socket, so nothing was tried.
    pub no_descriptor: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// S3's code, such as `NoSuchBucket`.
    pub code: Option<String>,
    /// S3's words, or ours where there was no answer; free of secrets.
    pub message: String,
    /// `x-amz-request-id`.
    pub request_id: Option<String>,
    /// `x-amz-id-2`.
    pub host_id: Option<String>,
    /// The region S3 said the bucket is in.
    pub region: Option<String>,
    /// Where S3 pointed to (`Location`), never followed by the client.
    pub location: Option<String>,
    /// `location` is a host of the same endpoint, reached by the same scheme.
    pub location_is_of_endpoint: bool,
    /// The server's clock (`Date`, or `ServerTime` of the error).
    pub server_date: Option<Timestamp>,
    /// `Retry-After`, or `x-amz-retry-after`.
    pub retry_after: Option<Duration>,
    /// Bytes of the request's body that were handed to the connection.
    pub body_sent: u64,
    /// The whole request was sent, so S3 may have done what it asks.
    pub request_sent: bool,
    /// The connection had carried a request before.
    pub reused_connection: bool,
    /// It asked for what is copied, whose bucket may be at another host (given by the
    /// engine).
    pub of_origin: bool,
    /// The cause below, if any.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl S3Error {
    /// An error with only the facts that each has.
    pub fn new(operation: Operation, kind: S3ErrorKind, message: impl Into<String>) -> Self {
        Self {
            operation,
            kind,
            no_descriptor: false,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            host_id: None,
            region: None,
            location: None,
            location_is_of_endpoint: false,
            server_date: None,
            retry_after: None,
            body_sent: 0,
            request_sent: false,
            reused_connection: false,
            of_origin: false,
            source: None,
        }
    }

    /// S3's code, or "" without one.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Whether S3 said that it is asked too much, or too often.
    pub fn is_throttling(&self) -> bool {
        matches!(self.status, Some(429 | 503))
            || matches!(
                self.code(),
                "SlowDown"
                    | "ServiceUnavailable"
                    | "Throttling"
                    | "ThrottlingException"
                    | "TooManyRequests"
                    | "RequestLimitExceeded"
            )
    }

    /// Whether S3 said that the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(f, "{code} ({status})")?,
            (None, Some(status)) => write!(f, "status {status}")?,
            (Some(code), None) => write!(f, "{code}")?,
            (None, None) => return f.write_str(&self.message),
        }
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl Error for S3Error {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}
