//! What is said of a bucket.

use serde_json::{Value, json};
use towline_core::{ChecksumAlgorithm, Connection, Operation, Verified};
use towline_engine::{Checks, Fact, Heeds, Profile};

use super::Doctor;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It works.
    Ok,
    /// It works, and costs something.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be tried.
    Skipped,
}

impl CheckResult {
    /// `ok`, `warning`, `failed`, `skipped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// `name`, `connection`, `tls`, `clock`, `region`, `credentials`, `bucket`,
    /// S3's name of an operation, `lifecycle`, or, where it went wrong,
    /// `content`, `condition`, `parts`, `abort`, `clean-up`.
    pub name: String,
    /// How it went.
    pub result: CheckResult,
    /// In words; may be empty. What S3 said is in it, unescaped.
    pub detail: String,
    /// S3's code, where it refused.
    pub code: Option<String>,
}

impl Check {
    pub(super) fn is(&self, operation: Operation) -> bool {
        self.name == operation.to_string()
    }
}

/// What works with a bucket, and what cannot be promised there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The bucket.
    pub bucket: String,
    /// Only keys that start with this were looked at.
    pub prefix: String,
    /// How it was reached.
    pub connection: Connection,
    /// Nothing was written.
    pub read_only: bool,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What the store can do, as far as it was seen.
    pub profile: Profile,
    /// By what transfers there are verified; `None` where it was not seen.
    pub verified: Option<Verified>,
    /// What Towline promises elsewhere and cannot promise here, in words.
    pub not_promised: Vec<String>,
}

impl Diagnosis {
    /// Whether everything that could be tried works.
    pub fn is_well(&self) -> bool {
        let failed = |check: &Check| check.result == CheckResult::Failed;
        !self.checks.iter().any(failed)
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let profile = &self.profile;
        let check = |check: &Check| {
            json!({
                "name": check.name,
                "result": check.result.as_str(),
                "detail": check.detail,
                "code": check.code,
            })
        };
        let checksum = |algorithm: ChecksumAlgorithm| match profile.checks(algorithm) {
            None => Value::Null,
            Some(Checks::Shown) => "shown".into(),
            Some(Checks::Silent) => "silent".into(),
            Some(Checks::Refused) => "refused".into(),
        };
        let condition = |heeds: Option<Heeds>| match heeds {
            None => Value::Null,
            Some(Heeds::Yes) => "kept".into(),
            Some(Heeds::Ignores) => "ignored".into(),
            Some(Heeds::Refuses) => "refused".into(),
        };
        let denied: Vec<String> = profile.denied().iter().map(ToString::to_string).collect();
        json!({
            "bucket": self.bucket,
            "prefix": self.prefix,
            "endpoint": self.connection.endpoint,
            "region": self.connection.region,
            "read_only": self.read_only,
            "well": self.is_well(),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
            "profile": {
                "crc64nvme": checksum(ChecksumAlgorithm::Crc64Nvme),
                "crc32c": checksum(ChecksumAlgorithm::Crc32c),
                "ranges": profile.ranges(),
                "if_match": condition(profile.read_conditions()),
                "if_none_match": condition(profile.write_conditions()),
                "pages_of_parts": profile.pages_of_parts(),
                "denied": denied,
            },
            "verified": self.verified.map(Verified::as_str),
            "not_promised": self.not_promised,
        })
    }
}

impl Doctor {
    pub(super) fn diagnosis(self) -> Diagnosis {
        Diagnosis {
            not_promised: self.not_promised(),
            // The weakest: transfers go in one PUT or in parts.
            verified: self.verified.iter().min().copied(),
            bucket: self.bucket,
            prefix: self.prefix,
            connection: self.connection,
            read_only: self.read_only,
            checks: self.checks,
            profile: self.profile,
        }
    }

    fn not_promised(&self) -> Vec<String> {
        let profile = &self.profile;
        let older = ChecksumAlgorithm::Crc32c;
        let algorithms = [ChecksumAlgorithm::Crc64Nvme, older];
        let checksums = algorithms
            .into_iter()
            .filter_map(|algorithm| Some(Fact::Checksum(algorithm, profile.checks(algorithm)?)));
        let conditions = [
            profile.ranges().map(Fact::Ranges),
            profile.read_conditions().map(Fact::ReadCondition),
            profile.write_conditions().map(Fact::WriteCondition),
            profile.pages_of_parts().map(Fact::PagesOfParts),
        ];
        let denied = profile.denied().iter();
        let facts = checksums
            .chain(conditions.into_iter().flatten())
            .chain(denied.map(|operation| Fact::Right(*operation, false)));
        let mut words: Vec<String> = facts.filter_map(Fact::lack).collect();
        if profile.checks(ChecksumAlgorithm::Crc64Nvme) == Some(Checks::Silent)
            && profile.checks(older) == Some(Checks::Shown)
        {
            words.push("a CRC-32C is shown: choose that checksum for a stronger proof".into());
        }
        match self.verified.iter().min() {
            Some(Verified::SizeOnly) => {
                words.push(
                    "verified will be size-only: objects show nothing to compare with".into(),
                );
            }
            Some(weaker) if *weaker < Verified::FullObject => {
                words.push(format!("verified will be {}", weaker.as_str()));
            }
            _ => {}
        }
        words
    }
}
