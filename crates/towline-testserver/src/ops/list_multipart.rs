//! `ListParts` and `ListMultipartUploads`.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::encryption;
use super::fields::{self, set_checksum};
use super::get_object::{signed, signed_32};
use super::lifecycle;
use super::list_objects::{encoded, page_size};
use crate::storage::{Part as StoredPart, Storage, Upload};

pub(crate) async fn parts(
    storage: &Storage,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let upload = storage.upload(&input.bucket, &input.key, &input.upload_id)?;
    encryption::check_upload(&request.headers, &upload)?;
    let initiated = upload.initiated.into();
    let abort = lifecycle::abort_of(storage, &input.bucket, &input.key, initiated);
    let (abort_date, abort_rule_id) = abort.unzip();
    let marker = input.part_number_marker.unwrap_or(0);
    let most = page_size(input.max_parts);
    let after = u32::try_from(marker).unwrap_or(0).saturating_add(1);
    let mut rest = upload.parts.range(after..).map(|(_, part)| part);
    let page: Vec<Part> = rest.by_ref().take(most).map(listed_part).collect();
    let is_truncated = rest.next().is_some();
    Ok(S3Response::new(ListPartsOutput {
        abort_date,
        abort_rule_id,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: page.last().and_then(|part| part.part_number).or(Some(0)),
        max_parts: Some(signed_32(most)),
        is_truncated: Some(is_truncated),
        parts: Some(page),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm.name())),
        checksum_type: Some(ChecksumType::from_static(upload.kind.name())),
        initiator: Some(initiator(&upload)),
        owner: Some(owner(&upload)),
        storage_class: Some(storage_class(&upload)),
        ..Default::default()
    }))
}

fn listed_part(part: &StoredPart) -> Part {
    let mut listed = Part {
        e_tag: Some(fields::quoted(&part.etag)),
        last_modified: Some(part.modified.timestamp()),
        part_number: i32::try_from(part.number).ok(),
        size: Some(signed(part.size)),
        ..Default::default()
    };
    set_checksum!(listed, part.checksum.algorithm, part.checksum.base64());
    listed
}

pub(crate) async fn uploads(
    storage: &Storage,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let encoding = input.encoding_type.as_ref();
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let key_marker = input.key_marker.unwrap_or_default();
    // Without a key, an upload id says nothing.
    let id_marker = input
        .upload_id_marker
        .filter(|_| !key_marker.is_empty())
        .unwrap_or_default();
    let most = page_size(input.max_uploads);

    let mut listed: Vec<MultipartUpload> = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let (mut next_key, mut next_id) = (String::new(), String::new());
    let mut is_truncated = false;
    for upload in storage.upload_heads(&input.bucket)? {
        let Some(rest) = upload.key.strip_prefix(&prefix) else {
            continue;
        };
        let common = delimiter.as_ref().and_then(|delimiter| {
            let end = rest.find(delimiter.as_str())? + delimiter.len();
            Some(format!("{prefix}{}", &rest[..end]))
        });
        let before = match &common {
            Some(common) => *common <= key_marker || prefixes.last() == Some(common),
            None => {
                let later_upload =
                    upload.key == key_marker && !id_marker.is_empty() && upload.id > id_marker;
                upload.key <= key_marker && !later_upload
            }
        };
        if before {
            continue;
        }
        if listed.len() + prefixes.len() == most {
            is_truncated = true;
            break;
        }
        match common {
            Some(common) => {
                (next_key, next_id) = (common.clone(), String::new());
                prefixes.push(common);
            }
            None => {
                (next_key, next_id) = (upload.key.clone(), upload.id.clone());
                listed.push(listed_upload(upload, encoding));
            }
        }
    }
    let common_prefixes = prefixes.iter().map(|prefix| CommonPrefix {
        prefix: Some(encoded(prefix, encoding)),
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(common_prefixes.collect()),
        delimiter: delimiter.map(|delimiter| encoded(&delimiter, encoding)),
        is_truncated: Some(is_truncated),
        key_marker: Some(encoded(&key_marker, encoding)),
        max_uploads: Some(signed_32(most)),
        next_key_marker: is_truncated.then(|| encoded(&next_key, encoding)),
        next_upload_id_marker: is_truncated.then_some(next_id),
        prefix: Some(encoded(&prefix, encoding)),
        upload_id_marker: Some(id_marker),
        uploads: Some(listed),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

fn listed_upload(upload: Upload, encoding: Option<&EncodingType>) -> MultipartUpload {
    MultipartUpload {
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm.name())),
        checksum_type: Some(ChecksumType::from_static(upload.kind.name())),
        initiated: Some(upload.initiated.timestamp()),
        initiator: Some(initiator(&upload)),
        key: Some(encoded(&upload.key, encoding)),
        owner: Some(owner(&upload)),
        storage_class: Some(storage_class(&upload)),
        upload_id: Some(upload.id),
    }
}

fn initiator(upload: &Upload) -> Initiator {
    Initiator {
        display_name: Some(upload.initiator.clone()),
        id: Some(upload.initiator.clone()),
    }
}

fn owner(upload: &Upload) -> Owner {
    Owner {
        display_name: Some(upload.initiator.clone()),
        id: Some(upload.initiator.clone()),
    }
}

fn storage_class(upload: &Upload) -> StorageClass {
    let class = upload.headers.storage_class.clone();
    class.map_or(
        StorageClass::from_static(StorageClass::STANDARD),
        StorageClass::from,
    )
}
