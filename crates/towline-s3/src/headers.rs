//! S3's headers: what requests carry, and what answers say in them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use towline_core::{
    Access, Checksum, ChecksumAlgorithm, ChecksumKind, CopySource, Encryption, Extra, ObjectHead,
    ObjectOptions, Permission, ReadCondition, Timestamp, Trailer, WriteCondition,
};

use crate::uri::{encode, push_key};

/// `Retry-After` above this is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The most an answer's headers may take together.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Headers that come once.
const SINGLE: [&str; 6] = [
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "x-amz-version-id",
];

/// A value that cannot be sent in a header.
#[derive(Debug, thiserror::Error)]
#[error("{name} has characters that a header cannot carry (printable ASCII only)")]
pub(crate) struct BadHeader {
    name: String,
}

/// Sets a header; values are printable ASCII, as signatures need them.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), BadHeader> {
    let bad = || BadHeader {
        name: name.to_owned(),
    };
    let printable = value
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) || b == b'\t');
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    if !printable {
        return Err(bad());
    }
    let value = HeaderValue::from_str(value).map_err(|_| bad())?;
    headers.insert(key, value);
    Ok(())
}

/// Sets a header where there is a value.
pub(crate) fn set_some(
    headers: &mut HeaderMap,
    name: &str,
    value: Option<&str>,
) -> Result<(), BadHeader> {
    value.map_or(Ok(()), |value| set(headers, name, value))
}

/// What the object is to carry besides its bytes.
pub(crate) fn set_options(
    headers: &mut HeaderMap,
    options: &ObjectOptions,
) -> Result<(), BadHeader> {
    for (name, value) in [
        ("content-type", &options.content_type),
        ("content-encoding", &options.content_encoding),
        ("content-disposition", &options.content_disposition),
        ("content-language", &options.content_language),
        ("cache-control", &options.cache_control),
        ("x-amz-acl", &options.acl),
        ("x-amz-storage-class", &options.storage_class),
        ("x-amz-website-redirect-location", &options.website_redirect),
    ] {
        set_some(headers, name, value.as_deref())?;
    }
    if let Some(expires) = options.expires {
        set(headers, "expires", &http_text(expires))?;
    }
    set_grants(headers, options)?;
    set_encryption(headers, options.encryption.as_ref())?;
    for (name, value) in &options.metadata {
        set(headers, &format!("x-amz-meta-{name}"), value)?;
    }
    if !options.tags.is_empty() {
        let tags: Vec<_> = options
            .tags
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        set(headers, "x-amz-tagging", &tags.join("&"))?;
    }
    Ok(())
}

/// Grants of one permission go into one header.
fn set_grants(headers: &mut HeaderMap, options: &ObjectOptions) -> Result<(), BadHeader> {
    for permission in [
        Permission::FullControl,
        Permission::Read,
        Permission::ReadAcp,
        Permission::WriteAcp,
    ] {
        let its = options
            .grants
            .iter()
            .filter(|grant| grant.permission == permission);
        let grantees: Vec<String> = its.map(|grant| grant.grantee.to_string()).collect();
        if !grantees.is_empty() {
            set(headers, permission.header(), &grantees.join(", "))?;
        }
    }
    Ok(())
}

fn set_encryption(
    headers: &mut HeaderMap,
    encryption: Option<&Encryption>,
) -> Result<(), BadHeader> {
    const HOW: &str = "x-amz-server-side-encryption";
    match encryption {
        None => Ok(()),
        Some(Encryption::S3) => set(headers, HOW, "AES256"),
        Some(Encryption::Kms {
            key_id,
            context,
            bucket_key,
        }) => {
            set(headers, HOW, "aws:kms")?;
            let name = format!("{HOW}-aws-kms-key-id");
            set_some(headers, &name, key_id.as_deref())?;
            if !context.is_empty() {
                let json = serde_json::to_vec(context).expect("strings are JSON");
                let name = format!("{HOW}-context");
                set(headers, &name, &BASE64_STANDARD.encode(json))?;
            }
            let bucket_key = bucket_key.map(|yes| yes.to_string());
            let name = format!("{HOW}-bucket-key-enabled");
            set_some(headers, &name, bucket_key.as_deref())
        }
    }
}

/// What every request for an object carries; keys of one's own aside.
pub(crate) fn set_access(headers: &mut HeaderMap, access: &Access) -> Result<(), BadHeader> {
    if access.requester_pays {
        set(headers, "x-amz-request-payer", "requester")?;
    }
    let owner = access.expected_bucket_owner.as_deref();
    set_some(headers, "x-amz-expected-bucket-owner", owner)
}

/// Headers that nothing else stands for.
pub(crate) fn set_extra(headers: &mut HeaderMap, extra: &Extra) -> Result<(), BadHeader> {
    let mut all = extra.headers.iter();
    all.try_for_each(|(name, value)| set(headers, name, value))
}

/// A condition on a read.
pub(crate) fn set_read_condition(
    headers: &mut HeaderMap,
    condition: &ReadCondition,
) -> Result<(), BadHeader> {
    set_some(headers, "if-match", condition.if_match.as_deref())?;
    set_some(headers, "if-none-match", condition.if_none_match.as_deref())?;
    for (name, at) in [
        ("if-modified-since", condition.if_modified_since),
        ("if-unmodified-since", condition.if_unmodified_since),
    ] {
        set_some(headers, name, at.map(http_text).as_deref())?;
    }
    Ok(())
}

/// What is copied, and in which state: the bucket and the key as in a path, or the
/// ARN of an access point.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html#API_CopyObject_RequestSyntax>
pub(crate) fn set_copy_source(
    headers: &mut HeaderMap,
    source: &CopySource,
) -> Result<(), BadHeader> {
    let mut from = source.bucket.clone();
    from.push_str(if from.starts_with("arn:") {
        "/object/"
    } else {
        "/"
    });
    push_key(&mut from, &source.key);
    if let Some(version) = &source.version_id {
        from.push_str("?versionId=");
        from.push_str(&encode(version));
    }
    set(headers, "x-amz-copy-source", &from)?;
    let if_match = source.if_match.as_deref();
    set_some(headers, "x-amz-copy-source-if-match", if_match)
}

/// A condition on a write.
pub(crate) fn set_condition(
    headers: &mut HeaderMap,
    condition: Option<&WriteCondition>,
) -> Result<(), BadHeader> {
    match condition {
        Some(WriteCondition::Absent) => set(headers, "if-none-match", "*"),
        Some(WriteCondition::ETag(etag)) => set(headers, "if-match", etag),
        None => Ok(()),
    }
}

/// `x-amz-checksum-…`, or `Content-MD5`.
pub(crate) fn set_checksum(headers: &mut HeaderMap, checksum: Option<&Checksum>) {
    if let Some(checksum) = checksum {
        let value = HeaderValue::from_str(&checksum_text(checksum)).expect("base64 is ASCII");
        headers.insert(
            HeaderName::from_static(checksum.algorithm().header()),
            value,
        );
    }
}

/// Says which checksum follows the body.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
pub(crate) fn set_trailer(headers: &mut HeaderMap, trailer: &Trailer) {
    let name = HeaderValue::from_static(trailer.algorithm().header());
    headers.insert("x-amz-trailer", name);
}

pub(crate) fn checksum_text(checksum: &Checksum) -> String {
    BASE64_STANDARD.encode(checksum.as_bytes())
}

/// `FULL_OBJECT` or `COMPOSITE`.
pub(crate) fn kind_text(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::FullObject => "FULL_OBJECT",
        ChecksumKind::Composite => "COMPOSITE",
    }
}

/// Reads `value` or `value-N`; the latter is a checksum of checksums.
pub(crate) fn parse_checksum(
    algorithm: ChecksumAlgorithm,
    text: &str,
    kind: Option<&str>,
) -> Option<(Checksum, ChecksumKind)> {
    let (value, composite) = match text.trim().split_once('-') {
        Some((value, parts)) if parts.bytes().all(|b| b.is_ascii_digit()) => (value, true),
        Some(_) => return None,
        None => (text.trim(), kind == Some("COMPOSITE")),
    };
    let checksum = Checksum::new(algorithm, &BASE64_STANDARD.decode(value).ok()?).ok()?;
    let kind = match composite {
        true => ChecksumKind::Composite,
        false => ChecksumKind::FullObject,
    };
    Some((checksum, kind))
}

/// The algorithm of a name in headers and XML, if it is one of ours.
pub(crate) fn algorithm_named(name: &str) -> Option<ChecksumAlgorithm> {
    let named = |algorithm: &ChecksumAlgorithm| algorithm.s3_name() == Some(name);
    ChecksumAlgorithm::ALL.into_iter().find(named)
}

/// The checksums an answer names.
pub(crate) fn checksums(headers: &HeaderMap) -> Vec<(Checksum, ChecksumKind)> {
    let kind = text(headers, "x-amz-checksum-type");
    ChecksumAlgorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.s3_name().is_some())
        .filter_map(|algorithm| parse_checksum(algorithm, text(headers, algorithm.header())?, kind))
        .collect()
}

/// A header's value, if it is there, is text and is not empty.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then_some(value)
}

pub(crate) fn owned(headers: &HeaderMap, name: &str) -> Option<String> {
    text(headers, name).map(str::to_owned)
}

/// An ETag that says something: Ceph answers Complete with `""`.
pub(crate) fn etag(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.trim_matches('"').is_empty()).then(|| text.to_owned())
}

/// A number that is there and well-formed.
pub(crate) fn number<N: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<N> {
    let text = text(headers, name)?;
    // `parse` takes a sign, the protocol has none.
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// `Content-Range: bytes a-b/total` as a half-open range and the total.
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(std::ops::Range<u64>, Option<u64>)> {
    let (range, total) = text(headers, "content-range")?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let digits = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (first, last) = (digits(first)?, digits(last)?);
    let end = last.checked_add(1)?;
    let total = match total {
        "*" => None,
        total => Some(digits(total)?),
    };
    let fits = first < end && total.is_none_or(|total| end <= total);
    fits.then_some((first..end, total))
}

/// What an answer to HEAD or GET says of the object; its size aside.
pub(crate) fn object_head(headers: &HeaderMap, size: Option<u64>) -> ObjectHead {
    let metadata = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("x-amz-meta-")?;
        let value = String::from_utf8_lossy(value.as_bytes());
        Some((name.to_owned(), value.into_owned()))
    });
    ObjectHead {
        told_at: text(headers, "date").and_then(http_date),
        etag: text(headers, "etag").and_then(etag),
        size,
        version_id: version(headers),
        last_modified: text(headers, "last-modified").and_then(http_date),
        checksums: checksums(headers),
        parts: number(headers, "x-amz-mp-parts-count"),
        range: None,
        content_type: owned(headers, "content-type"),
        content_encoding: owned(headers, "content-encoding"),
        content_disposition: owned(headers, "content-disposition"),
        content_language: owned(headers, "content-language"),
        cache_control: owned(headers, "cache-control"),
        expires: text(headers, "expires").and_then(http_date),
        metadata: metadata.collect(),
        tag_count: number(headers, "x-amz-tagging-count"),
        storage_class: owned(headers, "x-amz-storage-class"),
        redirect: owned(headers, "x-amz-website-redirect-location"),
        encryption: owned(headers, "x-amz-server-side-encryption"),
        kms_key: owned(headers, "x-amz-server-side-encryption-aws-kms-key-id"),
        customer_key: headers.contains_key("x-amz-server-side-encryption-customer-algorithm"),
    }
}

/// The version, where the bucket keeps versions.
pub(crate) fn version(headers: &HeaderMap) -> Option<String> {
    owned(headers, "x-amz-version-id").filter(|version| version != "null")
}

/// A moment as HTTP writes it, in whole seconds.
pub(crate) fn http_text(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(millis))
}

/// A date as HTTP writes it.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    timestamp(httpdate::parse_http_date(text).ok()?)
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(
        i64::try_from(since.as_millis()).ok()?,
    ))
}

/// A date as S3's XML writes it: `2013-05-24T00:00:00.000Z`.
pub(crate) fn iso_date(text: &str) -> Option<Timestamp> {
    let text = text.trim().strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, millis(fraction)?),
        None => (time, 0),
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    // Days since 1970 by counting years from March.
    let (y, m) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000 + millis))
}

fn millis(fraction: &str) -> Option<i64> {
    let digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let text = format!("{fraction:0<3}");
    digits.then(|| text[..3].parse().ok())?
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let all = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(all)
}

/// How long S3 asks us to wait, never more than five minutes: AWS's own header
/// in milliseconds, else HTTP's, which has seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(millis) = number(headers, "x-amz-retry-after") {
        return Some(Duration::from_millis(millis).min(MAX_RETRY_AFTER));
    }
    let text = text(headers, "retry-after")?;
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let from = headers
            .get("date")
            .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
            .unwrap_or_else(SystemTime::now);
        until.duration_since(from).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A header that says two things of one. What says of an object what it is must
/// not depend on which of them is read.
pub(crate) fn contradiction(headers: &HeaderMap) -> Option<&HeaderName> {
    if headers.len() == headers.keys_len() {
        return None; // each name once
    }
    let is_single = |name: &&HeaderName| {
        let name = name.as_str();
        SINGLE.contains(&name) || name.starts_with("x-amz-checksum-")
    };
    headers.keys().filter(is_single).find(|name| {
        let mut values = headers.get_all(*name).iter();
        let first = values.next();
        values.any(|value| Some(value) != first)
    })
}

/// Whether the headers stay within our limit.
pub(crate) fn are_bounded(headers: &HeaderMap) -> bool {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    bytes <= MAX_HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn dates_of_xml_are_read_and_nonsense_is_not() {
        let at = |text| iso_date(text).map(Timestamp::as_millis);
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("2013-05-24T00:00:00.000Z"), Some(1_369_353_600_000));
        assert_eq!(at("2024-02-29T12:34:56.7Z"), Some(1_709_210_096_700));
        for text in [
            "",
            "2013-05-24",
            "2013-13-24T00:00:00Z",
            "-1-1-1T0:0:0Z",
            "x",
            "2013-05-24T00:00:00",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_content_range_that_does_not_add_up_is_none() {
        let read = |value| content_range(&headers(&[("content-range", value)]));
        assert_eq!(read("bytes 0-9/10"), Some((0..10, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5..10, None)));
        for value in [
            "bytes 0-10/10",
            "bytes 9-0/10",
            "bytes */10",
            "bytes=0-9/10",
            "bytes 0-9",
            "bytes -1-9/10",
            "bytes 0-18446744073709551615/*",
            "bytes +0-9/10",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_found_out() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(*name, HeaderValue::from_static(value));
            }
            contradiction(&map).map(ToString::to_string)
        };
        assert_eq!(of(&[("etag", "a"), ("etag", "b")]).as_deref(), Some("etag"));
        let sums = [("x-amz-checksum-crc32", "a"), ("x-amz-checksum-crc32", "b")];
        assert!(of(&sums).is_some());
        assert_eq!(of(&[("etag", "a"), ("etag", "a")]), None);
        assert_eq!(of(&[("x-amz-meta-a", "a"), ("x-amz-meta-a", "b")]), None);
        assert_eq!(of(&[("etag", "a"), ("content-range", "b")]), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_five_minutes() {
        let read = |value| {
            retry_after(&headers(&[
                ("retry-after", value),
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ]))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999999999999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(
            read("Fri, 24 May 2013 00:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Thu, 23 May 2013 00:00:30 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        let amz = |value| {
            retry_after(&headers(&[
                ("x-amz-retry-after", value),
                ("retry-after", "7"),
            ]))
        };
        assert_eq!(amz("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(amz("86400000"), Some(MAX_RETRY_AFTER));
        assert_eq!(amz("soon"), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_checksum_says_what_it_covers() {
        let read = |value, kind| parse_checksum(ChecksumAlgorithm::Crc32, value, kind).map(|c| c.1);
        assert_eq!(read("AAAAAA==", None), Some(ChecksumKind::FullObject));
        assert_eq!(read("AAAAAA==-3", None), Some(ChecksumKind::Composite));
        assert_eq!(
            read("AAAAAA==", Some("COMPOSITE")),
            Some(ChecksumKind::Composite)
        );
        assert_eq!(read("AAAAAA==-x", None), None);
        assert_eq!(read("AAAA", None), None);
    }

    #[test]
    fn metadata_that_a_header_cannot_carry_is_refused_by_name() {
        let mut map = HeaderMap::new();
        let mut options = ObjectOptions::default();
        options.metadata.insert("name".into(), "ünï".into());
        let error = set_options(&mut map, &options).unwrap_err();
        assert!(error.to_string().contains("x-amz-meta-name"));
    }
}
