//! Turns what hyper, the network and S3 say into the facts of an [`S3Error`].

use std::error::Error;

use http::HeaderMap;
use hyper_util::client::legacy::Error as ClientError;
use towline_core::{Operation, S3Error, S3ErrorKind};

use crate::body::Progress;
use crate::connect::ConnectFailure;
use crate::headers::{self, http_date, iso_date};
use crate::wire::Mark;
use crate::xml::{self, XmlError};

/// A request that got no answer.
pub(crate) fn unanswered(operation: Operation, error: ClientError, progress: &Progress) -> S3Error {
    let mut facts = S3Error::new(operation, S3ErrorKind::Transport, "");
    facts.body_sent = progress.sent();
    if let Some(info) = error.connect_info() {
        let mut extras = http::Extensions::new();
        info.get_extras(&mut extras);
        facts.reused_connection = extras.get::<Mark>().is_some_and(Mark::is_used);
    }
    if let Some(cause) = progress.take_failure() {
        facts.kind = S3ErrorKind::Body;
        facts.message = cause.to_string();
        facts.source = Some(cause);
        return facts;
    }
    if let Some(failure) = find::<ConnectFailure>(&error) {
        facts.kind = match failure {
            ConnectFailure::Dns { .. } => S3ErrorKind::Dns,
            ConnectFailure::Tls { .. } => S3ErrorKind::Tls,
            _ => S3ErrorKind::Connect,
        };
        facts.no_descriptor = lacks_descriptors(failure);
        facts.message = failure.to_string();
        if let Some(cause) = deepest(failure) {
            facts.message = format!("{}: {cause}", facts.message);
        }
    } else if error.is_connect() {
        // The pool's connection went away before the request was given to it.
        facts.message = "the kept connection was gone".into();
        facts.reused_connection = true;
    } else {
        let hyper = find::<hyper::Error>(&error);
        let untouched = hyper.is_some_and(hyper::Error::is_canceled);
        facts.request_sent = !untouched && progress.is_complete();
        if hyper.is_some_and(hyper::Error::is_parse) {
            facts.kind = S3ErrorKind::Malformed;
            facts.message = "the answer is not HTTP within limits".into();
        } else if hyper.is_some_and(hyper::Error::is_incomplete_message) {
            facts.message = "the connection was closed before the answer".into();
        } else {
            facts.message = "the connection broke".into();
        }
        if let Some(cause) = deepest(&error) {
            facts.message = format!("{}: {cause}", facts.message);
        }
    }
    facts.source = Some(Box::new(error));
    facts
}

/// The facts that an answer's headers give.
pub(crate) fn read_headers(facts: &mut S3Error, headers: &HeaderMap) {
    facts.request_id = headers::owned(headers, "x-amz-request-id");
    facts.host_id = headers::owned(headers, "x-amz-id-2");
    facts.region = headers::text(headers, "x-amz-bucket-region").and_then(region);
    facts.location = headers::owned(headers, "location");
    facts.server_date = headers::text(headers, "date").and_then(http_date);
    facts.retry_after = headers::retry_after(headers);
}

/// S3's own account of an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorDocument {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    region: Option<String>,
    request_id: Option<String>,
    host_id: Option<String>,
    server_time: Option<String>,
}

impl ErrorDocument {
    /// Takes one element of an `<Error>`.
    pub(crate) fn take(&mut self, path: &str, text: &str) -> Result<(), XmlError> {
        match path {
            "Code" => xml::once(&mut self.code, "Code", text.trim()),
            "Message" => xml::once(&mut self.message, "Message", text),
            "Region" => xml::once(&mut self.region, "Region", text.trim()),
            "RequestId" => xml::once(&mut self.request_id, "RequestId", text),
            "HostId" => xml::once(&mut self.host_id, "HostId", text),
            "ServerTime" => xml::once(&mut self.server_time, "ServerTime", text),
            _ => Ok(()),
        }
    }

    /// `None` when the body is no error of S3's.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let mut document = Self::default();
        let root = xml::walk(body, |path, text| document.take(path, text)).ok()?;
        (root == "Error" && document.code.is_some()).then_some(document)
    }

    /// Adds what it says to the facts.
    pub(crate) fn tell(self, facts: &mut S3Error) {
        facts.code = self.code.filter(|code| !code.is_empty());
        facts.message = self.message.unwrap_or_default();
        facts.request_id = facts.request_id.take().or(self.request_id);
        facts.host_id = facts.host_id.take().or(self.host_id);
        let hinted = self.region.as_deref().and_then(region);
        facts.region = facts.region.take().or(hinted);
        if let Some(time) = self.server_time.as_deref().and_then(iso_date) {
            facts.server_date = Some(time);
        }
    }
}

/// A region's name as a server gives it: it may become part of a host.
fn region(text: &str) -> Option<String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(known);
    fits.then(|| text.to_owned())
}

/// The first cause of a kind, inside I/O errors too.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// EMFILE or ENFILE, which are the same on Linux, macOS and the BSDs.
fn lacks_descriptors(failure: &ConnectFailure) -> bool {
    let cause = find::<std::io::Error>(failure).and_then(std::io::Error::raw_os_error);
    matches!(cause, Some(23 | 24))
}

/// The cause at the bottom, if there is one below.
fn deepest<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let mut last = error.source()?;
    while let Some(next) = last.source() {
        last = next;
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_gives_its_facts() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code>\
            <Message>wrong</Message><Region>eu-west-1</Region><RequestId>R</RequestId>\
            <ServerTime>2013-05-24T00:00:00Z</ServerTime></Error>";
        let mut facts = S3Error::new(Operation::PutObject, S3ErrorKind::Answer, "");
        ErrorDocument::parse(xml).unwrap().tell(&mut facts);
        assert_eq!(facts.code(), "AuthorizationHeaderMalformed");
        assert_eq!(facts.region.as_deref(), Some("eu-west-1"));
        assert_eq!(facts.request_id.as_deref(), Some("R"));
        assert_eq!(facts.server_date.unwrap().as_millis(), 1_369_353_600_000);
    }

    #[test]
    fn f72_a_lack_of_descriptors_is_told_from_a_host_that_cannot_be_reached() {
        let refused = |code| ConnectFailure::Tcp {
            host: "host".into(),
            source: Box::new(Wrapped(std::io::Error::from_raw_os_error(code))),
        };
        for (code, lacks) in [(24, true), (23, true), (111, false), (113, false)] {
            assert_eq!(lacks_descriptors(&refused(code)), lacks, "{code}");
        }
    }

    /// As hyper wraps it.
    #[derive(Debug, thiserror::Error)]
    #[error("tcp connect error")]
    struct Wrapped(#[source] std::io::Error);

    #[test]
    fn a_region_hint_that_could_change_a_host_is_dropped() {
        for (text, kept) in [
            ("eu-west-1", true),
            ("evil.com/", false),
            ("a@b", false),
            ("", false),
        ] {
            assert_eq!(region(text).is_some(), kept, "{text}");
        }
    }

    #[test]
    fn what_is_no_error_of_s3_is_none() {
        for body in [
            "",
            "<html><body>no</body></html>",
            "{}",
            "<Error/>",
            "<Error><Code>x",
        ] {
            assert_eq!(ErrorDocument::parse(body.as_bytes()), None, "{body}");
        }
    }
}
