//! One request: built, signed, sent, and its answer taken as far as its head.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Notify;
use towline_core::{
    Access, Body, Extra, KeyReference, Operation, S3Error, S3ErrorKind, Timestamp, Trailer,
};

use crate::body::{Progress, RequestBody};
use crate::client::S3Client;
use crate::endpoint::Location;
use crate::error::{self, ErrorDocument};
use crate::headers::{self, BadHeader};
use crate::sign::SignedPayload;
use crate::signed_chunks::{self, SignedChunks};
use crate::trailed::{self, Trailed};
use crate::uri::{self, Query};
use crate::wire::Mark;
use crate::xml::{self, XmlError};

/// Bodies up to this are hashed before they are sent where the payload is
/// signed; longer ones are signed chunk by chunk.
const HASHED_FIRST: u64 = 128 << 10;
/// The most informational (1xx) answers to one request.
const MAX_INFORMATIONAL: u32 = 16;
/// How long the body of an error may take.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("towline/", env!("CARGO_PKG_VERSION"));

/// The bytes of a request.
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    Body(Body),
    /// With their checksum behind them.
    Trailed(Body, Trailer),
}

/// A request before it has an address and a signature.
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) bucket: &'a str,
    /// `None` is the bucket itself.
    pub(crate) key: Option<&'a str>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// It is signed as of then; as of now without one.
    signed_at: Option<SystemTime>,
    customer_key: Option<&'a KeyReference>,
}

impl<'a> Call<'a> {
    /// A request without headers, parameters and bytes.
    pub(crate) fn new(operation: Operation, method: Method, bucket: &'a str) -> Self {
        Self {
            operation,
            method,
            bucket,
            key: None,
            query: Query::default(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            signed_at: None,
            customer_key: None,
        }
    }

    pub(crate) fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// Lets `set` add headers.
    pub(crate) fn headers(
        mut self,
        set: impl FnOnce(&mut HeaderMap) -> Result<(), BadHeader>,
    ) -> Result<Self, S3Error> {
        match set(&mut self.headers) {
            Ok(()) => Ok(self),
            Err(error) => Err(invalid(self.operation, error)),
        }
    }

    /// What every request for the object carries.
    pub(crate) fn access(self, access: &Access) -> Result<Self, S3Error> {
        self.headers(|map| headers::set_access(map, access))
    }

    /// The same, and the key of one's own where the object has one.
    pub(crate) fn access_to_bytes(mut self, access: &'a Access) -> Result<Self, S3Error> {
        self.customer_key = access.customer_key.as_ref();
        self.access(access)
    }

    pub(crate) fn extra(mut self, extra: &Extra) -> Result<Self, S3Error> {
        for (name, value) in &extra.parameters {
            self.query = self.query.pair(name, value);
        }
        self.headers(|map| headers::set_extra(map, extra))
    }

    pub(crate) fn signed_at(mut self, at: Option<Timestamp>) -> Self {
        let since = |at: Timestamp| u64::try_from(at.as_millis()).unwrap_or_default();
        self.signed_at = at.map(|at| UNIX_EPOCH + Duration::from_millis(since(at)));
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }
}

/// Whoever is on the way could change the bytes and their checksum.
#[derive(Debug, thiserror::Error)]
#[error("a checksum behind the bytes is not signed, and those of this request have to be")]
struct NoTrailer;

/// The request cannot be made.
pub(crate) fn invalid(
    operation: Operation,
    error: impl std::error::Error + Send + Sync + 'static,
) -> S3Error {
    let mut facts = S3Error::new(operation, S3ErrorKind::Invalid, error.to_string());
    facts.source = Some(Box::new(error));
    facts
}

impl S3Client {
    /// Sends a request; `Ok` is the head of an answer with a 2xx status.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, S3Error> {
        let operation = call.operation;
        let bucket = call.bucket.to_owned();
        let head_only = call.method == Method::HEAD;
        let request = self.build(call).await?;
        let progress = request.body().progress();
        let answer = self.exchange(operation, request, progress).await?;
        if !answer.status.is_success() {
            let mut error = answer.refused(head_only).await;
            if error.kind == S3ErrorKind::Answer {
                self.remember(&bucket, &mut error);
            }
            return Err(error);
        }
        if !answer.unsent.0.is_complete() {
            return Err(answer.malformed("success was answered before the whole body was sent"));
        }
        Ok(answer)
    }

    async fn build(&self, call: Call<'_>) -> Result<Request<RequestBody>, S3Error> {
        let operation = call.operation;
        let place = self
            .locate(call.bucket)
            .map_err(|error| invalid(operation, error))?;
        let address = address(&place, call.key, &call.query);
        let target: Uri = address.parse().map_err(|e| invalid(operation, e))?;
        let mut headers = call.headers;
        let is_private = place.secure || place.loopback;
        self.keys
            .set(&mut headers, operation, call.customer_key, is_private)?;
        let host = HeaderValue::from_str(&place.authority).map_err(|e| invalid(operation, e))?;
        headers.insert("host", host);
        let body = self
            .seal(
                operation,
                &call.method,
                &address,
                &place,
                &mut headers,
                (call.payload, call.signed_at),
            )
            .await?;
        headers.insert("user-agent", user_agent(operation));
        if let Some(authorization) = self.connector.proxy_authorization(&target) {
            headers.insert("proxy-authorization", authorization);
        }
        let mut request = Request::new(body);
        *request.method_mut() = call.method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Signs the request, unless it is anonymous, and makes its body.
    async fn seal(
        &self,
        operation: Operation,
        method: &Method,
        address: &str,
        place: &Location,
        headers: &mut HeaderMap,
        (payload, signed_at): (Payload, Option<SystemTime>),
    ) -> Result<RequestBody, S3Error> {
        let signer = self.signer(operation).await?;
        let cover = self.signs_payload(place);
        let payload = match payload {
            Payload::Body(body) if signer.is_some() && cover && body.len <= HASHED_FIRST => {
                Payload::Bytes(collect(operation, body).await?)
            }
            Payload::Bytes(bytes) if bytes.is_empty() => Payload::Empty,
            other => other,
        };
        let len = match &payload {
            Payload::Empty => 0,
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::Body(body) | Payload::Trailed(body, _) => body.len,
        };
        let chunked = match &payload {
            Payload::Body(_) if signer.is_some() && cover => Some(signed_chunks::encoded_len(len)),
            Payload::Trailed(..) if signer.is_none() || cover => {
                return Err(invalid(operation, NoTrailer));
            }
            Payload::Trailed(_, trailer) => Some(trailed::encoded_len(len, trailer)),
            _ => None,
        };
        if let Some(encoded_len) = chunked {
            headers.insert("x-amz-decoded-content-length", HeaderValue::from(len));
            headers.insert("content-length", HeaderValue::from(encoded_len));
            let encoding = match headers::text(headers, "content-encoding") {
                Some(stored) => format!("aws-chunked,{stored}"),
                None => "aws-chunked".to_owned(),
            };
            headers::set(headers, "content-encoding", &encoding)
                .map_err(|error| invalid(operation, error))?;
        } else if len > 0 || method == Method::PUT || method == Method::POST {
            headers.insert("content-length", HeaderValue::from(len));
        }
        let mut key = None;
        if let Some(signer) = signer {
            let signed = match &payload {
                Payload::Empty => SignedPayload::Bytes(&[]),
                Payload::Bytes(bytes) => SignedPayload::Bytes(bytes),
                Payload::Body(_) if cover => SignedPayload::Chunks,
                Payload::Body(_) => SignedPayload::Unsigned,
                Payload::Trailed(..) => SignedPayload::Trailed,
            };
            key = signer
                .sign(
                    method.as_str(),
                    address,
                    headers,
                    signed,
                    &place.region,
                    signed_at.unwrap_or_else(|| self.now()),
                )
                .map_err(|error| invalid(operation, error))?;
        }
        Ok(match (payload, key) {
            (Payload::Empty, _) => RequestBody::whole(Bytes::new()),
            (Payload::Bytes(bytes), _) => RequestBody::whole(bytes),
            (Payload::Body(body), Some(key)) => RequestBody::signed(SignedChunks::new(body, key)),
            (Payload::Body(body), None) => RequestBody::stream(body),
            (Payload::Trailed(body, trailer), _) => {
                RequestBody::trailed(Trailed::new(body, trailer))
            }
        })
    }

    async fn exchange(
        &self,
        operation: Operation,
        mut request: Request<RequestBody>,
        progress: Arc<Progress>,
    ) -> Result<Answer, S3Error> {
        let flood = Arc::new((AtomicU32::new(0), Notify::new()));
        let count = flood.clone();
        hyper::ext::on_informational(&mut request, move |_| {
            if count.0.fetch_add(1, Ordering::Relaxed) >= MAX_INFORMATIONAL {
                count.1.notify_one();
            }
        });
        let unsent = Unsent(progress);
        let response = tokio::select! {
            biased;
            response = self.http().request(request) => response,
            () = flood.1.notified() => {
                let words = "over 16 informational answers";
                return Err(S3Error::new(operation, S3ErrorKind::Malformed, words));
            }
        };
        let response = response.map_err(|e| error::unanswered(operation, e, &unsent.0))?;
        if !unsent.0.is_complete() {
            unsent.0.hold();
        }
        let (head, body) = response.into_parts();
        let answer = Answer {
            operation,
            status: head.status,
            headers: head.headers,
            body,
            reused: head.extensions.get::<Mark>().is_some_and(Mark::answered),
            unsent,
        };
        if !headers::are_bounded(&answer.headers) {
            return Err(answer.malformed("its headers are over 64 KiB"));
        }
        if let Some(name) = headers::contradiction(&answer.headers) {
            let why = format!("it has two of {name}, which differ");
            return Err(answer.malformed(why));
        }
        Ok(answer)
    }
}

/// Cuts what is left of a body once nobody waits for the answer.
struct Unsent(Arc<Progress>);

impl Drop for Unsent {
    fn drop(&mut self) {
        if !self.0.is_complete() {
            self.0.cut();
        }
    }
}

/// An answer whose head has come.
pub(crate) struct Answer {
    operation: Operation,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    reused: bool,
    unsent: Unsent,
}

impl Answer {
    /// An error with all that the head tells.
    pub(crate) fn error(&self, kind: S3ErrorKind, message: impl Into<String>) -> S3Error {
        let mut facts = S3Error::new(self.operation, kind, message);
        facts.status = Some(self.status.as_u16());
        facts.body_sent = self.unsent.0.sent();
        facts.request_sent = self.unsent.0.is_complete();
        facts.reused_connection = self.reused;
        error::read_headers(&mut facts, &self.headers);
        facts
    }

    /// The answer is not one that S3 gives: cut off, or somebody else's page.
    pub(crate) fn malformed(&self, why: impl std::fmt::Display) -> S3Error {
        let content = headers::text(&self.headers, "content-type").unwrap_or("no content type");
        let message = format!("not an answer of S3 ({}): {why}", content.escape_debug());
        let is_html = content.to_ascii_lowercase().starts_with("text/html");
        let kind = match is_html && !self.has_marks_of_s3() {
            true => S3ErrorKind::Foreign,
            false => S3ErrorKind::Malformed,
        };
        self.error(kind, message)
    }

    /// Whether it carries any header that only a store sets.
    pub(crate) fn has_marks_of_s3(&self) -> bool {
        let known = |name: &str| name == "etag" || name.starts_with("x-amz-");
        self.headers.keys().any(|name| known(name.as_str()))
    }

    /// The facts of an answer that is no success.
    async fn refused(mut self, head_only: bool) -> S3Error {
        let mut facts = self.error(S3ErrorKind::Answer, "");
        if !self.has_marks_of_s3() && is_of_the_way(self.status) {
            // A document of S3's, below, shows that it is S3's after all.
            facts.kind = S3ErrorKind::Foreign;
            facts.message = "somebody on the way answered: a log-in page, a proxy".into();
        }
        if head_only {
            return facts;
        }
        let read = read_all(&mut self.body, xml::MAX_ERROR_BODY);
        match tokio::time::timeout(ERROR_BODY_TIME, read).await {
            Ok(Ok(body)) => match ErrorDocument::parse(&body) {
                Some(document) => {
                    facts.kind = S3ErrorKind::Answer;
                    document.tell(&mut facts);
                }
                None if facts.kind == S3ErrorKind::Foreign => {}
                None if body.is_empty() => {}
                None => facts.message = "without an error document of S3".into(),
            },
            Ok(Err(_)) | Err(_) if facts.kind == S3ErrorKind::Foreign => {}
            Ok(Err(_)) | Err(_) => facts.message = "its error document did not arrive".into(),
        }
        facts
    }

    /// The whole body, which is XML.
    pub(crate) async fn page(&mut self) -> Result<Bytes, S3Error> {
        match read_all(&mut self.body, xml::MAX_PAGE).await {
            Ok(bytes) => Ok(bytes),
            Err(ReadError::TooLong) => Err(self.malformed("its body is over 16 MiB")),
            Err(ReadError::Broken(cause)) => Err(self.broken(cause)),
        }
    }

    /// Reads a body of which nothing is wanted, so that the connection can
    /// be used again. Gives whether there was any.
    pub(crate) async fn drain(&mut self) -> Result<bool, S3Error> {
        match read_all(&mut self.body, xml::MAX_ERROR_BODY).await {
            Ok(bytes) => Ok(!bytes.is_empty()),
            Err(ReadError::TooLong) => Ok(true),
            Err(ReadError::Broken(cause)) => Err(self.broken(cause)),
        }
    }

    /// The XML breaks a rule.
    pub(crate) fn bad_xml(&self, error: XmlError) -> S3Error {
        self.malformed(error)
    }

    fn broken(&self, cause: hyper::Error) -> S3Error {
        let mut facts = self.error(S3ErrorKind::Transport, "the answer broke off");
        facts.source = Some(Box::new(cause));
        facts
    }

    /// The body as a stream, and the facts for an error in the middle of it.
    pub(crate) fn into_body(self) -> (Incoming, S3Error) {
        let facts = self.error(S3ErrorKind::Transport, "the answer broke off");
        (self.body, facts)
    }
}

/// Statuses by which captive portals and proxies stop a request. A proxy's 5xx
/// is an ordinary one, and 304 answers a condition.
fn is_of_the_way(status: StatusCode) -> bool {
    let redirects = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    redirects || matches!(status.as_u16(), 407 | 511)
}

enum ReadError {
    TooLong,
    Broken(hyper::Error),
}

async fn read_all(body: &mut Incoming, limit: usize) -> Result<Bytes, ReadError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() else {
            continue; // trailers
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(ReadError::TooLong);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The bytes of a small body.
async fn collect(operation: Operation, mut body: Body) -> Result<Bytes, S3Error> {
    let failed = |message: String| S3Error::new(operation, S3ErrorKind::Body, message);
    let mut all = BytesMut::new();
    while (all.len() as u64) < body.len {
        let next = body.stream.next().await;
        let bytes = match next {
            Some(Ok(bytes)) => bytes,
            Some(Err(cause)) => {
                let mut facts = failed(cause.to_string());
                facts.source = Some(cause);
                return Err(facts);
            }
            None => break,
        };
        all.extend_from_slice(&bytes);
    }
    if all.len() as u64 == body.len {
        Ok(all.freeze())
    } else {
        Err(failed(format!(
            "the body has {} bytes instead of {}",
            all.len(),
            body.len
        )))
    }
}

pub(crate) fn address(place: &Location, key: Option<&str>, query: &Query) -> String {
    let scheme = if place.secure { "https" } else { "http" };
    let mut address = format!("{scheme}://{}{}/", place.authority, place.path);
    if let Some(key) = key {
        uri::push_key(&mut address, key);
    }
    if !query.as_str().is_empty() {
        address.push('?');
        address.push_str(query.as_str());
    }
    address
}

fn user_agent(operation: Operation) -> HeaderValue {
    use Operation::*;
    static PLAIN: LazyLock<HeaderValue> = LazyLock::new(|| user_agent_with(""));
    static MULTIPART: LazyLock<HeaderValue> = LazyLock::new(|| user_agent_with(" md/multipart"));
    match operation {
        CreateMultipartUpload
        | UploadPart
        | CompleteMultipartUpload
        | AbortMultipartUpload
        | ListParts
        | ListMultipartUploads => MULTIPART.clone(),
        _ => PLAIN.clone(),
    }
}

fn user_agent_with(mark: &str) -> HeaderValue {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = format!("{USER_AGENT} ({os}; {arch}){mark}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(USER_AGENT))
}
