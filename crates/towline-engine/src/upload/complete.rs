//! Makes the object out of its parts, and proves it.

use towline_core::{
    Checksum, ChecksumAlgorithm, CompleteUpload, CompletedPart, Direction, Event, Failure,
    LocalFailure, Operation, Stored, Upload,
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
    if context.spec().direction == Direction::Copy {
        // Some stores do not heed the condition that each part was copied under.
        copy::unchanged(context).await?;
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
    let operation = Operation::CompleteMultipartUpload;
    let asked = context.s3.complete_multipart_upload(request);
    let looks = || will_not_answer(context, upload);
    let limit = stall::AT_MOST;
    Ok(stall::at_work(operation, limit, context.patience(), asked, looks).await?)
}

/// Whether the answer will not come any more: the upload is open as long as S3 is at
/// work with it.
async fn will_not_answer(context: &Context, upload: &Upload) -> Option<&'static str> {
    let asked = context.s3.list_parts(upload, None);
    let patience = context.patience().first_byte;
    match stall::within(Operation::ListParts, patience, asked).await {
        Err(error) if error.is_not_found() => Some("it is done, and its answer does not come"),
        Err(error) if stall::is_silent(&error) => Some("no answer, to another question neither"),
        _ => None,
    }
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
