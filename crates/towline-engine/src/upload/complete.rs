//! Makes the object out of its parts, and proves it.

use std::time::Duration;

use towline_core::{
    Checksum, ChecksumAlgorithm, CompleteUpload, CompletedPart, Direction, Event, Failure,
    LocalFailure, Operation, S3Error, S3ErrorKind, Stored, Upload,
};

use super::ladder::Ladder;
use super::object::{self, whole_of};
use super::open::of_object;
use super::piece::{self, Wanted};
use super::{condition, learn_of_condition, open_upload};
use crate::act::Context;
use crate::copy;
use crate::files::inspect;
use crate::stall;

/// S3 may take minutes to put a large object together, and says so with white
/// space before its answer.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

pub(crate) async fn complete(context: &Context) -> Result<Event, Failure> {
    towline_core::failpoint!("complete.begins");
    if context.spec().direction == Direction::Upload && !context.spec().is_stream() {
        let path = context.spec().path.clone();
        let planned = piece::planned(context)?;
        let files = context.files.clone();
        let look = move || {
            let found = inspect(&*files, &path)?;
            planned.allows(&path, found).map(|()| found)
        };
        let found = context.blocking(look).await?;
        if found != planned.was {
            has_only_grown(context).await?;
        }
    }
    towline_core::failpoint!("complete.source-checked");
    let Some(upload) = open_upload(context) else {
        return Err(LocalFailure::Connection {
            why: "no upload is open".into(),
        }
        .into());
    };
    let whole = whole_of(&context.parts);
    copy::check_whole(context, whole)?;
    let mut ladder = Ladder::default();
    let mut algorithm = match (context.record.origin.is_some(), context.parts.first()) {
        // Those that the store told, if it told any.
        (true, Some(part)) => part
            .checksum
            .map_or(ChecksumAlgorithm::Md5, |sum| sum.algorithm()),
        _ => ladder.algorithm(context),
    };
    let stored = loop {
        match ask(context, &upload, whole, algorithm).await {
            Err(failure) if ladder.steps_down(context, algorithm, &failure) => {
                algorithm = ChecksumAlgorithm::Md5; // the parts have no other
            }
            Err(failure) => {
                learn_of_condition(context, &failure);
                return Err(failure);
            }
            Ok(stored) => break stored,
        }
    };
    towline_core::failpoint!("complete.answered");
    ladder.worked(context);
    let proof = object::prove(context, whole, &stored).await?;
    towline_core::failpoint!("complete.proven");
    Ok(Event::Finished(proof))
}

async fn ask(
    context: &Context,
    upload: &Upload,
    whole: Option<Checksum>,
    algorithm: ChecksumAlgorithm,
) -> Result<Stored, Failure> {
    let kind = of_object(algorithm);
    let algorithm = kind.map(|(algorithm, _)| algorithm);
    let part_sum = |sum: &Checksum| Some(sum.algorithm()) == algorithm;
    let request = CompleteUpload {
        upload: upload.clone(),
        parts: context
            .parts
            .iter()
            .map(|part| CompletedPart {
                number: part.number.get(),
                etag: part.etag.clone().unwrap_or_default(),
                checksum: part.checksum.filter(part_sum),
            })
            .collect(),
        size: context.plan().size(),
        checksum: whole.filter(|sum| part_sum(sum) && sum.algorithm().combines()),
        checksum_kind: kind.map(|(_, kind)| kind),
        condition: condition(context),
    };
    towline_core::failpoint!("complete.asks");
    let asked = context.s3.complete_multipart_upload(request);
    tokio::select! {
        biased;
        stored = stall::within(Operation::CompleteMultipartUpload, PATIENCE, asked) => Ok(stored?),
        silent = silence(context, upload) => Err(silent.into()),
    }
}

/// Ends when the answer will not come any more. Silence alone does not tell: S3
/// may be at work. But it answers another question meanwhile, and the upload is
/// open as long as it is at work.
async fn silence(context: &Context, upload: &Upload) -> S3Error {
    let patience = context.patience().first_byte;
    loop {
        context.clock.sleep(2 * patience).await;
        let asked = context.s3.list_parts(upload, None);
        let why = match stall::within(Operation::ListParts, patience, asked).await {
            Err(error) if error.is_not_found() => "it is done, and its answer does not come",
            Err(error) if is_silent(&error) => "no answer, to another question neither",
            _ => continue,
        };
        let operation = Operation::CompleteMultipartUpload;
        let mut error = S3Error::new(operation, S3ErrorKind::Stalled, why);
        error.request_sent = true;
        return error;
    }
}

pub(crate) fn is_silent(error: &S3Error) -> bool {
    use S3ErrorKind::{Connect, Dns, Stalled, Transport};
    matches!(error.kind, Connect | Dns | Stalled | Transport) && !error.reused_connection
}

/// Reads again what was sent, of a source that was written to meanwhile.
async fn has_only_grown(context: &Context) -> Result<(), LocalFailure> {
    for part in &context.parts {
        if let (Wanted::Piece(piece), Some(sent)) =
            (piece::of_part(context, part.number)?, part.checksum)
        {
            piece::is_unchanged(context, piece, sent).await?;
        }
    }
    Ok(())
}
