//! Makes the object out of its parts, and proves it.

use std::time::Duration;

use towline_core::{CompleteUpload, CompletedPart, Event, Failure, LocalFailure, Operation};

use super::object::{self, whole_of};
use super::open::checksum_of_parts;
use super::{condition, learn_of_condition, open_upload};
use crate::act::{Context, blocking};
use crate::files::inspect_source;
use crate::stall;

/// S3 may take minutes to put a large object together, and says so with white
/// space before its answer.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

pub(crate) async fn complete(context: &Context) -> Result<Event, Failure> {
    if !context.spec().is_stream() {
        let path = context.spec().path.clone();
        let shown = crate::files::shown(&path);
        let found = blocking(move || inspect_source(&path)).await?;
        if Some(found) != context.record.source {
            return Err(LocalFailure::SourceChanged { path: shown }.into());
        }
    }
    let Some(upload) = open_upload(context) else {
        return Err(LocalFailure::Connection {
            why: "no upload is open".into(),
        }
        .into());
    };
    let kind = checksum_of_parts(context);
    let whole = whole_of(&context.parts);
    let algorithm = kind.map(|(algorithm, _)| algorithm);
    let part_sum = |sum: &towline_core::Checksum| Some(sum.algorithm()) == algorithm;
    let request = CompleteUpload {
        upload,
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
    let asked = context.s3.complete_multipart_upload(request);
    let stored = stall::within(Operation::CompleteMultipartUpload, PATIENCE, asked)
        .await
        .map_err(Failure::from)
        .inspect_err(|failure| learn_of_condition(context, failure))?;
    let proof = object::prove(context, whole, &stored).await?;
    Ok(Event::Finished(proof))
}
