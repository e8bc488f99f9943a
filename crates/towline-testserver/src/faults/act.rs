//! What a rule does to a request and its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A place in the life of a request, at which its connection is cut or stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The head has been read, nothing of the body.
    BeforeRead,
    /// This many bytes of the request's body have been read.
    RequestBytes(u64),
    /// The request has been read, and applied if it is to be; nothing is answered.
    AfterRequest,
    /// Status and headers of the answer are out, nothing of its body.
    AfterHeaders,
    /// This many bytes of the answer's body are out, with any chunk framing.
    ResponseBytes(u64),
    /// The answer is out.
    AfterResponse,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// As if the server had closed it: the client reads the end of the stream.
    #[default]
    Fin,
    /// As if the server had died: the client reads a reset.
    Rst,
}

/// Whether a request has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// Before the answer.
    Yes,
    /// Never.
    No,
    /// This many milliseconds after it was read; the answer or the cut does not wait for it.
    LateMs(u64),
}

/// What else happens in the storage just before the request is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Another object takes the place of the request's: every byte inverted, the size kept.
    ReplaceObject,
    /// The request's object is deleted.
    DeleteObject,
    /// The request's upload is aborted; without an upload id, all uploads of its key.
    AbortUpload,
}

/// An answer that is not the store's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub(crate) status: u16,
    /// S3's error code, for the usual XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// Any body instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    /// Head and XML prolog at once, white space for this long, then the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) white_space_ms: Option<u64>,
    /// Answers as soon as this many bytes of the request's body were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) early: Option<u64>,
}

impl Answer {
    /// `status` without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// `status` with S3's error document for `code`.
    pub fn error(status: u16, code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..Self::status(status)
        }
    }

    /// Another body, in place of the error document.
    pub fn body(mut self, body: &str, content_type: &str) -> Self {
        self.body = Some(body.to_owned());
        self.content_type = Some(content_type.to_owned());
        self
    }

    /// Sends the head and the XML prolog at once, then white space for this
    /// long, then the rest, as S3 does while it completes a large upload.
    pub fn white_space(mut self, time: Duration) -> Self {
        self.white_space_ms = Some(millis(time));
        self
    }

    /// Answers once this many bytes of the request's body were read.
    pub fn early(mut self, request_bytes: u64) -> Self {
        self.early = Some(request_bytes);
        self
    }
}

/// One bit of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flip {
    /// Which byte, from 0.
    pub(crate) at: u64,
    /// Which bit of it, 0 to 7.
    #[serde(default)]
    pub(crate) bit: u8,
}

impl Flip {
    /// Flips the bit if it is in these bytes, which begin at `offset`.
    pub(crate) fn apply(self, offset: u64, bytes: &mut [u8]) {
        let place = self.at.checked_sub(offset);
        let byte = place.and_then(|place| bytes.get_mut(usize::try_from(place).ok()?));
        if let Some(byte) = byte {
            *byte ^= 1 << (self.bit & 7);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cut {
    pub(crate) at: Point,
    #[serde(default)]
    pub(crate) by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stall {
    pub(crate) at: Point,
    /// For ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) for_ms: Option<u64>,
}

/// What happens to the request's body on its way to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flip: Option<Flip>,
    /// Bytes a second at which it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drip: Option<u64>,
}

/// What happens to the answer's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) set: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) drop: Vec<String>,
}

/// What happens to the answer's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flip: Option<Flip>,
    /// Inverts every byte.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) scramble: bool,
    /// Only the first so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) truncate: Option<u64>,
    /// So many more bytes, all of them `x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extend: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replace: Option<String>,
    /// Leaves `Content-Length` what it was, whatever follows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) keep_length: bool,
}

/// All that is done to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// Waits before it is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<RequestBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Event>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) apply: Option<Apply>,
    /// Applies it once more, this many milliseconds after it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duplicate_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) ignore_range: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Headers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Body>,
    /// Bytes a second at which the answer is sent, head and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drip: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stall: Option<Stall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cut: Option<Cut>,
}

impl Act {
    /// Whether the request has its effect: as said, else only if the store
    /// gets it and answers it.
    pub(crate) fn applies(&self) -> Apply {
        let lost = self.cut.is_some_and(|cut| cut.at.is_before_applying());
        self.apply.unwrap_or(if lost || self.answer.is_some() {
            Apply::No
        } else {
            Apply::Yes
        })
    }

    /// What contradicts itself or cannot be done.
    pub(super) fn check(&self) -> Result<(), String> {
        let early = self
            .answer
            .as_ref()
            .is_some_and(|answer| answer.early.is_some());
        let unread = early || self.cut.is_some_and(|cut| cut.at.is_before_applying());
        let silent = |at: Point| at.is_before_answering();
        let unanswered = self.cut.is_some_and(|cut| silent(cut.at))
            || self
                .stall
                .is_some_and(|stall| silent(stall.at) && stall.for_ms.is_none());
        if unread && !matches!(self.apply, None | Some(Apply::No)) {
            return Err("a request that is not read to its end cannot be applied".to_owned());
        }
        if unread && self.duplicate_ms.is_some() {
            return Err("a request that is not read to its end cannot be duplicated".to_owned());
        }
        if self.applies() != Apply::Yes && self.answer.is_none() && !unanswered {
            return Err(
                "without its effect a request needs an `answer`, or a `cut` or endless `stall` before one".to_owned(),
            );
        }
        if self.applies() != Apply::Yes && self.duplicate_ms.is_some() {
            return Err("only a request that is applied can be duplicated".to_owned());
        }
        if let Some(answer) = &self.answer
            && !(200..=599).contains(&answer.status)
        {
            return Err(format!("{} is no status of an answer", answer.status));
        }
        let flips = [
            self.request.as_ref().and_then(|request| request.flip),
            self.body.as_ref().and_then(|body| body.flip),
        ];
        if flips.iter().flatten().any(|flip| flip.bit > 7) {
            return Err("a byte has the bits 0 to 7".to_owned());
        }
        let drips = [
            self.request.as_ref().and_then(|request| request.drip),
            self.drip,
        ];
        if drips.contains(&Some(0)) {
            return Err("`drip` is at least 1 byte a second; `stall` sends none".to_owned());
        }
        let names = self.headers.iter().flat_map(|headers| {
            let set = headers
                .set
                .iter()
                .map(|(name, value)| (name, value.as_str()));
            set.chain(headers.drop.iter().map(|name| (name, "")))
        });
        for (name, value) in names {
            if hyper::header::HeaderName::try_from(name.as_str()).is_err()
                || hyper::header::HeaderValue::try_from(value).is_err()
            {
                return Err(format!("{name:?}: {value:?} is no header"));
            }
        }
        Ok(())
    }
}

impl Point {
    pub(crate) fn is_before_applying(self) -> bool {
        matches!(self, Self::BeforeRead | Self::RequestBytes(_))
    }

    fn is_before_answering(self) -> bool {
        self.is_before_applying() || self == Self::AfterRequest
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn is_false(value: &bool) -> bool {
    !value
}
