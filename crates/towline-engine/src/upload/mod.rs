//! The acts of an upload, a file each.

mod adopt;
mod complete;
mod discard;
mod inspect;
mod ladder;
mod object;
mod open;
mod part;
mod piece;
mod reconcile;

pub(crate) use complete::complete;
pub(crate) use discard::discard;
pub(crate) use inspect::inspect;
pub(crate) use object::{Judgement, prove, whole_of};
pub(crate) use open::open;
pub(crate) use part::{no_etag, part};
pub(crate) use reconcile::reconcile;

use towline_core::{Failure, Remote, Upload, WriteCondition};

use crate::act::Context;
use crate::profile::{Fact, Heeds};

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

/// Learns from a failure whether the store knows conditional writes.
pub(crate) fn learn_of_condition(context: &Context, failure: &Failure) {
    let Failure::S3(error) = failure else { return };
    match error.status {
        _ if condition(context).is_none() => {}
        Some(412) => context.learn(Fact::WriteCondition(Heeds::Yes)),
        Some(501) => context.learn(Fact::WriteCondition(Heeds::Refuses)),
        _ => {}
    }
}

pub(crate) fn condition(context: &Context) -> Option<WriteCondition> {
    context
        .spec()
        .options
        .if_absent
        .then_some(WriteCondition::Absent)
}
