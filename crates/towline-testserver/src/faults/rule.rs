//! One rule: which requests, and what is done to them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::act::{
    Act, Answer, Apply, Body, By, Cut, Event, Flip, Headers, Point, RequestBody, Stall, millis,
};
use super::matching::{Count, Fits};
use crate::operation::Operation;

/// Which requests a fault is for, and what it is.
///
/// Without [`nth`](Self::nth), [`first`](Self::first) or
/// [`probability`](Self::probability) it is for every request that fits.
/// Requests are counted for each operation, bucket, key, part and range
/// apart, so that what happens does not depend on which connection was
/// quicker; [`of_all`](Self::of_all) counts them together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(rename = "match", default)]
    pub(super) fits: Fits,
    pub(super) act: Act,
}

impl Rule {
    /// For requests of one operation.
    pub fn on(operation: Operation) -> Self {
        let mut rule = Self::default();
        rule.fits.operation = Some(operation);
        rule
    }

    /// For every request.
    pub fn on_any() -> Self {
        Self::default()
    }

    /// Only in this bucket.
    pub fn bucket(mut self, bucket: &str) -> Self {
        self.fits.bucket = Some(bucket.to_owned());
        self
    }

    /// Only for this key.
    pub fn key(mut self, key: &str) -> Self {
        self.fits.key = Some(key.to_owned());
        self
    }

    /// Only for keys that begin so.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.fits.key_prefix = Some(prefix.to_owned());
        self
    }

    /// Only for this part number.
    pub fn part(mut self, number: u32) -> Self {
        self.fits.part = Some(number);
        self
    }

    /// Only with, or only without, a `versionId`.
    pub fn version_id(mut self, present: bool) -> Self {
        self.fits.version_id = Some(present);
        self
    }

    /// Only with, or only without, a `Range`.
    pub fn range(mut self, present: bool) -> Self {
        self.fits.range = Some(present);
        self
    }

    /// Only for a range that begins at this byte.
    pub fn offset(mut self, first_byte: u64) -> Self {
        self.fits.offset = Some(first_byte);
        self
    }

    /// Only on a connection that has, or has not, answered a request before.
    pub fn reused(mut self, reused: bool) -> Self {
        self.fits.reused = Some(reused);
        self
    }

    /// Only the `n`th, from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.fits.nth = Some(n);
        self
    }

    /// Only the first `n`.
    pub fn first(mut self, n: u64) -> Self {
        self.fits.first = Some(n);
        self
    }

    /// [`nth`](Self::nth) and [`first`](Self::first) count all requests that
    /// fit together, in the order of their arrival.
    pub fn of_all(mut self) -> Self {
        self.fits.count = Count::All;
        self
    }

    /// With this probability, drawn from the script's seed and what the request is.
    pub fn probability(mut self, probability: f64) -> Self {
        self.fits.probability = Some(probability);
        self
    }

    /// Waits before the request is looked at.
    pub fn delay(mut self, time: Duration) -> Self {
        self.act.delay_ms = Some(millis(time));
        self
    }

    /// Answers so, in place of the store.
    pub fn answer(mut self, answer: Answer) -> Self {
        self.act.answer = Some(answer);
        self
    }

    /// Whether the request has its effect. By default not, if it is answered
    /// or cut in place of the store, else yes.
    pub fn apply(mut self, apply: Apply) -> Self {
        self.act.apply = Some(apply);
        self
    }

    /// Applies the request once more, this long after it was read.
    pub fn duplicate(mut self, after: Duration) -> Self {
        self.act.duplicate_ms = Some(millis(after));
        self
    }

    /// What else happens in the storage just before.
    pub fn event(mut self, event: Event) -> Self {
        self.act.event = Some(event);
        self
    }

    /// Cuts the connection.
    pub fn cut(mut self, at: Point, by: By) -> Self {
        self.act.cut = Some(Cut { at, by });
        self
    }

    /// Moves no byte for this long; `None` is for ever.
    pub fn stall(mut self, at: Point, time: Option<Duration>) -> Self {
        let for_ms = time.map(millis);
        self.act.stall = Some(Stall { at, for_ms });
        self
    }

    /// Sends the answer at this many bytes a second.
    pub fn drip(mut self, bytes_per_second: u64) -> Self {
        self.act.drip = Some(bytes_per_second);
        self
    }

    /// Reads the request's body at this many bytes a second.
    pub fn read_slowly(mut self, bytes_per_second: u64) -> Self {
        self.request().drip = Some(bytes_per_second);
        self
    }

    /// Flips a bit (0 to 7) of a byte (from 0) of the request's body before
    /// anyone looks at it.
    pub fn flip_request(mut self, at: u64, bit: u8) -> Self {
        self.request().flip = Some(Flip { at, bit });
        self
    }

    /// Answers the whole object with 200, whatever range was asked for.
    pub fn ignore_range(mut self) -> Self {
        self.act.ignore_range = true;
        self
    }

    /// Sets a header of the answer.
    pub fn set_header(mut self, name: &str, value: &str) -> Self {
        let headers = self.act.headers.get_or_insert_default();
        headers.set.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Drops a header of the answer.
    pub fn drop_header(mut self, name: &str) -> Self {
        let headers: &mut Headers = self.act.headers.get_or_insert_default();
        headers.drop.push(name.to_owned());
        self
    }

    /// Flips a bit (0 to 7) of a byte (from 0) of the answer's body.
    pub fn flip(mut self, at: u64, bit: u8) -> Self {
        self.body().flip = Some(Flip { at, bit });
        self
    }

    /// Inverts every byte of the answer's body.
    pub fn scramble(mut self) -> Self {
        self.body().scramble = true;
        self
    }

    /// Answers only the first so many bytes of the body.
    pub fn truncate(mut self, bytes: u64) -> Self {
        self.body().truncate = Some(bytes);
        self
    }

    /// Answers so many bytes more than there are.
    pub fn extend(mut self, bytes: u64) -> Self {
        self.body().extend = Some(bytes);
        self
    }

    /// Answers this body with the store's own status and headers.
    pub fn replace(mut self, body: &str) -> Self {
        self.body().replace = Some(body.to_owned());
        self
    }

    /// Leaves `Content-Length` what it was before the body was changed: the
    /// connection ends early, or goes on after the end.
    pub fn keep_length(mut self) -> Self {
        self.body().keep_length = true;
        self
    }

    fn request(&mut self) -> &mut RequestBody {
        self.act.request.get_or_insert_default()
    }

    fn body(&mut self) -> &mut Body {
        self.act.body.get_or_insert_default()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.fits.check()?;
        self.act.check()
    }
}
