//! `ListObjectsV2` and `ListObjects`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::fields;
use super::get_object::{signed, signed_32};
use crate::storage::{Content, OWNER_CANONICAL_ID, Storage, Version};

/// No page is longer, whatever is asked for.
const LONGEST_PAGE: usize = 1000;

/// Where a page begins: behind one key, or behind all keys of one prefix.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Key(String),
    Prefix(String),
}

/// What a listing asks for, in either version.
struct Asked<'a> {
    prefix: String,
    delimiter: Option<String>,
    after: After,
    most: usize,
    encoding: Option<&'a EncodingType>,
    with_owner: bool,
}

/// One page of a listing.
struct Page {
    contents: Vec<Object>,
    prefixes: Vec<String>,
    /// Where the next one begins, if there is one.
    next: Option<After>,
}

pub(crate) async fn run(
    storage: &Storage,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => After::of_token(token)?,
        (None, start) => After::Key(start.clone().unwrap_or_default()),
    };
    let asked = Asked {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        after,
        most: page_size(input.max_keys),
        encoding,
        with_owner: input.fetch_owner.unwrap_or(false),
    };
    let page = asked.page(storage, &input.bucket)?;
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        key_count: Some(signed_32(page.contents.len() + page.prefixes.len())),
        max_keys: Some(signed_32(asked.most)),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(After::token),
        continuation_token: input.continuation_token,
        common_prefixes: Some(page.common_prefixes(encoding)),
        contents: Some(page.contents),
        delimiter: asked.delimiter.map(|text| encoded(&text, encoding)),
        prefix: Some(encoded(&asked.prefix, encoding)),
        start_after: input.start_after.map(|start| encoded(&start, encoding)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

/// The older version, which goes on behind a key and not a token.
pub(crate) async fn first_version(
    storage: &Storage,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let marker = input.marker.unwrap_or_default();
    let is_prefix = delimiter
        .as_ref()
        .is_some_and(|delimiter| marker.ends_with(delimiter.as_str()));
    let asked = Asked {
        prefix: input.prefix.unwrap_or_default(),
        after: if is_prefix {
            After::Prefix(marker.clone())
        } else {
            After::Key(marker.clone())
        },
        most: page_size(input.max_keys),
        encoding,
        with_owner: true,
        delimiter,
    };
    let page = asked.page(storage, &input.bucket)?;
    // Without a delimiter S3 leaves it to the client to take the last key.
    let next = page.next.as_ref().filter(|_| asked.delimiter.is_some());
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        max_keys: Some(signed_32(asked.most)),
        is_truncated: Some(page.next.is_some()),
        next_marker: next.map(|next| encoded(next.text(), encoding)),
        marker: Some(encoded(&marker, encoding)),
        common_prefixes: Some(page.common_prefixes(encoding)),
        contents: Some(page.contents),
        delimiter: asked.delimiter.map(|text| encoded(&text, encoding)),
        prefix: Some(encoded(&asked.prefix, encoding)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

impl Asked<'_> {
    fn page(&self, storage: &Storage, bucket: &str) -> S3Result<Page> {
        let Self { prefix, after, .. } = self;
        let mut contents = Vec::new();
        let mut prefixes: Vec<String> = Vec::new();
        let mut last = None;
        let mut is_truncated = false;
        let start = after.text().max(prefix.as_str());
        storage.scan(bucket, start, |version, content| {
            let Some(rest) = version.key.strip_prefix(prefix) else {
                // Keys are in order: behind the prefix there is nothing more.
                return version.key < *prefix;
            };
            if after.skips(&version.key) {
                return true;
            }
            let common = self.delimiter.as_ref().and_then(|delimiter| {
                let end = rest.find(delimiter.as_str())? + delimiter.len();
                Some(format!("{prefix}{}", &rest[..end]))
            });
            if common.is_some() && prefixes.last() == common.as_ref() {
                return true;
            }
            if contents.len() + prefixes.len() == self.most {
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
                    contents.push(self.listed(version, content));
                }
            }
            true
        })?;
        Ok(Page {
            contents,
            prefixes,
            next: last.filter(|_| is_truncated),
        })
    }

    fn listed(&self, version: &Version, content: &Content) -> Object {
        let class = content.headers.storage_class.clone();
        let owner = Owner {
            display_name: None,
            id: Some(OWNER_CANONICAL_ID.to_owned()),
        };
        Object {
            checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(
                content.checksum.algorithm.name(),
            )]),
            checksum_type: Some(ChecksumType::from_static(content.checksum.kind.name())),
            e_tag: Some(fields::quoted(&content.etag)),
            key: Some(encoded(&version.key, self.encoding)),
            last_modified: Some(version.modified.timestamp()),
            owner: self.with_owner.then_some(owner),
            size: Some(signed(content.size)),
            storage_class: Some(class.map_or(
                ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
                ObjectStorageClass::from,
            )),
            ..Default::default()
        }
    }
}

impl Page {
    fn common_prefixes(&self, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
        let prefixes = self.prefixes.iter().map(|prefix| CommonPrefix {
            prefix: Some(encoded(prefix, encoding)),
        });
        prefixes.collect()
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
