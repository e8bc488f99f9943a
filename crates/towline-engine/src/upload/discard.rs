//! Removes what S3 holds of an upload. The destination object is never touched.

use std::time::Duration;

use towline_core::{Asked, Event, Failure, LocalFailure, Operation, Request, S3ErrorKind, Upload};

use super::object::{self, Judgement};
use super::reconcile::{Listed, candidates, list_parts};
use super::{open_upload, upload_named};
use crate::act::Context;
use crate::head::{self, Seen};
use crate::profile::{Fact, is_denied};
use crate::stall::{self, SMALL_REQUEST};

/// Parts that were under way may land after an abort, so it is repeated until
/// S3 knows the upload no more.
const ROUNDS: u32 = 10;

pub(crate) async fn discard(context: &Context) -> Result<Event, Failure> {
    let asked = context.record.asked;
    if let Some(upload) = open_upload(context) {
        let completing = asked.is_some_and(|asked| asked.request == Request::Complete);
        if completing
            && !matches!(list_parts(context, &upload).await?, Listed::Parts(_))
            && let Seen::There(head) = head::now(context, None).await?
            && let Ok(Judgement::Ours(proof)) = object::is_ours(context, &head).await
        {
            return Ok(Event::Finished(proof)); // too late to take it back
        }
        abort(context, &upload).await?;
    } else if let Some(Asked {
        request: Request::Create,
        at,
    }) = asked
    {
        for id in candidates(context, at).await? {
            let upload = upload_named(context, id);
            if list_parts(context, &upload).await?.is_empty() {
                abort(context, &upload).await?;
            }
        }
    }
    Ok(Event::Discarded)
}

async fn abort(context: &Context, upload: &Upload) -> Result<(), Failure> {
    for round in 0..ROUNDS {
        let asked = context.s3.abort_multipart_upload(upload);
        match stall::within(Operation::AbortMultipartUpload, SMALL_REQUEST, asked).await {
            Ok(()) => context.learn(Fact::Right(Operation::AbortMultipartUpload, true)),
            Err(error) if error.kind == S3ErrorKind::Answer && error.is_not_found() => {}
            Err(mut error) => {
                if is_denied(&error) {
                    context.learn(Fact::Right(Operation::AbortMultipartUpload, false));
                    error.message =
                        format!("{}; the upload {} stays open", error.message, upload.id);
                }
                return Err(error.into());
            }
        }
        match list_parts(context, upload).await? {
            Listed::Gone => return Ok(()),
            // It cannot be seen; a second abort takes what landed after the first.
            Listed::Denied if round > 0 => return Ok(()),
            Listed::Denied | Listed::Parts(_) => {}
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
