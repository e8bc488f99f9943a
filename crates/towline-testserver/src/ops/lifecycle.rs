//! Lifecycle rules of a bucket: kept and told. Nothing is aborted or expired by them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::storage::{Storage, unique_id};

const MOST_RULES: usize = 1000;
const DAY: u64 = 24 * 60 * 60;

pub(crate) async fn get(
    storage: &Storage,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let configuration = storage.bucket(&request.input.bucket)?.lifecycle;
    let configuration = configuration.ok_or_else(|| {
        s3_error!(
            NoSuchLifecycleConfiguration,
            "The lifecycle configuration does not exist"
        )
    })?;
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(configuration.rules),
        ..Default::default()
    }))
}

pub(crate) async fn put(
    storage: &Storage,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let input = request.input;
    let configuration = input.lifecycle_configuration;
    let mut configuration = configuration.ok_or_else(malformed)?;
    check(&configuration.rules)?;
    for rule in &mut configuration.rules {
        rule.id.get_or_insert_with(unique_id);
    }
    storage.change_bucket(&input.bucket, |bucket| {
        bucket.lifecycle = Some(configuration);
    })?;
    Ok(S3Response::new(
        PutBucketLifecycleConfigurationOutput::default(),
    ))
}

pub(crate) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    storage.change_bucket(&request.input.bucket, |bucket| bucket.lifecycle = None)?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
}

fn check(rules: &[LifecycleRule]) -> S3Result<()> {
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(malformed());
    }
    let mut ids = HashSet::new();
    for rule in rules {
        // Exactly one of them says which objects are meant.
        if rule.filter.is_some() == rule.prefix.is_some()
            || !matches!(rule.status.as_str(), "Enabled" | "Disabled")
        {
            return Err(malformed());
        }
        if !rule.id.as_ref().is_none_or(|id| ids.insert(id)) {
            return Err(s3_error!(
                InvalidArgument,
                "Rule ID must be unique. Found same ID for more than one rule"
            ));
        }
        check_actions(rule)?;
    }
    Ok(())
}

fn check_actions(rule: &LifecycleRule) -> S3Result<()> {
    let abort = rule.abort_incomplete_multipart_upload.as_ref();
    let transitions = rule.transitions.iter().flatten().count()
        + rule.noncurrent_version_transitions.iter().flatten().count();
    let others = rule.expiration.is_some() || rule.noncurrent_version_expiration.is_some();
    if abort.is_none() && transitions == 0 && !others {
        return Err(s3_error!(
            InvalidRequest,
            "At least one action needs to be specified in a rule"
        ));
    }
    if let Some(abort) = abort {
        if abort.days_after_initiation.is_none_or(|days| days < 1) {
            return Err(s3_error!(
                InvalidArgument,
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"
            ));
        }
        let filter = rule.filter.as_ref();
        let tagged = filter.is_some_and(|filter| {
            let and = filter.and.as_ref();
            filter.tag.is_some() || and.is_some_and(|and| and.tags.is_some())
        });
        if tagged {
            return Err(s3_error!(
                InvalidRequest,
                "AbortIncompleteMultipartUpload cannot be specified with Tags"
            ));
        }
    }
    let days = rule
        .expiration
        .as_ref()
        .and_then(|expiration| expiration.days);
    if days.is_some_and(|days| days < 1) {
        return Err(s3_error!(
            InvalidArgument,
            "'Days' for Expiration action must be a positive integer"
        ));
    }
    Ok(())
}

fn malformed() -> S3Error {
    s3_error!(
        MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
}

/// When and by which rule an upload of this key will be aborted: the first
/// midnight after its days, as Create and ListParts tell.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html>
pub(crate) fn abort_of(
    storage: &Storage,
    bucket: &str,
    key: &str,
    initiated: SystemTime,
) -> Option<(Timestamp, String)> {
    let rules = storage.bucket(bucket).ok()?.lifecycle?.rules;
    let matching = rules
        .iter()
        .filter(|rule| rule.status.as_str() == "Enabled" && key.starts_with(prefix(rule)));
    let (days, id) = matching
        .filter_map(|rule| {
            let abort = rule.abort_incomplete_multipart_upload.as_ref()?;
            let days = u64::try_from(abort.days_after_initiation?).ok()?;
            Some((days, rule.id.clone()?))
        })
        .min()?;
    let initiated = initiated.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let midnight = (initiated / DAY + 1 + days) * DAY;
    let at = UNIX_EPOCH + Duration::from_secs(midnight);
    Some((Timestamp::from(at), id))
}

fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let of_filter = filter.and_then(|filter| {
        let and = filter.and.as_ref().and_then(|and| and.prefix.as_deref());
        filter.prefix.as_deref().or(and)
    });
    rule.prefix.as_deref().or(of_filter).unwrap_or_default()
}
