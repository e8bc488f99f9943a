//! What can be told of options without asking S3.

use towline_core::{
    Access, Direction, KeyReference, ObjectOptions, ReadCondition, TransferOptions,
    WhenSourceChanges,
};

use crate::{SubmitError, request_headers};

/// The canned ACLs that objects can have.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];
/// S3's limit on tags, on the characters of their keys, and of their values.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const TAGS: (usize, usize, usize) = (10, 128, 256);
/// S3's limit on the bytes of own metadata, names and values together.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const METADATA: usize = 2048;

/// Checks options, and puts headers that an option stands for into that option.
pub(crate) fn settle(
    options: &mut TransferOptions,
    direction: Direction,
    lacks_key: impl Fn(&KeyReference) -> Option<String>,
) -> Result<(), SubmitError> {
    request_headers::settle(options, direction)?;
    object(&options.object, &options.access)?;
    access(&options.access)?;
    if let Some(why) = options.access.customer_key.as_ref().and_then(lacks_key) {
        return Err(bad("customer key", why));
    }
    if direction == Direction::Copy {
        copy(options)?;
    }
    if options.root_depth.is_some() && direction.makes_object() {
        return Err(bad("root depth", "only a download goes below a directory"));
    }
    if let Some(towline_core::ByteRange::Within(start, end)) = options.range
        && start >= end
    {
        return Err(bad("range", format!("it ends at {end}, before it begins")));
    }
    Ok(())
}

/// What a copy cannot be asked for.
fn copy(options: &TransferOptions) -> Result<(), SubmitError> {
    if options.access.customer_key.is_some() {
        let why = "objects that are encrypted with a key of one's own cannot be copied yet";
        return Err(bad("customer key", why));
    }
    if options.when_source_changes == WhenSourceChanges::AllowGrowth {
        return Err(bad("on-change", "an object does not grow, it is replaced"));
    }
    if options.range.is_some() {
        return Err(bad("range", "an object is copied whole"));
    }
    if options.condition != ReadCondition::default() {
        return Err(bad("condition", "only a download has one"));
    }
    Ok(())
}

fn object(object: &ObjectOptions, access: &Access) -> Result<(), SubmitError> {
    if let Some(acl) = &object.acl {
        if !ACLS.contains(&acl.as_str()) {
            let why = format!("{acl:?} is none; S3 has {}", ACLS.join(", "));
            return Err(bad("ACL", why));
        }
        if !object.grants.is_empty() {
            return Err(bad("ACL", "S3 takes a canned ACL or grants, not both"));
        }
    }
    tags(object)?;
    metadata(object)?;
    for (option, value) in [
        ("content type", &object.content_type),
        ("content encoding", &object.content_encoding),
        ("content disposition", &object.content_disposition),
        ("content language", &object.content_language),
        ("cache control", &object.cache_control),
        ("storage class", &object.storage_class),
        ("website redirect", &object.website_redirect),
    ] {
        if value.as_ref().is_some_and(|value| !is_printable(value)) {
            return Err(bad(option, "a header carries printable ASCII only"));
        }
    }
    if let Some(to) = &object.website_redirect
        && !["/", "http://", "https://"]
            .iter()
            .any(|start| to.starts_with(start))
    {
        let why = "it begins with '/', 'http://' or 'https://'";
        return Err(bad("website redirect", why));
    }
    if object.encryption.is_some() && access.customer_key.is_some() {
        let why = "an object has one: S3's, a KMS key, or a key of one's own";
        return Err(bad("encryption", why));
    }
    let quoted = |grant: &towline_core::Grant| {
        let text = grant.grantee.to_string();
        !is_printable(&text) || text.matches('"').count() != 2
    };
    match object.grants.iter().any(quoted) {
        true => Err(bad("grant", "a grantee has printable ASCII and no quotes")),
        false => Ok(()),
    }
}

fn tags(object: &ObjectOptions) -> Result<(), SubmitError> {
    let (most, key_len, value_len) = TAGS;
    if object.tags.len() > most {
        let why = format!("there are {}, S3 takes {most}", object.tags.len());
        return Err(bad("tags", why));
    }
    for (key, value) in &object.tags {
        if key.is_empty() || key.chars().count() > key_len || value.chars().count() > value_len {
            let why = format!(
                "{key:?}: a key has 1 to {key_len} characters, a value at most {value_len}"
            );
            return Err(bad("tags", why));
        }
        let allowed = |c: char| c.is_alphanumeric() || " +-=._:/@".contains(c);
        if !key.chars().chain(value.chars()).all(allowed) {
            let why = format!("{key:?}: S3 takes letters, digits, spaces and + - = . _ : / @");
            return Err(bad("tags", why));
        }
    }
    Ok(())
}

fn metadata(object: &ObjectOptions) -> Result<(), SubmitError> {
    let mut bytes = 0;
    for (name, value) in &object.metadata {
        if name.is_empty() || !name.bytes().all(request_headers::is_token) {
            let why = format!("{name:?} cannot be part of a header's name");
            return Err(bad("metadata", why));
        }
        if !is_printable(value) {
            let why = format!("{name}: a header carries printable ASCII only; encode it");
            return Err(bad("metadata", why));
        }
        bytes += name.len() + value.len();
    }
    match bytes > METADATA {
        true => {
            let why = format!("it has {bytes} bytes, S3 takes {METADATA}");
            Err(bad("metadata", why))
        }
        false => Ok(()),
    }
}

fn access(access: &Access) -> Result<(), SubmitError> {
    match &access.expected_bucket_owner {
        Some(owner) if owner.len() != 12 || !owner.bytes().all(|b| b.is_ascii_digit()) => {
            let why = format!("{owner:?} is not the 12 digits of an account");
            Err(bad("expected bucket owner", why))
        }
        _ => Ok(()),
    }
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

pub(crate) fn bad(option: impl Into<String>, why: impl Into<String>) -> SubmitError {
    SubmitError::BadOption {
        option: option.into(),
        why: why.into(),
    }
}
