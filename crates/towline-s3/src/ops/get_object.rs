//! GetObject: bytes as they arrive, never more or fewer than announced.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::Method;
use http_body::Body as _;
use hyper::body::Incoming;
use towline_core::{GetObject, ObjectBody, Operation, S3Error, S3ErrorKind, StreamError};

use super::head_object::{expect_object, query, set_headers};
use crate::client::S3Client;
use crate::headers;
use crate::request::{Answer, Call};

impl S3Client {
    pub(crate) async fn do_get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error> {
        if request.range.as_ref().is_some_and(Range::is_empty) {
            let words = "an empty range cannot be asked for";
            return Err(S3Error::new(
                Operation::GetObject,
                S3ErrorKind::Invalid,
                words,
            ));
        }
        let call = Call::new(Operation::GetObject, Method::GET, &request.bucket)
            .key(&request.key)
            .query(query(&request))
            .headers(|map| set_headers(map, &request))?
            .access_to_bytes(&request.access)?
            .extra(&request.extra)?;
        let answer = self.send(call).await?;
        expect_object(&answer)?;
        let (range, size) = extent(&answer)?;
        let head = headers::object_head(&answer.headers, size);
        let status = answer.status.as_u16();
        let (body, facts) = answer.into_body();
        let stream = ObjectStream {
            body,
            left: range.end - range.start,
            facts: Some(facts),
        };
        Ok(ObjectBody {
            head,
            status,
            range,
            stream: Box::pin(stream),
        })
    }
}

/// Which bytes of the object the answer has, and how many the object has.
fn extent(answer: &Answer) -> Result<(Range<u64>, Option<u64>), S3Error> {
    let length: Option<u64> = headers::number(&answer.headers, "content-length");
    match answer.status.as_u16() {
        200 => match length {
            Some(length) => Ok((0..length, Some(length))),
            None => Err(answer.malformed("no length")),
        },
        206 => {
            let (range, total) = headers::content_range(&answer.headers)
                .ok_or_else(|| answer.malformed("status 206 without a sound Content-Range"))?;
            if length.is_some_and(|length| length != range.end - range.start) {
                return Err(answer.malformed("Content-Length and Content-Range differ"));
            }
            Ok((range, total))
        }
        _ => Err(answer.malformed("a status that GetObject does not have")),
    }
}

/// hyper's frames as they are, counted.
struct ObjectStream {
    body: Incoming,
    left: u64,
    /// For the error that ends the stream; taken by it.
    facts: Option<S3Error>,
}

impl ObjectStream {
    fn broken(&mut self, message: String, cause: Option<hyper::Error>) -> Option<StreamError> {
        let mut facts = self.facts.take()?;
        facts.message = message;
        facts.source = cause.map(|cause| Box::new(cause) as StreamError);
        Some(Box::new(facts))
    }
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.facts.is_none() {
            return Poll::Ready(None);
        }
        loop {
            let error = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue; // trailers
                    };
                    match this.left.checked_sub(bytes.len() as u64) {
                        Some(left) => {
                            this.left = left;
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        None => {
                            // Not a broken connection: the answer was wrong.
                            if let Some(facts) = &mut this.facts {
                                facts.kind = S3ErrorKind::Malformed;
                            }
                            this.broken("more bytes came than were announced".into(), None)
                        }
                    }
                }
                Some(Err(cause)) => {
                    let message = format!("{} bytes before the end: {cause}", this.left);
                    this.broken(message, Some(cause))
                }
                None if this.left == 0 => return Poll::Ready(None),
                None => this.broken(format!("the body ended {} bytes early", this.left), None),
            };
            return Poll::Ready(error.map(Err));
        }
    }
}
