//! Headers and parameters of a caller's own: which become an option, which are
//! sent as they are, and which would break the transfer.

use std::collections::BTreeMap;

use towline_core::{Direction, Encryption, ObjectOptions, TransferOptions};

use crate::SubmitError;
use crate::check_options::bad;

/// Why a header cannot be set, for names that begin so.
const DENIED: [(&str, &str); 25] = [
    ("authorization", "requests are signed here"),
    ("host", "it is the connection's endpoint"),
    ("x-amz-date", "requests are signed here"),
    ("x-amz-content-sha256", "requests are signed here"),
    ("x-amz-security-token", "it belongs to the credentials"),
    ("x-amz-checksum-", "choose the checksum algorithm instead"),
    (
        "x-amz-sdk-checksum-",
        "choose the checksum algorithm instead",
    ),
    ("x-amz-trailer", "choose the checksum algorithm instead"),
    ("x-amz-decoded-content-length", "it is computed here"),
    ("content-length", "it is computed here"),
    ("content-md5", "choose the checksum algorithm MD5 instead"),
    ("transfer-encoding", "it is how the bytes travel"),
    ("connection", "it is how the bytes travel"),
    ("expect", "it is how the bytes travel"),
    ("te", "it is how the bytes travel"),
    ("upgrade", "it is how the bytes travel"),
    ("range", "set the range of the download instead"),
    ("if-", "set the condition of the transfer instead"),
    ("x-amz-copy-source", "it would make the request a copy"),
    ("x-amz-copy-source-", "it would make the request a copy"),
    ("x-amz-metadata-directive", "set what is to be replaced"),
    ("x-amz-tagging-directive", "set what is to be replaced"),
    ("x-amz-mp-object-size", "it is computed here"),
    ("user-agent", "it is the product's own"),
    ("proxy-", "it belongs to the proxy's settings"),
];

/// Names that a parameter cannot have: they make a request another one.
const DENIED_PARAMETERS: [&str; 8] = [
    "uploads",
    "uploadId",
    "partNumber",
    "acl",
    "tagging",
    "versions",
    "delete",
    "attributes",
];

const CUSTOMER: &str = "x-amz-server-side-encryption-customer-";

/// Puts known headers into the options that they stand for, so that they hold
/// for one PUT and for parts alike, and refuses what cannot be sent.
pub(crate) fn settle(
    options: &mut TransferOptions,
    direction: Direction,
) -> Result<(), SubmitError> {
    let given = std::mem::take(&mut options.extra.headers);
    let mut kept = BTreeMap::new();
    for (name, value) in given {
        check(&name, &value)?;
        if !known(options, direction, &name, &value)? {
            kept.insert(name, value);
        }
    }
    options.extra.headers = kept;
    for name in options.extra.parameters.keys() {
        let signing = name.to_ascii_lowercase().starts_with("x-amz-");
        if name == "versionId" {
            return Err(bad(
                "parameter \"versionId\"",
                "set the version of the download instead",
            ));
        }
        if signing || name.is_empty() || DENIED_PARAMETERS.contains(&name.as_str()) {
            let why = "it would make the request another one";
            return Err(bad(format!("parameter {name:?}"), why));
        }
    }
    Ok(())
}

fn check(name: &str, value: &str) -> Result<(), SubmitError> {
    let option = format!("header {name:?}");
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(bad(option, "it is not the name of a header"));
    }
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(bad(option, "a header carries printable ASCII only"));
    }
    if name.starts_with(CUSTOMER) {
        let why = "a key of one's own is set by reference (customer_key), never by headers, and \
                   an algorithm alone is none: for encryption with S3's own keys set \
                   encryption(Encryption::S3), which is the header \
                   x-amz-server-side-encryption: AES256";
        return Err(bad(option, why));
    }
    let denied = DENIED
        .iter()
        .find(|(denied, _)| match denied.ends_with('-') {
            true => name.starts_with(denied),
            false => name == *denied,
        });
    match denied {
        Some((_, why)) => Err(bad(option, *why)),
        None => Ok(()),
    }
}

/// Sets the option that a header stands for, if one does.
fn known(
    options: &mut TransferOptions,
    direction: Direction,
    name: &str,
    value: &str,
) -> Result<bool, SubmitError> {
    match name {
        "x-amz-request-payer" => {
            options.access.requester_pays = true;
            return Ok(true);
        }
        "x-amz-expected-bucket-owner" => {
            let owner = &mut options.access.expected_bucket_owner;
            return once(owner, name, value);
        }
        _ if direction == Direction::Download => return Ok(false),
        _ => {}
    }
    let object = &mut options.object;
    if let Some(name) = name.strip_prefix("x-amz-meta-") {
        let known = object.metadata.insert(name.to_owned(), value.to_owned());
        return match known.is_some_and(|known| known != value) {
            true => Err(twice(&format!("x-amz-meta-{name}"))),
            false => Ok(true),
        };
    }
    let option = match name {
        "content-type" => &mut object.content_type,
        "content-encoding" => &mut object.content_encoding,
        "content-disposition" => &mut object.content_disposition,
        "content-language" => &mut object.content_language,
        "cache-control" => &mut object.cache_control,
        "x-amz-acl" => &mut object.acl,
        "x-amz-storage-class" => &mut object.storage_class,
        "x-amz-website-redirect-location" => &mut object.website_redirect,
        "x-amz-server-side-encryption" => return encryption(object, name, value),
        _ => return Ok(false),
    };
    once(option, name, value)
}

fn once(option: &mut Option<String>, name: &str, value: &str) -> Result<bool, SubmitError> {
    if option.as_ref().is_some_and(|known| known != value) {
        return Err(twice(name));
    }
    *option = Some(value.to_owned());
    Ok(true)
}

fn twice(name: &str) -> SubmitError {
    bad(
        format!("header {name:?}"),
        "the same option is set to another value",
    )
}

fn encryption(object: &mut ObjectOptions, name: &str, value: &str) -> Result<bool, SubmitError> {
    let asked = match value {
        "AES256" => Encryption::S3,
        // What belongs to it may come in headers of its own, as they are.
        _ => return Ok(false),
    };
    if object
        .encryption
        .as_ref()
        .is_some_and(|known| *known != asked)
    {
        return Err(twice(name));
    }
    object.encryption = Some(asked);
    Ok(true)
}

/// Whether a header's name may have this byte.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
