//! `ListObjectsV2`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::fields;
use super::get_object::{signed, signed_32};
use crate::storage::{Content, Storage, Version};

/// No page is longer, whatever is asked for.
const LONGEST_PAGE: usize = 1000;

/// Where a page begins: behind one key, or behind all keys of one prefix.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Key(String),
    Prefix(String),
}

pub(crate) async fn run(
    storage: &Storage,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => After::of_token(token)?,
        (None, start) => After::Key(start.clone().unwrap_or_default()),
    };
    let most = page_size(input.max_keys);

    let mut contents = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut last = None;
    let mut is_truncated = false;
    let start = after.text().max(prefix.as_str());
    storage.scan(&input.bucket, start, |version, content| {
        let Some(rest) = version.key.strip_prefix(&prefix) else {
            // Keys are in order: behind the prefix there is nothing more.
            return version.key < prefix;
        };
        if after.skips(&version.key) {
            return true;
        }
        let common = delimiter.as_ref().and_then(|delimiter| {
            let end = rest.find(delimiter.as_str())? + delimiter.len();
            Some(format!("{prefix}{}", &rest[..end]))
        });
        if common.is_some() && prefixes.last() == common.as_ref() {
            return true;
        }
        if contents.len() + prefixes.len() == most {
            is_truncated = true;
            return false;
        }
        match common {
            Some(common) => {
                last = Some(After::Prefix(common.clone()));
                prefixes.push(common);
            }
            None => {
                last = Some(After::Key(version.key.clone()));
                contents.push(listed(version, content, encoding));
            }
        }
        true
    })?;

    let common_prefixes = prefixes.iter().map(|prefix| CommonPrefix {
        prefix: Some(encoded(prefix, encoding)),
    });
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        key_count: Some(signed_32(contents.len() + prefixes.len())),
        max_keys: Some(signed_32(most)),
        is_truncated: Some(is_truncated),
        next_continuation_token: last.filter(|_| is_truncated).map(|last| last.token()),
        continuation_token: input.continuation_token,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes.collect()),
        delimiter: delimiter.map(|delimiter| encoded(&delimiter, encoding)),
        prefix: Some(encoded(&prefix, encoding)),
        start_after: input.start_after.map(|start| encoded(&start, encoding)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

fn listed(version: &Version, content: &Content, encoding: Option<&EncodingType>) -> Object {
    let class = content.headers.storage_class.clone();
    Object {
        checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(
            content.checksum.algorithm.name(),
        )]),
        checksum_type: Some(ChecksumType::from_static(content.checksum.kind.name())),
        e_tag: Some(fields::quoted(&content.etag)),
        key: Some(encoded(&version.key, encoding)),
        last_modified: Some(version.modified.timestamp()),
        size: Some(signed(content.size)),
        storage_class: Some(class.map_or(
            ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
            ObjectStorageClass::from,
        )),
        ..Default::default()
    }
}

impl After {
    fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Prefix(text) => text,
        }
    }

    fn skips(&self, key: &str) -> bool {
        match self {
            Self::Key(after) => key <= after.as_str(),
            Self::Prefix(after) => key <= after.as_str() || key.starts_with(after),
        }
    }

    fn token(&self) -> String {
        let kind = if matches!(self, Self::Key(_)) {
            'k'
        } else {
            'p'
        };
        format!("{kind}{}", hex::encode(self.text()))
    }

    fn of_token(token: &str) -> S3Result<Self> {
        let decode = |digits| String::from_utf8(hex::decode(digits).ok()?).ok();
        let after = match token.split_at_checked(1) {
            Some(("k", digits)) => decode(digits).map(Self::Key),
            Some(("p", digits)) => decode(digits).map(Self::Prefix),
            _ => None,
        };
        after.ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect"
            )
        })
    }
}

/// The size of a page: what was asked for, up to S3's limit.
pub(crate) fn page_size(asked: Option<i32>) -> usize {
    asked.map_or(LONGEST_PAGE, |asked| {
        usize::try_from(asked).map_or(0, |asked| asked.min(LONGEST_PAGE))
    })
}

/// A key as a listing tells it: XML cannot carry every character.
pub(crate) fn encoded(text: &str, encoding: Option<&EncodingType>) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'*');
    match encoding {
        Some(encoding) if encoding.as_str() == EncodingType::URL => {
            utf8_percent_encode(text, KEPT).to_string()
        }
        _ => text.to_owned(),
    }
}
