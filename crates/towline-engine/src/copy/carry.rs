//! What a copy carries besides its bytes: what its source does, but for what was asked
//! for instead.

use towline_core::{Failure, GetTags, ObjectHead, ObjectOptions, Operation, Tags, TransferOptions};

use super::{origin, unchanged};
use crate::act::Context;
use crate::head;
use crate::profile::Fact;
use crate::stall::{self, SMALL_REQUEST};

/// All of it, for a multipart upload, which takes nothing from the source by itself.
pub(crate) async fn options(context: &Context) -> Result<ObjectOptions, Failure> {
    let head = unchanged(context).await?;
    let tags = match replaces_tags(&context.spec().options) {
        true => Tags::new(),
        false => tags(context, &head).await?,
    };
    let mut options = with_metadata_of(&context.spec().options, head);
    options.tags.extend(tags);
    Ok(options)
}

/// Headers of a caller's own that say what an option may say too.
const EXPIRES: &str = "expires";
const TAGGING: &str = "x-amz-tagging";

/// Whether metadata or headers are asked for that take the place of the source's.
pub(super) fn replaces_metadata(options: &TransferOptions) -> bool {
    let asked = &options.object;
    let headers = [
        &asked.content_type,
        &asked.content_encoding,
        &asked.content_disposition,
        &asked.content_language,
        &asked.cache_control,
    ];
    headers.iter().any(|header| header.is_some())
        || asked.expires.is_some()
        || options.extra.headers.contains_key(EXPIRES)
        || !asked.metadata.is_empty()
}

/// Whether tags are asked for that take the place of the source's.
pub(super) fn replaces_tags(options: &TransferOptions) -> bool {
    !options.object.tags.is_empty() || options.extra.headers.contains_key(TAGGING)
}

/// What was asked for, and for the rest what the source has. Its class, its ACL, its
/// encryption and its redirect are its own, as S3 has it with copies.
pub(super) fn with_metadata_of(asked: &TransferOptions, head: ObjectHead) -> ObjectOptions {
    let mut options = asked.object.clone();
    for (option, of_source) in [
        (&mut options.content_type, head.content_type),
        (&mut options.content_encoding, head.content_encoding),
        (&mut options.content_disposition, head.content_disposition),
        (&mut options.content_language, head.content_language),
        (&mut options.cache_control, head.cache_control),
    ] {
        *option = option.take().or(of_source);
    }
    if !asked.extra.headers.contains_key(EXPIRES) {
        options.expires = options.expires.or(head.expires);
    }
    if options.metadata.is_empty() {
        options.metadata = head.metadata;
    }
    options
}

/// The tags of the source. Where they may not be read the copy has none, which is told.
async fn tags(context: &Context, head: &ObjectHead) -> Result<Tags, Failure> {
    if head.tag_count == Some(0) {
        return Ok(Tags::new());
    }
    let origin = origin(context)?;
    let asked = context.s3.get_object_tagging(GetTags {
        bucket: origin.bucket.as_str().to_owned(),
        key: origin.key.as_str().to_owned(),
        version_id: origin.version_id,
        access: head::access_to_origin(context),
    });
    let operation = Operation::GetObjectTagging;
    match stall::within(operation, SMALL_REQUEST, asked).await {
        Ok(tags) => Ok(tags),
        // Some stores say so of an object without any.
        Err(error) if error.code() == "NoSuchTagSet" => Ok(Tags::new()),
        Err(error) => {
            let failure = Failure::from(head::of_what_is_copied(error));
            if head::is_denied(&failure) {
                lost_tags(context);
                return Ok(Tags::new());
            }
            Err(failure)
        }
    }
}

/// Says so of each copy: it may lack what its owner relies on.
pub(super) fn lost_tags(context: &Context) {
    context.learn_and_tell(Fact::Right(Operation::GetObjectTagging, false));
}
