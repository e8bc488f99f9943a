//! Conditional requests: `If-Match` and its relatives, for reads and writes.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::storage::{Version, WriteCondition};

/// The conditions of a read.
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In the order of RFC 9110, section 13.2.2.
    pub(crate) fn check(&self, version: &Version, etag: &str) -> S3Result<()> {
        let modified = version.modified.timestamp();
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !names(condition, etag) => return Err(precondition_failed()),
            (None, Some(since)) if modified > *since => return Err(precondition_failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if names(condition, etag) => Err(not_modified(version, etag)),
            (None, Some(since)) if modified <= *since => Err(not_modified(version, etag)),
            _ => Ok(()),
        }
    }
}

/// The condition of a PUT or Complete.
pub(crate) fn of_write(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<WriteCondition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(WriteCondition::None),
        (None, Some(ETagCondition::Any)) => Ok(WriteCondition::Absent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(WriteCondition::Etag(etag.into_value())),
        _ => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
    }
}

fn names(condition: &ETagCondition, etag: &str) -> bool {
    condition
        .as_etag()
        .is_none_or(|named| named.value() == etag)
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// 304 tells the ETag and the time, as any answer with the object would.
fn not_modified(version: &Version, etag: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(super::fields::validators(version, etag));
    error
}
