//! Copies one part, or the whole object in one request.

use std::time::Duration;

use towline_core::{
    ChecksumAlgorithm, CopyObject, Event, Failure, Operation, PartNumber, PartRow, PartStored,
    Proof, S3Error, S3ErrorKind, Stored, Upload, UploadPartCopy,
};

use super::carry::{replaces_metadata, with_metadata_of};
use super::{changed, copies_onto_itself, origin, source, unchanged};
use crate::act::Context;
use crate::head;
use crate::profile::Fact;
use crate::stall;
use crate::upload::{condition, is_silent, learn_of_condition, open_upload, prove};

/// The store may take minutes for many bytes, and says so with white space before its
/// answer.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

pub(crate) async fn part(context: &Context, number: PartNumber) -> Event {
    let done = match open_upload(context) {
        Some(upload) => one_part(context, upload, number).await,
        None => whole(context).await.map(Event::Finished),
    };
    done.unwrap_or_else(|failure| Event::PartFailed {
        part: number,
        failure,
    })
}

async fn one_part(context: &Context, upload: Upload, number: PartNumber) -> Result<Event, Failure> {
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
    let asked = context.s3.upload_part_copy(request);
    let PartStored { etag, checksum } =
        match patiently(context, Operation::UploadPartCopy, asked).await {
            Err(error) if error.status == Some(412) => {
                return Err(changed(context, "it has another ETag").into());
            }
            told => told?,
        };
    towline_core::failpoint!("upload-part.answered");
    let etag = Some(etag.ok_or_else(no_etag)?);
    Ok(Event::PartMoved(PartRow {
        number,
        len,
        etag,
        checksum,
    }))
}

async fn whole(context: &Context) -> Result<Proof, Failure> {
    let mut request = request(context).await?;
    towline_core::failpoint!("put.begins");
    let stored = match send(context, &request).await {
        // It may be for the source's tags, which a copy without them does not need.
        Err(failure) if head::is_denied(&failure) && !request.replace_tags => {
            request.replace_tags = true;
            let stored =
                send(context, &request)
                    .await
                    .map_err(|again| match head::is_denied(&again) {
                        true => failure,
                        false => again,
                    })?;
            context.learn(Fact::Right(Operation::GetObjectTagging, false));
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
    let replace_metadata = copies_onto_itself(context) || replaces_metadata(&options.object);
    let asked = options.object.clone();
    Ok(CopyObject {
        source: source(context)?,
        bucket: context.bucket(),
        key: context.key(),
        replace_tags: !asked.tags.is_empty(),
        options: match replace_metadata {
            true => with_metadata_of(&asked, unchanged(context).await?),
            false => asked,
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
    let answer = patiently(context, Operation::CopyObject, asked).await;
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
    asked: impl Future<Output = Result<T, S3Error>>,
) -> Result<T, S3Error> {
    tokio::select! {
        biased;
        told = stall::within(operation, PATIENCE, asked) => told,
        silent = silence(context, operation) => Err(silent),
    }
}

/// Ends when the answer will not come any more. Silence alone does not tell: the store
/// may be at work. But it answers another question meanwhile.
async fn silence(context: &Context, operation: Operation) -> S3Error {
    loop {
        context.clock.sleep(2 * context.patience().first_byte).await;
        let Ok(origin) = origin(context) else {
            continue;
        };
        if let Err(Failure::S3(error)) = head::of_origin(context, origin).await
            && is_silent(&error)
        {
            let why = "no answer, to another question neither";
            let mut error = S3Error::new(operation, S3ErrorKind::Stalled, why);
            error.request_sent = true;
            return error;
        }
    }
}

fn no_etag() -> S3Error {
    let message = "the answer to UploadPartCopy has no ETag, so it is no proof";
    let mut error = S3Error::new(Operation::UploadPartCopy, S3ErrorKind::Malformed, message);
    error.status = Some(200);
    error.request_sent = true;
    error
}
