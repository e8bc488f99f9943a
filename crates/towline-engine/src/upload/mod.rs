//! The acts of an upload, a file each.

mod adopt;
mod complete;
mod discard;
mod inspect;
mod object;
mod open;
mod part;
mod piece;
mod reconcile;

pub(crate) use complete::complete;
pub(crate) use discard::discard;
pub(crate) use inspect::inspect;
pub(crate) use object::whole_of;
pub(crate) use open::open;
pub(crate) use part::part;
pub(crate) use reconcile::reconcile;

use towline_core::{Remote, Upload, WriteCondition};

use crate::act::Context;

/// The open multipart upload, if there is one.
pub(crate) fn open_upload(context: &Context) -> Option<Upload> {
    match &context.record.remote {
        Some(Remote::Upload(id)) => Some(upload_named(context, id.clone())),
        _ => None,
    }
}

pub(crate) fn upload_named(context: &Context, id: String) -> Upload {
    Upload {
        bucket: context.bucket(),
        key: context.key(),
        id,
        access: context.spec().options.access.clone(),
    }
}

pub(crate) fn condition(context: &Context) -> Option<WriteCondition> {
    context
        .spec()
        .options
        .if_absent
        .then_some(WriteCondition::Absent)
}
