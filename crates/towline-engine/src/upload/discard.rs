//! Removes what S3 holds of an upload. The destination object is never touched.

use std::time::Duration;

use towline_core::{
    Asked, Event, Failure, LocalFailure, Operation, Proof, Request, S3ErrorKind, Timestamp, Upload,
};

use super::adopt::candidates;
use super::object::{self, Judgement};
use super::reconcile::{is_empty, list_parts};
use super::{open_upload, upload_named};
use crate::act::Context;
use crate::copy;
use crate::head;
use crate::stall::{self, SMALL_REQUEST};

/// Parts that were under way may land after an abort, so it is repeated until
/// S3 knows the upload no more.
const ROUNDS: u32 = 10;
/// How often where nobody may look whether it is.
const UNSEEN_ROUNDS: u32 = 3;

pub(crate) async fn discard(context: &Context) -> Result<Event, Failure> {
    towline_core::failpoint!("discard.begins");
    if let Some(upload) = open_upload(context) {
        if let Some(proof) = completed_meanwhile(context, &upload).await? {
            return Ok(Event::Finished(proof)); // too late to take it back
        }
        towline_core::failpoint!("discard.not-completed");
        if abort(context, &upload).await? == Abort::Ended {
            return Ok(Event::Discarded);
        }
    }
    if let Some(proof) = copy::landed_late(context).await {
        return Ok(Event::Finished(proof)); // too late as well
    }
    if let Some(Asked {
        request: Request::Create,
        at,
    }) = context.record.asked
    {
        abort_unnamed(context, at).await?;
    }
    Ok(Event::Discarded)
}

/// Gives up what a Create opened whose answer was lost, or told another name.
async fn abort_unnamed(context: &Context, asked_at: Timestamp) -> Result<(), Failure> {
    let candidates = match candidates(context, asked_at).await {
        Err(failure) if head::is_denied(&failure) => return Ok(()),
        told => told?,
    };
    for id in candidates {
        let upload = upload_named(context, id);
        if is_empty(context, &upload).await? {
            abort(context, &upload).await?;
        }
    }
    Ok(())
}

/// The proof of the object, if our Complete has made it.
async fn completed_meanwhile(context: &Context, upload: &Upload) -> Result<Option<Proof>, Failure> {
    let asked = context.record.asked.map(|asked| asked.request);
    if asked != Some(Request::Complete) {
        return Ok(None);
    }
    match list_parts(context, upload).await {
        Ok(Some(_)) => return Ok(None),
        Err(failure) if !head::is_denied(&failure) => return Err(failure),
        Ok(None) | Err(_) => {}
    }
    let there = match head::now(context, None).await {
        Err(failure) if head::is_denied(&failure) => None,
        told => told?,
    };
    let Some(there) = there else { return Ok(None) };
    Ok(match object::is_ours(context, &there).await {
        Ok(Judgement::Ours(proof)) => Some(proof),
        _ => None,
    })
}

/// What an abort met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Abort {
    /// The upload was open.
    Ended,
    /// S3 knew no such upload from the start.
    Unknown,
}

/// Gives an open upload up, until S3 knows it no more.
pub(super) async fn abort(context: &Context, upload: &Upload) -> Result<Abort, Failure> {
    let mut known = false;
    for round in 0..ROUNDS {
        towline_core::failpoint!("abort.begins");
        let asked = context.s3.abort_multipart_upload(upload);
        let operation = Operation::AbortMultipartUpload;
        let answer = stall::within(operation, SMALL_REQUEST, asked).await;
        context.learn_right(operation, &answer);
        towline_core::failpoint!("abort.answered");
        let gone = match answer {
            Ok(()) => false,
            Err(error) if error.kind == S3ErrorKind::Answer && error.is_not_found() => true,
            Err(mut error) => {
                let words = std::mem::take(&mut error.message);
                error.message = format!("the upload {} stays open: {words}", upload.id);
                return Err(error.into());
            }
        };
        known |= !gone;
        let ended = match list_parts(context, upload).await {
            Ok(listed) => listed.is_none(),
            // Who may not look has to believe S3.
            Err(failure) if head::is_denied(&failure) => gone || round + 1 >= UNSEEN_ROUNDS,
            Err(failure) => return Err(failure),
        };
        if ended {
            towline_core::failpoint!("abort.gone");
            return Ok(if known { Abort::Ended } else { Abort::Unknown });
        }
        context
            .clock
            .sleep(Duration::from_millis(100 << round.min(5)))
            .await;
    }
    let object = context.object().to_string();
    let why = format!("upload {} is still open after it was aborted", upload.id);
    Err(LocalFailure::StoredWrong { object, why }.into())
}
