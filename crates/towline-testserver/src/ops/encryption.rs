//! Server-side encryption: what a request may ask for, what later ones must say again, what answers tell.
//!
//! Nothing is encrypted. A key of the client's own is looked at and dropped:
//! only its MD5 is stored, as S3 does with a salted hash of it.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::HeaderMap;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Result, s3_error};

use super::fields::{insert, text};
use crate::storage::{Encryption, OWNER_ID, Upload, unique_id};

const METHOD: &str = "x-amz-server-side-encryption";
const KMS_KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const KMS_CONTEXT: &str = "x-amz-server-side-encryption-context";
const KMS_BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const CUSTOMER_ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-key";
const CUSTOMER_KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";

/// What a PUT or a Create asks for.
pub(crate) fn asked(headers: &HeaderMap) -> S3Result<Encryption> {
    let method = text(headers, METHOD);
    if let Some(key_md5) = customer_key(headers)? {
        return match method {
            None => Ok(Encryption::Customer { key_md5 }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
            )),
        };
    }
    match method {
        Some(method @ ("aws:kms" | "aws:kms:dsse")) => kms(headers, method),
        None | Some("AES256") => {
            for name in [KMS_KEY_ID, KMS_CONTEXT] {
                if headers.contains_key(name) {
                    return Err(s3_error!(
                        InvalidArgument,
                        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
                    ));
                }
            }
            Ok(Encryption::S3)
        }
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "The encryption method specified is not supported"
        )),
    }
}

fn kms(headers: &HeaderMap, method: &str) -> S3Result<Encryption> {
    let context = text(headers, KMS_CONTEXT);
    if let Some(context) = context {
        let json = BASE64.decode(context).ok();
        let map =
            json.and_then(|json| serde_json::from_slice::<BTreeMap<String, String>>(&json).ok());
        if map.is_none() {
            return Err(s3_error!(
                InvalidArgument,
                "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON \
                 which represents a string-string map"
            ));
        }
    }
    Ok(Encryption::Kms {
        method: method.to_owned(),
        key_id: arn(text(headers, KMS_KEY_ID)),
        context: context.map(str::to_owned),
        // Keys of buckets are for one layer of encryption only.
        bucket_key: method == "aws:kms" && text(headers, KMS_BUCKET_KEY) == Some("true"),
    })
}

/// The ARN S3 tells, whatever the key was called by; without one it is the account's own for S3.
fn arn(key_id: Option<&str>) -> String {
    let region_and_owner = format!("arn:aws:kms:us-east-1:{OWNER_ID}");
    match key_id {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        Some(id) if !id.starts_with("alias/") => format!("{region_and_owner}:key/{id}"),
        alias => {
            let digest = hex::encode(Md5::checksum(alias.unwrap_or("alias/aws/s3").as_bytes()));
            let (a, b, c, d, e) = (
                &digest[..8],
                &digest[8..12],
                &digest[12..16],
                &digest[16..20],
                &digest[20..],
            );
            format!("{region_and_owner}:key/{a}-{b}-{c}-{d}-{e}")
        }
    }
}

/// The MD5 of the key a request carries, if it carries one: all three headers, and right.
fn customer_key(headers: &HeaderMap) -> S3Result<Option<String>> {
    let (algorithm, key, md5) = (
        text(headers, CUSTOMER_ALGORITHM),
        text(headers, CUSTOMER_KEY),
        text(headers, CUSTOMER_KEY_MD5),
    );
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    let Some(algorithm) = algorithm else {
        return Err(s3_error!(
            InvalidArgument,
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."
        ));
    };
    if algorithm != "AES256" {
        return Err(s3_error!(
            InvalidEncryptionAlgorithmError,
            "The Encryption request you specified is not valid. Supported value: AES256."
        ));
    }
    let Some(key) = key else {
        return Err(s3_error!(
            InvalidArgument,
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key."
        ));
    };
    let Some(md5) = md5 else {
        return Err(s3_error!(
            InvalidArgument,
            "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 \
             of the secret key."
        ));
    };
    let key = BASE64.decode(key).ok().filter(|key| key.len() == 32);
    let Some(key) = key else {
        return Err(s3_error!(
            InvalidArgument,
            "The secret key was invalid for the specified algorithm."
        ));
    };
    if BASE64.encode(Md5::checksum(&key)) != md5 {
        return Err(s3_error!(
            InvalidArgument,
            "The calculated MD5 hash of the key did not match the hash that was provided."
        ));
    }
    Ok(Some(md5.to_owned()))
}

/// Whether the request may read the object: with the key it was stored under, and with no other.
pub(crate) fn check_read(headers: &HeaderMap, stored: &Encryption) -> S3Result<()> {
    refuse_method(headers)?;
    match (stored, customer_key(headers)?) {
        (Encryption::Customer { key_md5 }, Some(given)) if given == *key_md5 => Ok(()),
        (Encryption::Customer { .. }, Some(_)) => Err(s3_error!(AccessDenied, "Access Denied")),
        (Encryption::Customer { .. }, None) => Err(s3_error!(
            InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
             retrieve the object."
        )),
        (_, Some(_)) => Err(s3_error!(
            InvalidRequest,
            "The encryption parameters are not applicable to this object."
        )),
        (_, None) => Ok(()),
    }
}

/// Whether a part brings the key its upload was opened with.
pub(crate) fn check_part(headers: &HeaderMap, upload: &Encryption) -> S3Result<()> {
    refuse_method(headers)?;
    match (upload, customer_key(headers)?) {
        (Encryption::Customer { key_md5 }, Some(given)) if given == *key_md5 => Ok(()),
        (Encryption::Customer { .. }, Some(_)) => Err(s3_error!(
            InvalidRequest,
            "The provided encryption parameters did not match the ones used originally."
        )),
        (Encryption::Customer { .. }, None) => Err(s3_error!(
            InvalidRequest,
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate \
             encryption parameters."
        )),
        (_, Some(_)) => Err(s3_error!(
            InvalidRequest,
            "The multipart upload initiate did not request encryption. Please resend the request without sending \
             encryption parameters."
        )),
        (_, None) => Ok(()),
    }
}

/// The same for ListParts and Complete, which need the key only where the
/// upload was opened with a checksum algorithm.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
pub(crate) fn check_upload(headers: &HeaderMap, upload: &Upload) -> S3Result<()> {
    let sse = &upload.headers.sse;
    match (sse, customer_key(headers)?) {
        (Encryption::Customer { .. }, None) if !upload.declared => refuse_method(headers),
        _ => check_part(headers, sse),
    }
}

/// Only what stores an object may choose the method.
fn refuse_method(headers: &HeaderMap) -> S3Result<()> {
    if headers.contains_key(METHOD) {
        return Err(s3_error!(
            InvalidArgument,
            "x-amz-server-side-encryption header is not supported for this operation."
        ));
    }
    Ok(())
}

impl Encryption {
    /// What every answer about the object tells.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        match self {
            Self::S3 => insert(headers, METHOD, b"AES256"),
            Self::Kms {
                method,
                key_id,
                bucket_key,
                ..
            } => {
                insert(headers, METHOD, method.as_bytes());
                insert(headers, KMS_KEY_ID, key_id.as_bytes());
                if *bucket_key {
                    insert(headers, KMS_BUCKET_KEY, b"true");
                }
            }
            Self::Customer { key_md5 } => {
                insert(headers, CUSTOMER_ALGORITHM, b"AES256");
                insert(headers, CUSTOMER_KEY_MD5, key_md5.as_bytes());
            }
        }
    }

    /// The same with the context, which only PUT and Create tell.
    pub(crate) fn tell_with_context(&self, headers: &mut HeaderMap) {
        self.tell(headers);
        if let Self::Kms {
            context: Some(context),
            ..
        } = self
        {
            insert(headers, KMS_CONTEXT, context.as_bytes());
        }
    }

    /// The ETag of bytes with this MD5. Only with keys of S3 it is the MD5.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
    pub(crate) fn etag(&self, md5: &[u8]) -> String {
        match self {
            Self::S3 => hex::encode(md5),
            Self::Kms { .. } | Self::Customer { .. } => unique_id(),
        }
    }
}
