//! Opens the multipart upload. That it was asked for is recorded already, so a
//! lost answer is found again by [`reconcile`](super::reconcile).

use towline_core::{
    ChecksumAlgorithm, ChecksumKind, CreateUpload, Direction, Event, Failure, ObjectOptions,
    OpenedUpload, Operation, Timestamp,
};

use super::ladder::Ladder;
use crate::act::Context;
use crate::config::FIRST_PARTS;
use crate::copy;
use crate::profile::Fact;
use crate::stall::{self, SMALL_REQUEST};

pub(crate) async fn open(context: &Context) -> Result<Event, Failure> {
    let options = match context.spec().direction {
        Direction::Copy => copy::options(context).await?,
        Direction::Upload | Direction::Download => context.spec().options.object.clone(),
    };
    open_ahead(context);
    let mut ladder = Ladder::default();
    loop {
        let algorithm = ladder.algorithm(context);
        match create(context, &options, algorithm).await {
            Err(failure) if ladder.steps_down(context, algorithm, &failure) => {}
            Err(failure) => return Err(failure),
            Ok(opened) => {
                ladder.worked(context);
                if opened.checksum == Some(algorithm) {
                    context.learn(Fact::ChecksParts(algorithm));
                }
                return Ok(Event::UploadOpened(opened.id));
            }
        }
    }
}

/// While the upload is opened, so are the connections of its first parts.
fn open_ahead(context: &Context) {
    let config = &context.config;
    let parts = usize::try_from(context.plan().parts()).unwrap_or(usize::MAX);
    let at_once = parts
        .min(config.parts_per_transfer.unwrap_or(usize::MAX))
        .min(config.requests.unwrap_or(FIRST_PARTS));
    let bucket = context.object().bucket.as_str();
    context.s3.open_ahead(bucket, at_once);
}

async fn create(
    context: &Context,
    options: &ObjectOptions,
    algorithm: ChecksumAlgorithm,
) -> Result<OpenedUpload, Failure> {
    let request = CreateUpload {
        bucket: context.bucket(),
        key: context.key(),
        signed_at: signed_at(context),
        options: options.clone(),
        checksum: of_object(algorithm),
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
    };
    towline_core::failpoint!("create.begins");
    let create = context.s3.create_multipart_upload(request);
    let opened = stall::within(Operation::CreateMultipartUpload, SMALL_REQUEST, create).await?;
    towline_core::failpoint!("create.answered");
    Ok(opened)
}

/// A Create is signed as of when it was recorded, so that S3 takes it only if that
/// is when its own clock says so, and what it begins is found again by that time.
/// Not one that waited so long that S3 would refuse it: that is begun later still.
fn signed_at(context: &Context) -> Option<Timestamp> {
    let at = context.record.asked?.at;
    let now = context.clock.now_at(&*context.s3).server;
    (now < at.plus_secs(FRESH_SECS)).then_some(at)
}

/// S3 takes what was signed within 15 minutes.
const FRESH_SECS: i64 = 600;

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
