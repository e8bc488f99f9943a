//! `s3://BUCKET/KEY`, taken literally: no globs, no percent-decoding.

use std::str::FromStr;

use towline::{AddressError, BucketName, ObjectKey};

/// A bucket, and a key or prefix in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct S3Url {
    pub(crate) bucket: BucketName,
    /// Everything after the bucket's slash; may be empty.
    pub(crate) rest: String,
}

impl S3Url {
    /// Whether it names a place for objects and not one object.
    pub(crate) fn is_prefix(&self) -> bool {
        self.rest.is_empty() || self.rest.ends_with('/')
    }

    pub(crate) fn key(&self) -> Result<ObjectKey, AddressError> {
        ObjectKey::new(self.rest.as_str())
    }
}

impl FromStr for S3Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("{text:?} is not an S3 URL; write s3://BUCKET/KEY"))?;
        let (bucket, rest) = if rest.starts_with("arn:") {
            split_arn(rest)
        } else {
            rest.split_once('/').unwrap_or((rest, ""))
        };
        let bucket = BucketName::new(bucket).map_err(|error| error.to_string())?;
        Ok(Self {
            bucket,
            rest: rest.to_owned(),
        })
    }
}

/// `arn:…:accesspoint/NAME/KEY`: the name's slash belongs to the ARN.
fn split_arn(text: &str) -> (&str, &str) {
    let mut slashes = text.match_indices('/').map(|(at, _)| at);
    slashes.next();
    match slashes.next() {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_literal() {
        let url: S3Url = "s3://bucket/a//b%41*?#".parse().unwrap();
        assert_eq!(
            (url.bucket.as_str(), url.rest.as_str()),
            ("bucket", "a//b%41*?#")
        );
        assert!("s3://bucket".parse::<S3Url>().unwrap().is_prefix());
        assert!("s3://bucket/p/".parse::<S3Url>().unwrap().is_prefix());
        assert!(!"s3://bucket/p".parse::<S3Url>().unwrap().is_prefix());
    }

    #[test]
    fn what_is_no_url_or_has_no_bucket_is_refused() {
        for text in [
            "bucket/key",
            "s3:/bucket",
            "http://x/y",
            "s3://",
            "s3:///key",
            "s3://a b/c",
        ] {
            assert!(text.parse::<S3Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_access_point_keeps_its_slash() {
        let url: S3Url = "s3://arn:aws:s3:eu-west-1:1:accesspoint/ap/k/l"
            .parse()
            .unwrap();
        assert_eq!(url.rest, "k/l");
    }
}
