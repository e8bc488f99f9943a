//! Opens the multipart upload. That it was asked for is recorded already, so a
//! lost answer is found again by [`reconcile`](super::reconcile).

use towline_core::{ChecksumAlgorithm, ChecksumKind, CreateUpload, Event, Failure, Operation};

use crate::act::Context;
use crate::stall::{self, SMALL_REQUEST};

pub(crate) async fn open(context: &Context) -> Result<Event, Failure> {
    let request = CreateUpload {
        bucket: context.bucket(),
        key: context.key(),
        options: context.spec().options.object.clone(),
        checksum: checksum_of_parts(context),
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
    };
    let create = context.s3.create_multipart_upload(request);
    let id = stall::within(Operation::CreateMultipartUpload, SMALL_REQUEST, create).await?;
    Ok(Event::UploadOpened(id))
}

/// The algorithm of the parts, and what the object's own checksum will cover.
pub(crate) fn checksum_of_parts(context: &Context) -> Option<(ChecksumAlgorithm, ChecksumKind)> {
    let algorithm = context.profile.checksum(context.spec().options.checksum);
    algorithm.s3_name()?;
    let kind = if algorithm.combines() {
        ChecksumKind::FullObject
    } else {
        ChecksumKind::Composite
    };
    Some((algorithm, kind))
}
