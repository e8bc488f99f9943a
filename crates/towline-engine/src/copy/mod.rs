//! What a copy does otherwise than an upload: its source is an object, which the store
//! reads by itself. All else, from opening the upload to discarding it, is the upload's.

mod carry;
mod inspect;
mod judge;
mod late;
mod part;

pub(crate) use inspect::inspect;
pub(crate) use judge::{check_whole, is_ours, is_the_source, judge};
pub(crate) use late::landed_late;
pub(crate) use part::part;

use towline_core::{
    ChecksumAlgorithm, ChecksumKind, CopySource, Failure, LocalFailure, ObjectAddress, ObjectHead,
    ObjectIdentity,
};

use crate::act::Context;
use crate::head;

pub(crate) use carry::options;

/// The object that is copied.
fn origin(context: &Context) -> Result<ObjectAddress, LocalFailure> {
    let origin = context.spec().origin();
    origin.ok_or_else(|| LocalFailure::SourceUnreadable {
        path: crate::files::shown(&context.spec().path),
        why: "it is no S3 URL of an object".into(),
        missing: false,
    })
}

/// Whether what is written has the name of what is read.
fn copies_onto_itself(context: &Context) -> bool {
    let origin = context.spec().origin();
    origin.is_some_and(|origin| {
        (&origin.bucket, &origin.key) == (&context.object().bucket, &context.object().key)
    })
}

/// The version of it that this generation is copied from.
fn identity(context: &Context) -> Result<&ObjectIdentity, LocalFailure> {
    let identity = context.record.origin.as_ref();
    identity.ok_or_else(|| changed(context, "what it was is not recorded"))
}

/// What a request names as its source, which must still be what it was.
fn source(context: &Context) -> Result<CopySource, LocalFailure> {
    let origin = origin(context)?;
    Ok(CopySource {
        bucket: origin.bucket.as_str().to_owned(),
        key: origin.key.as_str().to_owned(),
        version_id: origin.version_id,
        if_match: identity(context)?.etag.clone(),
    })
}

fn changed(context: &Context, why: &str) -> LocalFailure {
    LocalFailure::SourceChanged {
        path: crate::files::shown(&context.spec().path),
        why: why.into(),
    }
}

/// The source as it is now, if it is still what it was.
pub(crate) async fn unchanged(context: &Context) -> Result<ObjectHead, Failure> {
    let head = head::of_origin(context, origin(context)?).await?;
    if head.etag != identity(context)?.etag {
        return Err(changed(context, "it has another ETag").into());
    }
    Ok(head)
}

/// By which algorithm the copy is summed: as was asked for, or as the source is, so
/// that both can be compared.
pub(crate) fn algorithm(context: &Context) -> ChecksumAlgorithm {
    let asked = context.spec().options.checksum;
    let of_source = context
        .record
        .origin
        .as_ref()
        .and_then(|origin| origin.checksum);
    match of_source {
        Some((sum, ChecksumKind::FullObject))
            if asked == ChecksumAlgorithm::default() && sum.algorithm().combines() =>
        {
            sum.algorithm()
        }
        _ => asked,
    }
}
