//! What every request of a transfer carries, whatever it asks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::options::is_default;

/// What S3 wants to see on every request for an object, or refuses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// The one who asks pays, not the bucket's owner (`x-amz-request-payer`).
    #[serde(skip_serializing_if = "is_default")]
    pub requester_pays: bool,
    /// The account that must own the bucket (`x-amz-expected-bucket-owner`).
    #[serde(skip_serializing_if = "is_default")]
    pub expected_bucket_owner: Option<String>,
    /// The key that S3 encrypts and decrypts the object with and does not keep
    /// (SSE-C): where to find it, never the key itself.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html>
    #[serde(skip_serializing_if = "is_default")]
    pub customer_key: Option<KeyReference>,
}

/// Where a key of 256 bits is: as 32 bytes, or as their base64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyReference {
    /// In a file, readable by this user alone.
    File(PathBuf),
    /// In an environment variable.
    Environment(String),
    /// Registered by the app under a name, anew at each opening.
    Registered(String),
}

/// Request headers and parameters that nothing else here stands for. Sent with
/// what stores the object (PutObject, CreateMultipartUpload) or reads it
/// (HeadObject, GetObject).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Extra {
    /// Headers, by their names in lower case.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, String>,
    /// Parameters of the query.
    #[serde(skip_serializing_if = "is_default")]
    pub parameters: BTreeMap<String, String>,
}

impl Extra {
    /// Whether there is nothing of either.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.parameters.is_empty()
    }
}
