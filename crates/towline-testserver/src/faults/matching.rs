//! Which requests a rule is for: what fits it, what is counted, what is drawn.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use crate::operation::{Operation, Target};

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
    /// What contradicts itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.nth == Some(0) {
            return Err("`nth` counts from 1".to_owned());
        }
        if self.nth.is_some() && self.first.is_some() {
            return Err("`nth` and `first` exclude each other".to_owned());
        }
        if self.key.is_some() && self.key_prefix.is_some() {
            return Err("`key` and `key_prefix` exclude each other".to_owned());
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("`probability` is from 0 to 1".to_owned());
        }
        Ok(())
    }

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
