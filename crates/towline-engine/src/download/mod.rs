//! The acts of a download, a file each.

mod at_once;
mod by_parts;
mod discard;
mod find;
mod identical;
mod part;
mod publish;
mod reconcile;
mod seal;
mod slow;
mod temp;
mod whole;
mod writing;

pub(crate) use discard::discard;
pub(crate) use find::{find, identity_of};
pub(crate) use part::part;
pub(crate) use publish::publish;
pub(crate) use reconcile::reconcile;
pub(crate) use seal::seal;
pub(crate) use temp::Open;

use towline_core::{
    ChecksumAlgorithm, ChecksumKind, Failure, LocalFailure, ObjectIdentity, PartPlan, Remote, Temp,
};

use crate::act::Context;
use crate::stream::{Sink, Stream};

/// What is downloaded, and to which temporary file.
pub(crate) fn identity(context: &Context) -> Result<(&ObjectIdentity, &Temp), Failure> {
    match &context.record.remote {
        Some(Remote::Object(identity, temp)) => Ok((identity, temp)),
        _ => Err(temp_gone(context)),
    }
}

/// Who takes the bytes, if they go to no file and somebody is still there.
pub(crate) fn sink(context: &Context) -> Result<&Sink, LocalFailure> {
    match &context.stream {
        Some(Stream::Down(sink)) => Ok(sink),
        _ => Err(LocalFailure::TargetNotReopenable),
    }
}

/// The algorithm by which each part is summed: the object's own where the sums
/// of parts give that of the whole, or where the parts are the object's own.
pub(crate) fn part_algorithm(identity: &ObjectIdentity, plan: PartPlan) -> ChecksumAlgorithm {
    match identity.checksum {
        Some((sum, ChecksumKind::FullObject)) if sum.algorithm().combines() => sum.algorithm(),
        Some((sum, ChecksumKind::Composite)) if by_parts::are_its_own(identity, plan) => {
            sum.algorithm()
        }
        _ => ChecksumAlgorithm::Crc64Nvme,
    }
}

pub(crate) fn temp_gone(context: &Context) -> Failure {
    LocalFailure::TempGone {
        path: crate::files::shown(&context.spec().path),
    }
    .into()
}

pub(crate) fn wrong_bytes(context: &Context, why: impl Into<String>) -> Failure {
    LocalFailure::WrongBytes {
        object: context.object().to_string(),
        why: why.into(),
    }
    .into()
}
