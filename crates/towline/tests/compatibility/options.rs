//! Every option, how it is asked for, and how it shows.

use std::fmt;

use serde_json::{Value, json};
use towline::{
    ChecksumAlgorithm, Encryption, Grantee, KeyReference, Permission, StreamRequest, Timestamp,
    UploadRequest,
};

pub(crate) const KEY: &[u8; 32] = b"a key of one's own, of 256 bits!";
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

/// One option.
pub(crate) struct Tried {
    pub(crate) name: &'static str,
    pub(crate) set: fn(UploadRequest) -> UploadRequest,
    /// What a download of it needs.
    pub(crate) read: fn(StreamRequest) -> StreamRequest,
    /// The same for the other client.
    pub(crate) args: fn() -> Value,
    /// Whether it shows.
    pub(crate) is_kept: fn(&Value) -> bool,
}

impl Tried {
    /// Where it is tried; only the embedded server knows requesters that pay.
    pub(crate) fn bucket(&self, ours: bool) -> &'static str {
        match ours && self.name == "requester pays" {
            true => "paid",
            false => "bucket",
        }
    }
}

/// What a server does with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    No,
    InOneModeOnly,
    Refused,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::InOneModeOnly => "in one mode only",
            Self::Refused => "refused",
        })
    }
}

const PLAIN: Tried = Tried {
    name: "",
    set: |upload| upload,
    read: |download| download,
    args: || json!({}),
    is_kept: |_| false,
};

/// A field of HEAD's answer.
macro_rules! shows {
    ($field:literal, $value:literal) => {
        |shown: &Value| shown["head"][$field] == $value
    };
}

fn checksum(field: &str, shown: &Value) -> bool {
    shown["head"][field].is_string()
}

fn everybody_reads(shown: &Value) -> bool {
    let grants = shown["acl"]["Grants"].as_array();
    grants.is_some_and(|grants| {
        grants
            .iter()
            .any(|grant| grant["Grantee"]["URI"] == EVERYBODY && grant["Permission"] == "READ")
    })
}

pub(crate) const OPTIONS: &[Tried] = &[
    Tried {
        name: "metadata",
        set: |upload| upload.metadata("camera", "x 1").metadata("place", "home"),
        is_kept: |shown| {
            let metadata = &shown["head"]["Metadata"];
            metadata["camera"] == "x 1" && metadata["place"] == "home"
        },
        ..PLAIN
    },
    Tried {
        name: "content type",
        set: |upload| upload.content_type("text/x-own; charset=utf-8"),
        is_kept: shows!("ContentType", "text/x-own; charset=utf-8"),
        ..PLAIN
    },
    Tried {
        name: "content type by extension",
        is_kept: shows!("ContentType", "text/plain"),
        ..PLAIN
    },
    Tried {
        name: "content encoding",
        set: |upload| upload.content_encoding("br"),
        is_kept: shows!("ContentEncoding", "br"),
        ..PLAIN
    },
    Tried {
        name: "content disposition",
        set: |upload| upload.content_disposition("attachment; filename=\"a b.txt\""),
        is_kept: shows!("ContentDisposition", "attachment; filename=\"a b.txt\""),
        ..PLAIN
    },
    Tried {
        name: "content language",
        set: |upload| upload.content_language("de-AT"),
        is_kept: shows!("ContentLanguage", "de-AT"),
        ..PLAIN
    },
    Tried {
        name: "cache control",
        set: |upload| upload.cache_control("max-age=60, public"),
        is_kept: shows!("CacheControl", "max-age=60, public"),
        ..PLAIN
    },
    Tried {
        name: "expires",
        set: |upload| upload.expires(Timestamp::from_millis(4_102_444_800_000)),
        is_kept: |shown| {
            let shown = shown["head"]["ExpiresString"].as_str();
            shown == Some("Fri, 01 Jan 2100 00:00:00 GMT")
        },
        ..PLAIN
    },
    Tried {
        name: "ACL",
        set: |upload| upload.acl("public-read"),
        is_kept: everybody_reads,
        ..PLAIN
    },
    Tried {
        name: "grants",
        set: |upload| upload.grant(Permission::Read, Grantee::Uri(EVERYBODY.into())),
        is_kept: everybody_reads,
        ..PLAIN
    },
    Tried {
        name: "tags",
        set: |upload| upload.tag("a b", "c=d:e").tag("f", ""),
        is_kept: |shown| {
            let tags = shown["tags"]["TagSet"].as_array();
            tags.is_some_and(|tags| {
                let has = |tag: Value| tags.contains(&tag);
                let first = has(json!({"Key": "a b", "Value": "c=d:e"}));
                first && has(json!({"Key": "f", "Value": ""}))
            })
        },
        ..PLAIN
    },
    Tried {
        name: "storage class",
        set: |upload| upload.storage_class("STANDARD_IA"),
        is_kept: shows!("StorageClass", "STANDARD_IA"),
        ..PLAIN
    },
    Tried {
        name: "website redirect",
        set: |upload| upload.website_redirect("/elsewhere"),
        is_kept: shows!("WebsiteRedirectLocation", "/elsewhere"),
        ..PLAIN
    },
    Tried {
        name: "requester pays",
        set: |upload| upload.requester_pays(true),
        read: |download| download.requester_pays(true),
        args: || json!({"RequestPayer": "requester"}),
        is_kept: shows!("RequestCharged", "requester"),
    },
    Tried {
        name: "expected bucket owner",
        set: |upload| upload.expected_bucket_owner("123456789012"),
        read: |download| download.expected_bucket_owner("123456789012"),
        args: || json!({"ExpectedBucketOwner": "123456789012"}),
        is_kept: |shown| shown["head"]["ContentLength"].is_number(),
    },
    Tried {
        name: "SSE-S3",
        set: |upload| upload.encryption(Encryption::S3),
        is_kept: shows!("ServerSideEncryption", "AES256"),
        ..PLAIN
    },
    Tried {
        name: "SSE-KMS",
        set: |upload| {
            upload.encryption(Encryption::Kms {
                key_id: Some("1234abcd-12ab-34cd-56ef-1234567890ab".into()),
                context: [("project".into(), "towline".into())].into(),
                bucket_key: Some(true),
            })
        },
        is_kept: |shown| {
            let head = &shown["head"];
            let key = head["SSEKMSKeyId"].as_str().unwrap_or_default();
            head["ServerSideEncryption"] == "aws:kms"
                && key.ends_with("1234abcd-12ab-34cd-56ef-1234567890ab")
                && head["BucketKeyEnabled"] == true
        },
        ..PLAIN
    },
    Tried {
        name: "SSE-C",
        set: |upload| upload.customer_key(KeyReference::Registered("own".into())),
        read: |download| download.customer_key(KeyReference::Registered("own".into())),
        args: || {
            let key = std::str::from_utf8(KEY).unwrap();
            json!({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key})
        },
        is_kept: shows!("SSECustomerAlgorithm", "AES256"),
    },
    Tried {
        name: "CRC-64/NVME",
        set: |upload| upload.checksum(ChecksumAlgorithm::Crc64Nvme),
        is_kept: |shown| checksum("ChecksumCRC64NVME", shown),
        ..PLAIN
    },
    Tried {
        name: "CRC-32C",
        set: |upload| upload.checksum(ChecksumAlgorithm::Crc32c),
        is_kept: |shown| checksum("ChecksumCRC32C", shown),
        ..PLAIN
    },
    Tried {
        name: "headers of one's own",
        set: |upload| {
            upload
                .header("x-amz-meta-own", "1")
                .header("Cache-Control", "no-store")
        },
        is_kept: |shown| {
            shown["head"]["Metadata"]["own"] == "1" && shown["head"]["CacheControl"] == "no-store"
        },
        ..PLAIN
    },
];
