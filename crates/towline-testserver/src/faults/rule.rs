//! One rule: which requests, and what is done to them.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::act::{
    Act, Answer, Apply, Body, By, Cut, Event, Flip, Headers, Point, RequestBody, Stall, millis,
};
use crate::operation::{Operation, Target};

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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fits {
    pub(super) operation: Option<Operation>,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_prefix: Option<String>,
    pub(super) part: Option<u32>,
    /// Whether it names a version.
    pub(super) version_id: Option<bool>,
    /// Whether it asks for a range.
    pub(super) range: Option<bool>,
    /// The first byte of the range it asks for.
    pub(super) offset: Option<u64>,
    /// Whether it is not the first on its connection.
    pub(super) reused: Option<bool>,
    pub(super) nth: Option<u64>,
    pub(super) first: Option<u64>,
    pub(super) count: Count,
    pub(super) probability: Option<f64>,
}

/// What `nth` and `first` count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Count {
    /// The requests of each operation, bucket, key, part and range apart.
    #[default]
    Each,
    /// All that fit, in the order of their arrival.
    All,
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
        let fits = &self.fits;
        if fits.nth == Some(0) {
            return Err("`nth` counts from 1".to_owned());
        }
        if fits.nth.is_some() && fits.first.is_some() {
            return Err("`nth` and `first` exclude each other".to_owned());
        }
        if fits.key.is_some() && fits.key_prefix.is_some() {
            return Err("`key` and `key_prefix` exclude each other".to_owned());
        }
        if fits.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("`probability` is from 0 to 1".to_owned());
        }
        self.act.check()
    }
}

/// What a request is, apart from when and where it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    operation: Operation,
    bucket: Option<String>,
    key: Option<String>,
    part: Option<u32>,
    range: Option<String>,
}

impl Identity {
    fn of(target: &Target) -> Self {
        Self {
            operation: target.operation,
            bucket: target.bucket.clone(),
            key: target.key.clone(),
            part: target.part_number,
            range: target.range.clone(),
        }
    }
}

/// A rule with what it has seen.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) rule: Rule,
    all: u64,
    each: HashMap<Identity, u64>,
}

impl Live {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            all: 0,
            each: HashMap::new(),
        }
    }

    /// Whether it is for this request; counts it if it could be. `place` is
    /// the rule's in its script.
    pub(super) fn takes(&mut self, seed: u64, place: usize, target: &Target, reused: bool) -> bool {
        let fits = &self.rule.fits;
        if !fits.may_fit(target, reused) {
            return false;
        }
        let identity = Identity::of(target);
        self.all += 1;
        let times = self.each.entry(identity.clone()).or_default();
        *times += 1;
        let times = *times;
        let n = match fits.count {
            Count::Each => times,
            Count::All => self.all,
        };
        fits.nth.is_none_or(|nth| n == nth)
            && fits.first.is_none_or(|first| n <= first)
            && fits
                .probability
                .is_none_or(|p| draw(seed, place, &identity, times) < p)
    }
}

impl Fits {
    fn may_fit(&self, target: &Target, reused: bool) -> bool {
        fn equal<T: PartialEq>(wanted: &Option<T>, is: &Option<T>) -> bool {
            wanted.is_none() || wanted == is
        }
        let prefix = self.key_prefix.as_deref();
        self.operation.is_none_or(|it| it == target.operation)
            && equal(&self.bucket, &target.bucket)
            && equal(&self.key, &target.key)
            && equal(&self.part, &target.part_number)
            && prefix.is_none_or(|prefix| {
                let key = target.key.as_deref();
                key.is_some_and(|key| key.starts_with(prefix))
            })
            && equal(&self.version_id, &Some(target.version_id.is_some()))
            && equal(&self.range, &Some(target.range.is_some()))
            && (self.offset.is_none() || self.offset == first_byte(target))
            && equal(&self.reused, &Some(reused))
    }
}

/// Where the range of a request begins.
fn first_byte(target: &Target) -> Option<u64> {
    let range = target.range.as_deref()?.strip_prefix("bytes=")?;
    range.split('-').next()?.parse().ok()
}

/// A number from 0 to 1 that the same seed, rule and request give again.
fn draw(seed: u64, place: usize, identity: &Identity, times: u64) -> f64 {
    let text = format!("{seed} {place} {times} {identity:?}");
    // FNV-1a, then the finish of SplitMix64, for it leaves the high bits poor.
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method, Uri};

    use super::*;

    fn part(number: u32) -> Target {
        let uri = format!("/b/key?partNumber={number}&uploadId=u");
        let uri: Uri = uri.parse().unwrap();
        Target::of(&Method::PUT, &uri, &HeaderMap::new())
    }

    #[test]
    fn a_range_is_told_by_its_first_byte() {
        let mut headers = HeaderMap::new();
        headers.insert("range", "bytes=100-199".parse().unwrap());
        let target = Target::of(&Method::GET, &Uri::from_static("/b/key"), &headers);
        let takes = |rule| Live::new(rule).takes(0, 0, &target, false);
        assert!(takes(Rule::on_any().offset(100).range(true)));
        assert!(!takes(Rule::on_any().offset(0)));
        assert!(!takes(Rule::on_any().range(false)));
    }

    fn taken(rule: Rule, seed: u64, parts: &[u32]) -> Vec<bool> {
        let mut live = Live::new(rule);
        let takes = |number: &u32| live.takes(seed, 0, &part(*number), false);
        parts.iter().map(takes).collect()
    }

    #[test]
    fn nth_counts_each_part_apart_unless_told_otherwise() {
        let second = Rule::on(Operation::UploadPart).nth(2);
        assert_eq!(
            taken(second.clone(), 0, &[1, 2, 1, 2]),
            [false, false, true, true]
        );
        assert_eq!(
            taken(second.of_all(), 0, &[1, 2, 1, 2]),
            [false, true, false, false]
        );
    }

    #[test]
    fn what_is_drawn_depends_on_the_request_and_not_on_the_order() {
        let rule = Rule::on(Operation::UploadPart).probability(0.5);
        let forwards: Vec<u32> = (1..=100).collect();
        let backwards: Vec<u32> = forwards.iter().rev().copied().collect();
        let mut one = taken(rule.clone(), 7, &forwards);
        let other = taken(rule.clone(), 7, &backwards);
        one.reverse();
        assert_eq!(one, other);
        let hits = one.iter().filter(|hit| **hit).count();
        assert!((30..=70).contains(&hits), "{hits} of 100");
        assert_ne!(taken(rule.clone(), 8, &backwards), other, "another seed");
        assert_eq!(
            taken(rule.clone().probability(0.0), 7, &forwards),
            [false; 100]
        );
        assert_eq!(taken(rule.probability(1.0), 7, &forwards), [true; 100]);
    }

    #[test]
    fn a_rule_is_only_for_what_fits_it() {
        let takes = |rule: Rule| taken(rule, 0, &[3]) == [true];
        assert!(takes(Rule::on_any()));
        assert!(takes(
            Rule::on(Operation::UploadPart)
                .bucket("b")
                .key("key")
                .part(3)
        ));
        assert!(takes(
            Rule::on_any()
                .key_prefix("ke")
                .range(false)
                .version_id(false)
                .reused(false)
        ));
        assert!(!takes(Rule::on(Operation::GetObject)));
        assert!(!takes(Rule::on_any().bucket("other")));
        assert!(!takes(Rule::on_any().key("ke")));
        assert!(!takes(Rule::on_any().key_prefix("x")));
        assert!(!takes(Rule::on_any().part(4)));
        assert!(!takes(Rule::on_any().range(true)));
        assert!(!takes(Rule::on_any().version_id(true)));
        assert!(!takes(Rule::on_any().reused(true)));
    }
}
