//! One file per operation: its request, and what its answer says.

mod abort_multipart_upload;
mod complete_multipart_upload;
mod copy_object;
mod copy_result;
mod create_multipart_upload;
mod delete_object;
mod delete_objects;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod get_bucket_lifecycle;
mod get_object;
mod get_object_tagging;
mod head_object;
mod list_multipart_uploads;
mod list_objects;
mod list_parts;
mod put_object;
mod upload_part;
mod upload_part_copy;

pub use get_bucket_lifecycle::LifecycleRule;

use towline_core::{Checksum, ChecksumAlgorithm, S3Error};

use crate::headers;
use crate::request::Answer;
use crate::xml::XmlError;

/// The ETag of an answer to a PUT. Without one the answer may still be S3's,
/// but a page of HTML is somebody else's.
async fn stored_etag(answer: &mut Answer) -> Result<Option<String>, S3Error> {
    let etag = headers::text(&answer.headers, "etag").and_then(headers::etag);
    let had_body = answer.drain().await?;
    if etag.is_none() && had_body {
        return Err(answer.malformed("no ETag, but a body"));
    }
    Ok(etag)
}

/// Keeps the value of an element named `ChecksumCRC64NVME` or alike.
fn take_checksum(
    slot: &mut Option<(ChecksumAlgorithm, String)>,
    element: &str,
    text: &str,
) -> Result<(), XmlError> {
    let Some(name) = element.strip_prefix("Checksum") else {
        return Ok(());
    };
    if let Some(algorithm) = headers::algorithm_named(name) {
        if slot.is_some() {
            return Err(XmlError::Twice("Checksum"));
        }
        *slot = Some((algorithm, text.to_owned()));
    }
    Ok(())
}

/// The element of a part's checksum; MD5 has none.
fn checksum_element(checksum: &Checksum) -> Option<String> {
    let name = checksum.algorithm().s3_name()?;
    Some(format!("Checksum{name}"))
}
