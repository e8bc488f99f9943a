//! What a copy carries besides its bytes: what its source does, but for what was asked
//! for instead.

use towline_core::{Failure, GetTags, ObjectHead, ObjectOptions, Operation, Tags};

use super::{origin, unchanged};
use crate::act::Context;
use crate::head;
use crate::profile::Fact;
use crate::stall::{self, SMALL_REQUEST};

/// All of it, for a multipart upload, which takes nothing from the source by itself.
pub(crate) async fn options(context: &Context) -> Result<ObjectOptions, Failure> {
    let head = unchanged(context).await?;
    let tags = match context.spec().options.object.tags.is_empty() {
        true => tags(context, &head).await?,
        false => Tags::new(),
    };
    let mut options = with_metadata_of(&context.spec().options.object, head);
    options.tags.extend(tags);
    Ok(options)
}

/// Whether metadata or headers are asked for that take the place of the source's.
pub(super) fn replaces_metadata(asked: &ObjectOptions) -> bool {
    let headers = [
        &asked.content_type,
        &asked.content_encoding,
        &asked.content_disposition,
        &asked.content_language,
        &asked.cache_control,
    ];
    headers.iter().any(|header| header.is_some())
        || asked.expires.is_some()
        || !asked.metadata.is_empty()
}

/// What was asked for, and for the rest what the source has. Its class, its ACL, its
/// encryption and its redirect are its own, as S3 has it with copies.
pub(super) fn with_metadata_of(asked: &ObjectOptions, head: ObjectHead) -> ObjectOptions {
    let mut options = asked.clone();
    for (option, of_source) in [
        (&mut options.content_type, head.content_type),
        (&mut options.content_encoding, head.content_encoding),
        (&mut options.content_disposition, head.content_disposition),
        (&mut options.content_language, head.content_language),
        (&mut options.cache_control, head.cache_control),
    ] {
        *option = option.take().or(of_source);
    }
    options.expires = options.expires.or(head.expires);
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
                context.learn(Fact::Right(operation, false));
                return Ok(Tags::new());
            }
            Err(failure)
        }
    }
}
