//! Which object a transfer is about: bucket, key, version.

use std::fmt;

use serde::{Deserialize, Serialize};

/// S3's limit on keys, in bytes of UTF-8.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const KEY_MAX_BYTES: usize = 1024;

/// Why a bucket name or key cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No bucket was named.
    #[error("no bucket given")]
    NoBucket,
    /// Not a name that any S3 store accepts.
    #[error("{name:?} is not a bucket name: {why}")]
    BadBucket {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key is empty.
    #[error("the object key is empty")]
    EmptyKey,
    /// The key is longer than S3's 1,024 bytes.
    #[error("the object key has {bytes} bytes, S3 allows 1,024")]
    KeyTooLong {
        /// Its length in bytes of UTF-8.
        bytes: usize,
    },
}

/// A bucket, or the ARN of an access point.
///
/// Accepts what S3 and compatible stores accept: 3 to 255 of letters, digits,
/// `.`, `-`, `_` (old AWS buckets and other stores allow more than today's
/// rules), or `arn:…`. Refused with [`AddressError`] otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

impl BucketName {
    /// The bucket of an S3 URL, and what follows its slash, taken literally: a key or
    /// a prefix, which may be empty. `None` where it names no bucket, or has no slash.
    pub fn from_url(url: &str) -> Option<(Self, &str)> {
        let rest = url.strip_prefix("s3://")?;
        let slash = match rest.starts_with("arn:") {
            true => end_of_arn(rest)?,
            false => rest.find('/')?,
        };
        Some((Self::new(&rest[..slash]).ok()?, &rest[slash + 1..]))
    }

    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, AddressError> {
        let name = name.into();
        let bad = |why| {
            Err(AddressError::BadBucket {
                name: name.clone(),
                why,
            })
        };
        if name.is_empty() {
            return Err(AddressError::NoBucket);
        }
        if name.starts_with("arn:") {
            let known = |c: char| c.is_ascii_alphanumeric() || ":/-_.".contains(c);
            return if name.len() <= 2048 && name.chars().all(known) {
                Ok(Self(name))
            } else {
                bad("not a well-formed ARN")
            };
        }
        if !(3..=255).contains(&name.len()) {
            return bad("it must have 3 to 63 characters (255 on older stores)");
        }
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        {
            return bad("only letters, digits, '.', '-' and '_' are allowed");
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.contains("..") {
            return bad("it must start with a letter or digit and have no '..'");
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BucketName {
    type Error = AddressError;

    fn try_from(name: String) -> Result<Self, AddressError> {
        Self::new(name)
    }
}

impl From<BucketName> for String {
    fn from(name: BucketName) -> Self {
        name.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object's key: 1 to 1,024 bytes of UTF-8, taken literally (`*`, `%`, `//`
/// and `..` too).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks and takes a key.
    pub fn new(key: impl Into<String>) -> Result<Self, AddressError> {
        let key = key.into();
        match key.len() {
            0 => Err(AddressError::EmptyKey),
            bytes if bytes > KEY_MAX_BYTES => Err(AddressError::KeyTooLong { bytes }),
            _ => Ok(Self(key)),
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = AddressError;

    fn try_from(key: String) -> Result<Self, AddressError> {
        Self::new(key)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectAddress {
    /// The bucket it is in.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// A version; `None` is the current one. Only of what is read.
    pub version_id: Option<String>,
}

impl ObjectAddress {
    /// The current version of `key` in `bucket`.
    pub fn new(bucket: BucketName, key: ObjectKey) -> Self {
        Self {
            bucket,
            key,
            version_id: None,
        }
    }

    /// Reads what [`Display`](fmt::Display) writes, taken literally; `None` where
    /// it names no object.
    pub fn from_url(url: &str) -> Option<Self> {
        let (bucket, key) = BucketName::from_url(url)?;
        Some(Self::new(bucket, ObjectKey::new(key).ok()?))
    }
}

/// Where the ARN of an access point ends: `arn:P:S:R:A:accesspoint/NAME`, or with a
/// colon before the name.
fn end_of_arn(text: &str) -> Option<usize> {
    let resource = text.match_indices(':').nth(4)?.0 + 1;
    let separator = text[resource..].find([':', '/'])? + resource;
    let name = separator + 1;
    Some(text[name..].find('/')? + name)
}

impl fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_1_to_1024_bytes_are_taken_literally() {
        for key in ["a", "a//b", "../x", "*", "%41", "/lead", "ä#?+ "] {
            assert_eq!(ObjectKey::new(key).unwrap().as_str(), key);
        }
        assert!(ObjectKey::new("k".repeat(1024)).is_ok());
        assert_eq!(
            ObjectKey::new("ä".repeat(513)),
            Err(AddressError::KeyTooLong { bytes: 1026 })
        );
        assert_eq!(ObjectKey::new(""), Err(AddressError::EmptyKey));
    }

    #[test]
    fn an_object_is_read_back_from_its_url_whatever_its_key_has() {
        let arn = "arn:aws:s3:eu-west-1:1:accesspoint";
        for bucket in ["abc".to_owned(), format!("{arn}/x"), format!("{arn}:x")] {
            for key in [
                "a",
                "/",
                "a//b",
                "./../x",
                "s3://b/c",
                "a:b/c",
                "%2F?versionId=1#",
            ] {
                let bucket = BucketName::new(bucket.as_str()).unwrap();
                let object = ObjectAddress::new(bucket, ObjectKey::new(key).unwrap());
                assert_eq!(ObjectAddress::from_url(&object.to_string()), Some(object));
            }
        }
        for none in [
            "",
            "s3://",
            "s3://abc",
            "s3://abc/",
            "/abc/d",
            "s3://a/b",
            "s3://arn:aws:s3/k",
        ] {
            assert_eq!(ObjectAddress::from_url(none), None, "{none}");
        }
    }

    #[test]
    fn bucket_names_that_could_change_a_host_or_path_are_refused() {
        for name in [
            "ab", "a/b/c", "a@b.c", "user:pw", "a b c", "..x", "a..b", "-abc", "a?x=1",
        ] {
            assert!(BucketName::new(name).is_err(), "{name}");
        }
        assert_eq!(BucketName::new(""), Err(AddressError::NoBucket));
        for name in [
            "abc",
            "my.bucket-1",
            "Old_Style",
            "arn:aws:s3:eu-west-1:1:accesspoint/x",
        ] {
            assert!(BucketName::new(name).is_ok(), "{name}");
        }
    }
}
