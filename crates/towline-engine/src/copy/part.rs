//! Copies one part, or the whole object in one request.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use towline_core::{
    ChecksumAlgorithm, CopyObject, Event, Failure, Operation, PartNumber, PartRow, PartStored,
    Proof, S3Error, Stored, Upload, UploadPartCopy,
};

use super::carry::{lost_tags, replaces_metadata, replaces_tags, with_metadata_of};
use super::{changed, copies_onto_itself, source, unchanged};
use crate::act::Context;
use crate::head;
use crate::stall;
use crate::upload::{condition, learn_of_condition, no_etag, open_upload, prove};

/// `None` when it was cut short.
pub(crate) async fn part(context: &Context, number: PartNumber) -> Option<Event> {
    let sent = AtomicBool::new(false);
    let work = async {
        let done = match open_upload(context) {
            Some(upload) => one_part(context, upload, number, &sent).await,
            None => whole(context, &sent).await.map(Event::Finished),
        };
        done.unwrap_or_else(|failure| Event::PartFailed {
            part: number,
            failure,
        })
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        event = &mut work => Some(event),
        () = context.stop.requested() => {
            // The store goes on with what it was asked for, whoever listens.
            if !sent.load(Relaxed) {
                return None;
            }
            tokio::time::timeout(stall::GRACE, work).await.ok()
        }
    }
}

async fn one_part(
    context: &Context,
    upload: Upload,
    number: PartNumber,
    sent: &AtomicBool,
) -> Result<Event, Failure> {
    let range = context.plan().range(number);
    let len = range.end - range.start;
    let request = UploadPartCopy {
        source: source(context)?,
        // A range of an object of up to 5 MiB is refused.
        range: (len < context.plan().size()).then_some(range),
        upload,
        number: number.get(),
    };
    towline_core::failpoint!("upload-part.begins");
    sent.store(true, Relaxed);
    let asked = context.s3.upload_part_copy(request);
    let PartStored { etag, checksum } =
        match patiently(context, Operation::UploadPartCopy, len, asked).await {
            Err(error) if error.status == Some(412) => {
                return Err(changed(context, "it has another ETag").into());
            }
            told => told?,
        };
    towline_core::failpoint!("upload-part.answered");
    let etag = Some(etag.ok_or_else(|| no_etag(Operation::UploadPartCopy, 0))?);
    Ok(Event::PartMoved(PartRow {
        number,
        len,
        etag,
        checksum,
    }))
}

async fn whole(context: &Context, sent: &AtomicBool) -> Result<Proof, Failure> {
    let mut request = request(context).await?;
    towline_core::failpoint!("put.begins");
    sent.store(true, Relaxed);
    let stored = match send(context, &request).await {
        // It may be for the source's tags, which a copy without them does not need.
        Err(failure)
            if head::is_denied(&failure)
                && !request.replace_tags
                && !context.stop.is_requested() =>
        {
            request.replace_tags = true;
            let stored =
                send(context, &request)
                    .await
                    .map_err(|again| match head::is_denied(&again) {
                        true => failure,
                        false => again,
                    })?;
            lost_tags(context);
            stored
        }
        told => told?,
    };
    towline_core::failpoint!("put.answered");
    prove(context, None, &stored).await
}

async fn request(context: &Context) -> Result<CopyObject, Failure> {
    let options = &context.spec().options;
    // S3 copies an object onto itself only where its metadata are replaced, by whatever.
    let replace_metadata = copies_onto_itself(context) || replaces_metadata(options);
    Ok(CopyObject {
        source: source(context)?,
        bucket: context.bucket(),
        key: context.key(),
        replace_tags: replaces_tags(options),
        options: match replace_metadata {
            true => with_metadata_of(options, unchanged(context).await?),
            false => options.object.clone(),
        },
        replace_metadata,
        checksum: Some(options.checksum).filter(|asked| *asked != ChecksumAlgorithm::default()),
        condition: condition(context),
        access: options.access.clone(),
        extra: options.extra.clone(),
    })
}

async fn send(context: &Context, request: &CopyObject) -> Result<Stored, Failure> {
    let asked = context.s3.copy_object(request.clone());
    let len = context.plan().size();
    let answer = patiently(context, Operation::CopyObject, len, asked).await;
    if let Err(error) = &answer
        && error.status == Some(412)
    {
        // Of two conditions, the answer does not tell which did not hold.
        unchanged(context).await?;
    }
    let answer = answer.map_err(Failure::from);
    if let Err(failure) = &answer {
        learn_of_condition(context, failure);
    }
    answer
}

async fn patiently<T>(
    context: &Context,
    operation: Operation,
    bytes: u64,
    asked: impl Future<Output = Result<T, S3Error>>,
) -> Result<T, S3Error> {
    let looks = || will_not_answer(context);
    let limit = takes_at_most(bytes);
    stall::at_work(operation, limit, context.patience(), asked, looks).await
}

/// A store may take minutes for many bytes, and says so with white space before its
/// answer; but none copies less than a MiB in a second.
fn takes_at_most(bytes: u64) -> Duration {
    Duration::from_secs(60 + (bytes >> 20)).min(stall::AT_MOST)
}

/// Whether the answer will not come any more: whoever is to give it is not there.
async fn will_not_answer(context: &Context) -> Option<&'static str> {
    match head::now(context, None).await {
        Err(Failure::S3(error)) if stall::is_silent(&error) => {
            Some("no answer, to another question neither")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_waited_for_as_long_as_the_slowest_store_needs_and_no_longer() {
        let minutes = |bytes| takes_at_most(bytes).as_secs() / 60;
        assert_eq!(minutes(0), 1);
        assert_eq!(minutes(128 << 20), 3, "a part");
        assert_eq!(
            minutes(256 << 20),
            5,
            "the most in one request, if not asked for"
        );
        assert_eq!(minutes(5 << 30), 30);
    }
}
