//! The objects below a prefix, page by page, so that memory does not grow with
//! their number.

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use towline::{ObjectsPage, TransferUtility};

use crate::error::Error;
use crate::output::Output;
use crate::url::S3Url;

pub(crate) struct Listing<'a> {
    utility: &'a TransferUtility,
    url: &'a S3Url,
    delimiter: &'static str,
    next: Next,
    saw_any: bool,
}

enum Next {
    First,
    Behind(String),
    Nothing,
}

impl<'a> Listing<'a> {
    /// All of them.
    pub(crate) fn of_all(utility: &'a TransferUtility, url: &'a S3Url) -> Self {
        Self {
            utility,
            url,
            delimiter: "",
            next: Next::First,
            saw_any: false,
        }
    }

    /// Those of one level, and the prefixes of the next.
    pub(crate) fn of_one_level(utility: &'a TransferUtility, url: &'a S3Url) -> Self {
        Self {
            delimiter: "/",
            ..Self::of_all(utility, url)
        }
    }

    /// The next page, which may be empty; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<ObjectsPage>, Error> {
        let request = self
            .utility
            .list(self.url.bucket.as_str())
            .prefix(self.url.rest.as_str())
            .delimiter(self.delimiter);
        let request = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::First => request,
            Next::Behind(token) => request.continuation(token),
            Next::Nothing => return Ok(None),
        };
        let mut page = request.await?;
        if let Some(token) = page.next.take() {
            self.next = Next::Behind(token);
        }
        self.saw_any |= !page.objects.is_empty() || !page.prefixes.is_empty();
        Ok(Some(page))
    }

    /// Fails where nothing was there. A bucket may be empty.
    pub(crate) fn expect_any(&self) -> Result<(), Error> {
        match self.saw_any || self.url.rest.is_empty() {
            true => Ok(()),
            false => Err(Error::Failed(nothing_below(self.url))),
        }
    }
}

pub(crate) fn nothing_below(url: &S3Url) -> String {
    format!("there is no object below {}", name(url))
}

/// `s3://BUCKET/REST`.
pub(crate) fn name(url: &S3Url) -> String {
    format!("s3://{}/{}", url.bucket, url.rest)
}

/// As people read it, or exactly.
pub(crate) fn size(bytes: u64, exact: bool) -> String {
    match exact {
        true => bytes.to_string(),
        false => BinaryBytes(bytes).to_string(),
    }
}

/// `1 object`, `2 objects`.
pub(crate) fn objects(count: u64) -> String {
    match count {
        1 => "1 object".to_owned(),
        count => format!("{count} objects"),
    }
}

/// How many there were so far, where a terminal shows it.
pub(crate) fn counter(verb: &str, output: &Output) -> ProgressBar {
    let counter = ProgressBar::no_length();
    counter.set_draw_target(match output.shows_progress() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    });
    if let Ok(style) = ProgressStyle::with_template(&format!("{verb} {{pos}} objects")) {
        counter.set_style(style);
    }
    counter
}
