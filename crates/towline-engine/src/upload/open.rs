//! Opens the multipart upload. That it was asked for is recorded already, so a
//! lost answer is found again by [`reconcile`](super::reconcile).

use towline_core::{ChecksumAlgorithm, ChecksumKind, CreateUpload, Event, Failure, Operation};

use super::ladder::Ladder;
use crate::act::Context;
use crate::stall::{self, SMALL_REQUEST};

pub(crate) async fn open(context: &Context) -> Result<Event, Failure> {
    let mut ladder = Ladder::default();
    loop {
        let algorithm = ladder.algorithm(context);
        match create(context, algorithm).await {
            Err(failure) if ladder.steps_down(context, algorithm, &failure) => {}
            Err(failure) => return Err(failure),
            Ok(id) => {
                ladder.worked(context);
                return Ok(Event::UploadOpened(id));
            }
        }
    }
}

async fn create(context: &Context, algorithm: ChecksumAlgorithm) -> Result<String, Failure> {
    let request = CreateUpload {
        bucket: context.bucket(),
        key: context.key(),
        signed_at: context.record.asked.map(|asked| asked.at),
        options: context.spec().options.object.clone(),
        checksum: of_object(algorithm),
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
    };
    towline_core::failpoint!("create.begins");
    let create = context.s3.create_multipart_upload(request);
    let id = stall::within(Operation::CreateMultipartUpload, SMALL_REQUEST, create).await?;
    towline_core::failpoint!("create.answered");
    Ok(id)
}

/// The algorithm of the parts, and what the object's own checksum will cover.
pub(crate) fn of_object(algorithm: ChecksumAlgorithm) -> Option<(ChecksumAlgorithm, ChecksumKind)> {
    algorithm.s3_name()?;
    let kind = if algorithm.combines() {
        ChecksumKind::FullObject
    } else {
        ChecksumKind::Composite
    };
    Some((algorithm, kind))
}
