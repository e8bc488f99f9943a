//! Answers that are not the store's own, and the store's own made into others.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::StreamBody;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use s3s::{Body, StdError};
use tokio::time::sleep;

use crate::faults::{self, Answer, By, Cut, Flip, Point};
use crate::wire::Plan;

/// How often S3 sends white space is not known; often enough to be seen.
const WHITE_SPACE_EVERY: Duration = Duration::from_millis(100);

impl Answer {
    /// The answer to the request with this id.
    pub(crate) fn response(&self, request_id: &str) -> Response<Body> {
        let body = match (&self.body, &self.code) {
            (Some(body), _) => body.clone(),
            (None, Some(code)) => {
                error_document(code, "A fault the test asked for.", "", request_id)
            }
            (None, None) => String::new(),
        };
        let body = match self.white_space_ms {
            Some(time) => after_white_space(&body, Duration::from_millis(time)),
            None => Body::from(body),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = self.content_type.as_deref().unwrap_or("application/xml");
        if let Ok(value) = HeaderValue::from_str(content_type) {
            response.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        response
    }
}

/// S3's error document. `more` is XML that goes into it.
pub(crate) fn error_document(code: &str, message: &str, more: &str, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message>{more}<RequestId>{request_id}</RequestId></Error>"
    )
}

/// The XML prolog at once, then white space, then the rest.
fn after_white_space(text: &str, time: Duration) -> Body {
    let prolog = text.find("?>").map_or(0, |end| end + 2);
    let (prolog, rest) = text.split_at(prolog);
    let first = Bytes::copy_from_slice(prolog.as_bytes());
    let last = Bytes::copy_from_slice(rest.as_bytes());
    let spaces = time.as_millis().div_ceil(WHITE_SPACE_EVERY.as_millis());
    let spaces = stream::iter(0..spaces).then(|_| async {
        sleep(WHITE_SPACE_EVERY).await;
        Bytes::from_static(b" ")
    });
    let bytes = stream::iter([first])
        .chain(spaces)
        .chain(stream::iter([last]))
        .map(|bytes| Ok::<_, StdError>(Frame::data(bytes)));
    Body::http_body_unsync(StreamBody::new(bytes))
}

/// Sets and drops headers.
pub(crate) fn change_headers(response: &mut Response<Body>, headers: &faults::Headers) {
    for name in &headers.drop {
        response.headers_mut().remove(name.as_str());
    }
    for (name, value) in &headers.set {
        // The script has been checked.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Changes a body. What cannot be said in HTTP, a body that does not fit its
/// `Content-Length`, goes into the plan of the line below.
pub(crate) fn change_body(
    response: Response<Body>,
    change: &faults::Body,
    plan: &mut Plan,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let declared = head.headers.get(header::CONTENT_LENGTH);
    let declared = declared
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .or_else(|| body.size_hint().exact());
    let (body, natural) = match &change.replace {
        Some(text) => (Body::from(text.clone()), Some(text.len() as u64)),
        None => (body, declared),
    };
    let extend = change.extend.unwrap_or(0);
    let most = change.truncate.unwrap_or(u64::MAX);
    let length = natural.map(|length| length.min(most) + extend);
    let mut changed = Changed {
        body,
        offset: 0,
        most,
        flip: change.flip,
        scramble: change.scramble,
        tail: extend,
        length,
        ended: false,
        falls_silent: false,
    };
    let said = if change.keep_length { declared } else { length };
    match said {
        Some(said) => {
            head.headers.insert(header::CONTENT_LENGTH, said.into());
        }
        None => {
            head.headers.remove(header::CONTENT_LENGTH);
        }
    }
    if let (Some(said), Some(length)) = (said, length) {
        if length < said {
            let at = Point::ResponseBytes(length);
            plan.cut.get_or_insert(Cut { at, by: By::Fin });
            changed.falls_silent = true;
        } else if let Some(text) = &change.replace
            && said < length
        {
            let (now, later) = text
                .as_bytes()
                .split_at(said.min(text.len() as u64) as usize);
            changed.body = Body::from(now.to_vec());
            plan.extra = [later, &filler(length - text.len() as u64)].concat().into();
            changed.tail = 0;
        } else if said < length {
            plan.extra = filler(length - said);
            changed.tail = 0;
        }
        changed.length = Some(said);
    }
    Response::from_parts(head, Body::http_body_unsync(changed))
}

fn filler(bytes: u64) -> Bytes {
    vec![b'x'; usize::try_from(bytes).unwrap_or(0)].into()
}

/// A body whose bytes are changed as they pass.
struct Changed {
    body: Body,
    offset: u64,
    /// How many of its own bytes pass.
    most: u64,
    flip: Option<Flip>,
    scramble: bool,
    /// How many bytes of filler follow.
    tail: u64,
    /// What `Content-Length` says.
    length: Option<u64>,
    ended: bool,
    /// Does not end: hyper would throw away what it still holds of a body
    /// that is too short, and the line below ends it anyway.
    falls_silent: bool,
}

impl Changed {
    fn change(&mut self, bytes: Bytes) -> Bytes {
        let left = self.most.saturating_sub(self.offset);
        let keep = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut bytes = BytesMut::from(&bytes[..keep]);
        if self.scramble {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        if let Some(flip) = self.flip {
            flip.apply(self.offset, &mut bytes);
        }
        self.offset += keep as u64;
        bytes.freeze()
    }
}

impl http_body::Body for Changed {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        while !this.ended && this.offset < this.most {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        let bytes = this.change(bytes);
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.ended = true,
            }
        }
        if this.tail > 0 {
            let now = this.tail.min(64 * 1024);
            this.tail -= now;
            return Poll::Ready(Some(Ok(Frame::data(filler(now)))));
        }
        if this.falls_silent {
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        // Only asked for before the first frame.
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
