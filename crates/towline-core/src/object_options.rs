//! What an uploaded object carries besides its bytes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::options::is_default;

/// What an uploaded object carries besides its bytes. The same in one PUT and
/// in a multipart upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectOptions {
    /// `Content-Type`. Default: by the file name's extension,
    /// `application/octet-stream` where that tells nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub content_type: Option<String>,
    /// `Content-Encoding`, stored as given; bytes are never encoded by us.
    #[serde(skip_serializing_if = "is_default")]
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "is_default")]
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "is_default")]
    pub content_language: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "is_default")]
    pub cache_control: Option<String>,
    /// `Expires`, in whole seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub expires: Option<Timestamp>,
    /// Own metadata, `x-amz-meta-…`; at most 2 KB in all.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
    #[serde(skip_serializing_if = "is_default")]
    pub metadata: BTreeMap<String, String>,
    /// Tags, at most 10.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
    #[serde(skip_serializing_if = "is_default")]
    pub tags: BTreeMap<String, String>,
    /// A canned ACL such as `public-read`; not together with grants.
    #[serde(skip_serializing_if = "is_default")]
    pub acl: Option<String>,
    /// Who else may do what with it.
    #[serde(skip_serializing_if = "is_default")]
    pub grants: Vec<Grant>,
    /// A storage class such as `STANDARD_IA`.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_class: Option<String>,
    /// Where a website sends those who ask for it
    /// (`x-amz-website-redirect-location`): `/key`, `http://…` or `https://…`.
    #[serde(skip_serializing_if = "is_default")]
    pub website_redirect: Option<String>,
    /// How S3 encrypts it. Default: as its bucket says. Keys of one's own are in
    /// [`Access`](crate::Access), since every request needs them.
    #[serde(skip_serializing_if = "is_default")]
    pub encryption: Option<Encryption>,
}

/// A permission given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What is allowed.
    pub permission: Permission,
    /// To whom.
    pub grantee: Grantee,
}

/// What a grant allows.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Everything.
    FullControl,
    /// Reading the object.
    Read,
    /// Reading its ACL.
    ReadAcp,
    /// Changing its ACL.
    WriteAcp,
}

impl Permission {
    /// The header that carries such grants.
    pub const fn header(self) -> &'static str {
        match self {
            Self::FullControl => "x-amz-grant-full-control",
            Self::Read => "x-amz-grant-read",
            Self::ReadAcp => "x-amz-grant-read-acp",
            Self::WriteAcp => "x-amz-grant-write-acp",
        }
    }
}

/// To whom a grant is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grantee {
    /// The canonical id of an account.
    Id(String),
    /// A group, by its URI.
    Uri(String),
    /// An account, by its e-mail address.
    Email(String),
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id=\"{id}\""),
            Self::Uri(uri) => write!(f, "uri=\"{uri}\""),
            Self::Email(email) => write!(f, "emailAddress=\"{email}\""),
        }
    }
}

/// How S3 encrypts an object, with keys that it keeps.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// With a key of S3's own (`AES256`).
    S3,
    /// With a key of AWS KMS (`aws:kms`).
    Kms {
        /// The key's id, alias or ARN. Default: the account's key for S3.
        #[serde(default)]
        key_id: Option<String>,
        /// The encryption context.
        #[serde(default)]
        context: BTreeMap<String, String>,
        /// Whether the bucket's own key stands between, which costs fewer
        /// requests to KMS. Default: as the bucket says.
        #[serde(default)]
        bucket_key: Option<bool>,
    },
}
