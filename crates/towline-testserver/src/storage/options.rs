//! What an upload may say of its object besides the bytes, as it is stored.

use std::collections::BTreeMap;

use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};

/// The headers stored with an object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) storage_class: Option<String>,
    pub(crate) redirect: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Names and values, in the order they came.
    #[serde(default)]
    pub(crate) tags: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) acl: Acl,
    #[serde(default)]
    pub(crate) sse: Encryption,
}

/// How an object is said to be encrypted. Its bytes are stored as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Encryption {
    /// `AES256` with keys of S3, which is also what no header means.
    #[default]
    S3,
    Kms {
        /// `aws:kms` or `aws:kms:dsse`
        method: String,
        /// The ARN of the key.
        key_id: String,
        /// As sent: base64 of JSON.
        context: Option<String>,
        bucket_key: bool,
    },
    /// A key of the client's own, of which nothing is kept but its MD5.
    Customer {
        /// In base64, as the headers carry it.
        key_md5: String,
    },
}

/// Who may do what: the grants in order, canned ones spelled out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acl(pub(crate) Vec<Grant>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) grantee: Grantee,
    /// `READ`, `FULL_CONTROL`, …
    pub(crate) permission: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grantee {
    /// A canonical user id.
    User(String),
    Group(String),
    Email(String),
}

/// The account that owns every bucket: what `x-amz-expected-bucket-owner` is to say.
pub const OWNER_ID: &str = "123456789012";

/// The same account as ACLs name it.
pub const OWNER_CANONICAL_ID: &str =
    "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";

impl Headers {
    /// How many tags the object carries, unless it carries none.
    pub(crate) fn tag_count(&self) -> Option<i32> {
        let count = i32::try_from(self.tags.len()).ok();
        count.filter(|count| *count > 0)
    }
}

impl Grant {
    pub(crate) fn new(grantee: Grantee, permission: &str) -> Self {
        Self {
            grantee,
            permission: permission.to_owned(),
        }
    }
}

impl Default for Acl {
    /// `private`: all to the owner.
    fn default() -> Self {
        let owner = Grantee::User(OWNER_CANONICAL_ID.to_owned());
        Self(vec![Grant::new(owner, "FULL_CONTROL")])
    }
}
