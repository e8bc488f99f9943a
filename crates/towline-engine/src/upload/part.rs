//! Sends one part, or the whole file in one PUT.

use std::sync::Arc;

use towline_core::{
    ChecksumAlgorithm, Event, Failure, Operation, PartChecksum, PartNumber, PartRow, Proof,
    PutObject, S3Error, S3ErrorKind, Stored, UploadPart,
};

use super::ladder::Ladder;
use super::piece::{self, Piece, Wanted};
use super::{condition, learn_of_condition, object, open_upload};
use crate::act::Context;
use crate::body::SourceRange;
use crate::files::look_at_source;
use crate::progress::Moved;
use crate::stall;

/// `None` when it was cut short.
pub(crate) async fn part(context: &Context, number: PartNumber) -> Option<Event> {
    let mut ladder = Ladder::default();
    loop {
        let algorithm = ladder.algorithm(context);
        let trails = ladder.trails(context, algorithm, number);
        match attempt(context, number, algorithm, trails).await? {
            Err(failure) if trails == Some(true) && ladder.drops_trailer(context, &failure) => {}
            Err(failure) if ladder.steps_down(context, algorithm, &failure) => {}
            Err(failure) => {
                learn_of_condition(context, &failure);
                return Some(Event::PartFailed {
                    part: number,
                    failure,
                });
            }
            Ok(event) => {
                ladder.worked(context);
                return Some(event);
            }
        }
    }
}

async fn attempt(
    context: &Context,
    number: PartNumber,
    algorithm: ChecksumAlgorithm,
    trails: Option<bool>,
) -> Option<Result<Event, Failure>> {
    let moved = Arc::new(Moved::of_part(Arc::clone(&context.progress), number));
    let expected = context.plan().len(number);
    let work = send(context, number, algorithm, trails, Arc::clone(&moved));
    let mut work = std::pin::pin!(work);
    Some(tokio::select! {
        biased;
        result = &mut work => result,
        () = context.stop.requested() => {
            if moved.bytes() < expected {
                return None;
            }
            towline_core::failpoint!("upload-part.grace");
            tokio::time::timeout(stall::GRACE, work).await.ok()?
        }
    })
}

async fn send(
    context: &Context,
    number: PartNumber,
    algorithm: ChecksumAlgorithm,
    trails: Option<bool>,
    moved: Arc<Moved>,
) -> Result<Event, Failure> {
    let source = match piece::of_part(context, number)? {
        Wanted::Piece(piece) => piece,
        Wanted::Ended(size) => return Ok(Event::StreamEnded { part: number, size }),
    };
    let (checksum, prepared) = match source.clone() {
        Piece::File(range) if trails == Some(true) => {
            let (trailer, prepared) = piece::open(context, range, algorithm).await?;
            (PartChecksum::Trailer(trailer), prepared)
        }
        source => {
            // Where all others will be read as they are sent, memory would be held for a few.
            let keep = trails.is_some();
            let (checksum, prepared) = piece::prepare(context, source, algorithm, keep).await?;
            (checksum.into(), prepared)
        }
    };
    let (body, verdict) = prepared.body(&context.budget, context.pass(&moved)).await;
    let len = body.len;
    let answer = match open_upload(context) {
        Some(upload) => {
            let request = UploadPart {
                upload,
                number: number.get(),
                checksum: Some(checksum.clone()),
            };
            towline_core::failpoint!("upload-part.begins");
            let attempt = context.s3.upload_part(request, body);
            let operation = Operation::UploadPart;
            stall::watch(operation, attempt, &moved, Some(len), context.patience())
                .await
                .map(Answer::Part)
        }
        None => {
            let request = PutObject {
                bucket: context.bucket(),
                key: context.key(),
                options: context.spec().options.object.clone(),
                checksum: checksum.value(),
                condition: condition(context),
                access: context.spec().options.access.clone(),
                extra: context.spec().options.extra.clone(),
            };
            towline_core::failpoint!("put.begins");
            let attempt = context.s3.put_object(request, body);
            let operation = Operation::PutObject;
            stall::watch(operation, attempt, &moved, Some(len), context.patience())
                .await
                .map(Answer::Whole)
        }
    };
    // A withheld buffer shows as a broken request; the cause is ours.
    let answer = match (answer, verdict.take()) {
        (_, Some(failure)) => return Err(failure.into()),
        (answer, None) => answer?,
    };
    let sum = object::sent_sum(context, &checksum)?;
    match answer {
        Answer::Part(stored) => {
            towline_core::failpoint!("upload-part.answered");
            let etag = stored
                .etag
                .ok_or_else(|| no_etag(Operation::UploadPart, len))?;
            if trails == Some(true) {
                object::check_trailer(context, &sum, stored.checksum.as_ref())?;
            }
            object::check_echo(context, &sum, stored.checksum.as_ref(), Some(&etag))?;
            towline_core::failpoint!("upload-part.proven");
            let sum = match stored.checksum {
                Some(_) => sum,
                None => object::checksum_that_the_store_shows(context, source, sum, &etag).await?,
            };
            if let Ok(stream) = piece::source(context) {
                stream.release(number);
            }
            let row = PartRow {
                number,
                len,
                etag: Some(etag),
                checksum: Some(sum),
            };
            Ok(Event::PartMoved(row))
        }
        Answer::Whole(stored) => put_proof(context, source, sum, stored)
            .await
            .map(Event::Finished),
    }
}

enum Answer {
    Part(towline_core::PartStored),
    Whole(Stored),
}

/// A PUT is done once S3's answer agrees and the source is still what was sent.
async fn put_proof(
    context: &Context,
    source: Piece,
    sum: towline_core::Checksum,
    stored: Stored,
) -> Result<Proof, Failure> {
    towline_core::failpoint!("put.answered");
    let echoed = stored.checksum.as_ref().map(|(sum, _)| sum);
    object::check_echo(context, &sum, echoed, stored.etag.as_deref())?;
    towline_core::failpoint!("put.proven");
    let sum = match (&stored.checksum, &stored.etag) {
        (None, Some(etag)) => {
            object::checksum_that_the_store_shows(context, source.clone(), sum, etag).await?
        }
        _ => sum,
    };
    if let Piece::File(SourceRange { path, planned, .. }) = source.clone() {
        let files = context.files.clone();
        let look = move || {
            let found = look_at_source(&*files, &path)?;
            planned.allows(&path, found).map(|()| found)
        };
        if context.files.brief(look).await? != planned.was {
            piece::is_unchanged(context, source, sum).await?;
        }
    }
    towline_core::failpoint!("put.source-checked");
    object::prove(context, Some(sum), &stored).await
}

/// Of a part whose answer is no proof.
pub(crate) fn no_etag(operation: Operation, sent: u64) -> S3Error {
    let message = format!("the answer to {operation} has no ETag, so it is no proof");
    let mut error = S3Error::new(operation, S3ErrorKind::Malformed, message);
    error.status = Some(200);
    error.body_sent = sent;
    error.request_sent = true;
    error
}
