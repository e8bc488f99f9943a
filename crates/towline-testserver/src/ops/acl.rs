//! ACLs: canned ones and grants in headers, stored as grants, and `GetObjectAcl`.
//!
//! As of a bucket that has ACLs enabled; its owner and the owner of its objects are one account.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::fields::{insert, object_of, text};
use crate::storage::{
    Acl, Grant as StoredGrant, Grantee as StoredGrantee, OWNER_CANONICAL_ID, Storage,
};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const SIGNED_IN_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// The account of EC2, which `aws-exec-read` lets read.
const EC2: &str = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

const GRANT_HEADERS: [(&str, &str); 4] = [
    ("x-amz-grant-full-control", "FULL_CONTROL"),
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
];

/// The ACL a PUT or a Create asks for.
pub(crate) fn asked(headers: &HeaderMap) -> S3Result<Acl> {
    let mut grants = Vec::new();
    for (header, permission) in GRANT_HEADERS {
        for value in headers.get_all(header) {
            let value = value.to_str().map_err(|_| invalid_grant())?;
            for grantee in parts_of(value) {
                grants.push(StoredGrant::new(grantee_of(grantee)?, permission));
            }
        }
    }
    match text(headers, "x-amz-acl") {
        None if grants.is_empty() => Ok(Acl::default()),
        None => Ok(Acl(grants)),
        Some(name) if grants.is_empty() => canned(name),
        Some(_) => Err(s3_error!(
            InvalidRequest,
            "Specifying both Canned ACLs and Header Grants is not allowed"
        )),
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
fn canned(name: &str) -> S3Result<Acl> {
    let group = |uri: &str| StoredGrantee::Group(uri.to_owned());
    let more = match name {
        // The owner of the bucket owns the objects.
        "private" | "bucket-owner-read" | "bucket-owner-full-control" => vec![],
        "public-read" => vec![(group(ALL_USERS), "READ")],
        "public-read-write" => vec![(group(ALL_USERS), "READ"), (group(ALL_USERS), "WRITE")],
        "authenticated-read" => vec![(group(SIGNED_IN_USERS), "READ")],
        "aws-exec-read" => vec![(StoredGrantee::User(EC2.to_owned()), "READ")],
        _ => return Err(s3_error!(InvalidArgument, "Invalid canned ACL: {name}")),
    };
    let mut acl = Acl::default();
    acl.0.extend(
        more.into_iter()
            .map(|(grantee, permission)| StoredGrant::new(grantee, permission)),
    );
    Ok(acl)
}

/// The grantees of a header: split at the commas outside quotes.
fn parts_of(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value
        .split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(str::trim)
}

/// `id="…"`, `uri="…"` or `emailAddress="…"`; the quotes may be left out.
fn grantee_of(text: &str) -> S3Result<StoredGrantee> {
    let (kind, value) = text.split_once('=').ok_or_else(invalid_grant)?;
    let value = value.trim();
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    if value.is_empty() || value.contains('"') {
        return Err(invalid_grant());
    }
    match kind.trim() {
        "id" => Ok(StoredGrantee::User(value.to_owned())),
        "uri" if [ALL_USERS, SIGNED_IN_USERS, LOG_DELIVERY].contains(&value) => {
            Ok(StoredGrantee::Group(value.to_owned()))
        }
        "uri" => Err(s3_error!(InvalidArgument, "Invalid group uri")),
        "emailAddress" if value.contains('@') => Ok(StoredGrantee::Email(value.to_owned())),
        "emailAddress" => Err(s3_error!(
            UnresolvableGrantByEmailAddress,
            "The e-mail address you provided does not match any account on record"
        )),
        _ => Err(invalid_grant()),
    }
}

fn invalid_grant() -> s3s::S3Error {
    s3_error!(InvalidArgument, "Argument format not recognized")
}

pub(crate) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    let version = object_of(
        storage,
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
    )?;
    let grants = version
        .content
        .iter()
        .flat_map(|content| &content.headers.acl.0);
    let output = GetObjectAclOutput {
        grants: Some(grants.map(told).collect()),
        owner: Some(Owner {
            display_name: None,
            id: Some(OWNER_CANONICAL_ID.to_owned()),
        }),
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    if let Some(id) = super::fields::version_id(storage, &input.bucket, &version) {
        insert(&mut response.headers, "x-amz-version-id", id.as_bytes());
    }
    Ok(response)
}

fn told(grant: &StoredGrant) -> Grant {
    let (kind, id, uri, email_address) = match grant.grantee.clone() {
        StoredGrantee::User(id) => (Type::CANONICAL_USER, Some(id), None, None),
        StoredGrantee::Group(uri) => (Type::GROUP, None, Some(uri), None),
        StoredGrantee::Email(email) => (Type::AMAZON_CUSTOMER_BY_EMAIL, None, None, Some(email)),
    };
    Grant {
        grantee: Some(Grantee {
            display_name: None,
            email_address,
            id,
            type_: Type::from_static(kind),
            uri,
        }),
        permission: Some(Permission::from(grant.permission.clone())),
    }
}
