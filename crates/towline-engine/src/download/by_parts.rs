//! Objects that have a checksum of their parts' checksums: it is computed again
//! from the same parts, whose bounds S3 tells one by one.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, Failure, GetObject, MAX_PARTS, ObjectHead,
    ObjectIdentity, Operation, PartPlan, ReadCondition, S3Error, S3ErrorKind,
};

use super::seal::{Bytes, checksum_of_range};
use crate::act::Context;
use crate::files::{OpenFile, target_failure};
use crate::hash::{composite, etag_parts};
use crate::stall::{self, SMALL_REQUEST};

/// So many parts are asked about at one time.
const AT_ONCE: usize = 8;

/// The length of the object's first part, where it is of use: all others can be
/// as long.
pub(super) async fn first_part(
    context: &Context,
    identity: &ObjectIdentity,
    size: u64,
) -> Result<Option<u64>, Failure> {
    let is_composite = matches!(identity.checksum, Some((_, ChecksumKind::Composite)));
    if !is_composite || identity.range.is_some() {
        return Ok(None);
    }
    let Some(head) = part(context, identity, 1).await? else {
        return Ok(None);
    };
    let first = head.range.filter(|range| range.start == 0);
    let len = first.map(|range| range.end).filter(|len| *len > 0);
    Ok(len.filter(|len| *len <= size && size.div_ceil(*len) <= MAX_PARTS))
}

/// Whether a download reads an object in the parts that it was made of.
pub(super) fn are_its_own(identity: &ObjectIdentity, plan: PartPlan) -> bool {
    identity.part_size.is_some() && plan.part_size() == identity.part_size
}

/// The checksum of the parts' checksums: as S3 has it, if the bytes are the same.
/// `None` where it cannot be told which bytes each part has.
pub(super) async fn sum(
    context: &Context,
    identity: &ObjectIdentity,
    bytes: &Bytes,
    expected: Checksum,
) -> Result<Option<Checksum>, Failure> {
    let (Some(part_size), algorithm) = (identity.part_size, expected.algorithm()) else {
        return Ok(None);
    };
    let size = context.plan().size();
    let even = PartPlan::recorded(size, part_size);
    let even: Vec<Range<u64>> = even.numbers().map(|part| even.range(part)).collect();
    let moved = are_its_own(identity, context.plan()).then(|| summed(context, algorithm));
    let ours = match moved.flatten() {
        Some(sum) => sum,
        None => match of_file(context, bytes, even.clone(), algorithm).await? {
            Some(sum) => sum,
            None => return Ok(None),
        },
    };
    if ours == expected {
        return Ok(Some(ours));
    }
    // Its parts may differ in length; S3 is asked for that of each.
    match bounds(context, identity, size).await? {
        Some(bounds) if bounds == even => Ok(Some(ours)),
        Some(bounds) => of_file(context, bytes, bounds, algorithm).await,
        None => Ok(None),
    }
}

/// From the checksums that the parts had when they came.
fn summed(context: &Context, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
    let mut sums = Vec::with_capacity(context.parts.len());
    for row in &context.parts {
        sums.push(row.checksum.filter(|sum| sum.algorithm() == algorithm)?);
    }
    let all = sums.len() == usize::try_from(context.plan().parts()).unwrap_or(usize::MAX);
    composite(sums.iter()).filter(|_| all)
}

/// From the bytes as they are on disk.
async fn of_file(
    context: &Context,
    bytes: &Bytes,
    bounds: Vec<Range<u64>>,
    algorithm: ChecksumAlgorithm,
) -> Result<Option<Checksum>, Failure> {
    let Bytes::File(file) = bytes else {
        return Ok(None); // they are gone
    };
    let file: Arc<dyn OpenFile> = Arc::clone(file);
    let sums = context.blocking(move || {
        let sum = |range: Range<u64>| checksum_of_range(&*file, range, algorithm);
        bounds.into_iter().map(sum).collect::<Result<Vec<_>, _>>()
    });
    let sums = sums
        .await
        .map_err(|error| target_failure(&context.spec().path, &error))?;
    Ok(composite(sums.iter()))
}

/// Which bytes each part has; `None` where S3 does not tell, or what it tells
/// does not add up.
async fn bounds(
    context: &Context,
    identity: &ObjectIdentity,
    size: u64,
) -> Result<Option<Vec<Range<u64>>>, Failure> {
    let count = match (identity.parts, identity.etag.as_deref()) {
        (Some(count), _) => Some(count),
        (None, Some(etag)) => etag_parts(etag),
        (None, None) => None,
    };
    let Some(count) = count.filter(|count| u64::from(*count) <= MAX_PARTS) else {
        return Ok(None);
    };
    let heads: Vec<Option<ObjectHead>> = futures_util::stream::iter(1..=count)
        .map(|number| part(context, identity, number))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let ranges: Option<Vec<Range<u64>>> = heads.into_iter().map(|head| head?.range).collect();
    Ok(ranges.filter(|ranges| adds_up(ranges, size)))
}

fn adds_up(ranges: &[Range<u64>], size: u64) -> bool {
    let mut at = 0;
    ranges.iter().all(|range| {
        let follows = range.start == at && range.end > at;
        at = range.end;
        follows
    }) && at == size
}

/// What S3 says of one part; `None` where it says no.
async fn part(
    context: &Context,
    identity: &ObjectIdentity,
    number: u32,
) -> Result<Option<ObjectHead>, Failure> {
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id: identity
            .version_id
            .clone()
            .or(context.object().version_id.clone()),
        condition: ReadCondition::default(),
        part_number: Some(number),
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
        range: None,
    };
    let asked = context.s3.head_object(request);
    match stall::within(Operation::HeadObject, SMALL_REQUEST, asked).await {
        Ok(head) => Ok(Some(head).filter(|head| head.etag == identity.etag)),
        Err(error) if says_no(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// It knows no numbers of parts, or tells nothing of them.
fn says_no(error: &S3Error) -> bool {
    let refused = |status| matches!(status, 400 | 403 | 404 | 405 | 412 | 416 | 501);
    error.kind == S3ErrorKind::Answer && error.status.is_some_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_leave_a_gap_overlap_or_end_early_do_not_add_up() {
        assert!(adds_up(&[0..5, 5..6, 6..10], 10));
        for wrong in [
            vec![0..5, 6..10],
            vec![0..5, 4..10],
            vec![0..5, 5..9],
            vec![1..5, 5..10],
            vec![0..5, 5..5, 5..10],
            vec![],
        ] {
            assert!(!adds_up(&wrong, 10), "{wrong:?}");
        }
    }
}
