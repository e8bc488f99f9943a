//! Objects of stores that know no ranges: all of it comes, and what is wanted is
//! cut out.

use std::future::ready;
use std::ops::Range;
use std::sync::Arc;

use bytes::Buf;
use futures_util::StreamExt;
use towline_core::{ByteStream, Failure, GetObject, LocalFailure, ObjectBody, S3Error};

use crate::act::Context;
use crate::profile::{Fact, Heeds, may_refuse_a_header};
use crate::progress::Moved;

/// Asks for a range of the object: as a range, and on its condition, where the
/// store knows these. A file that was planned in parts begins again as a whole;
/// of a stream, whose bytes are held in memory, each part is cut out.
pub(crate) async fn get(
    context: &Context,
    mut request: GetObject,
) -> Result<Result<ObjectBody, S3Error>, LocalFailure> {
    let (ranges, reads) = {
        let profile = context.profile.profile();
        (profile.ranges(), profile.read_conditions())
    };
    if ranges == Some(false) {
        if context.plan().parts() > 1 && !context.spec().is_stream() {
            return Err(no_ranges(context));
        }
        request.range = None;
    }
    if reads == Some(Heeds::Refuses) {
        request.condition.if_match = None;
    }
    let bare = reads.is_none() && request.condition.if_match.is_some();
    match context.s3.get_object(request.clone()).await {
        Err(error) if bare && may_refuse_a_header(&error) => {
            // The ETag of each answer is compared in any case.
            request.condition.if_match = None;
            let answer = context.s3.get_object(request).await;
            if answer.is_ok() {
                context.learn(Fact::ReadCondition(Heeds::Refuses));
            }
            Ok(answer)
        }
        answer => Ok(answer),
    }
}

/// What an answer says of ranges: whether all of the object came instead of the
/// one that was asked for, and that is how this store is.
pub(crate) fn look_at(
    context: &Context,
    body: &ObjectBody,
    asked: &Range<u64>,
) -> Result<(), Failure> {
    if body.range == *asked {
        if body.status == 206 {
            context.learn(Fact::Ranges(true));
        }
        return Ok(());
    }
    // Anything else under status 200 is a wrong answer, and not this object.
    let (identity, _) = super::identity(context)?;
    let size = identity.range.map_or(context.plan().size(), |of| of.size);
    let is_the_object = body.range == (0..size) && body.head.etag == identity.etag;
    if body.status != 200 || !is_the_object || context.profile.profile().ranges() == Some(false) {
        return Ok(());
    }
    if context.profile.profile().range_was_ignored() {
        context.learn(Fact::Ranges(false));
        if !context.spec().is_stream() && context.plan().parts() > 1 {
            return Err(no_ranges(context).into());
        }
    }
    Ok(())
}

fn no_ranges(context: &Context) -> LocalFailure {
    LocalFailure::NoRanges {
        object: context.object().to_string(),
    }
}

/// Of an answer that covers more than was asked for, only that.
pub(crate) fn cut_out(body: ObjectBody, asked: &Range<u64>, moved: Arc<Moved>) -> ByteStream {
    if body.range == *asked {
        return body.stream;
    }
    let mut skip = asked.start.saturating_sub(body.range.start);
    let mut left = asked.end - asked.start;
    let wanted = body.stream.scan((), move |(), bytes| {
        ready(match bytes {
            _ if left == 0 => None,
            Err(error) => Some(Err(error)),
            Ok(mut bytes) => {
                let skipped = skip.min(bytes.len() as u64);
                moved.skip(skipped);
                skip -= skipped;
                bytes.advance(usize::try_from(skipped).unwrap_or(bytes.len()));
                bytes.truncate(usize::try_from(left).unwrap_or(bytes.len()));
                left -= bytes.len() as u64;
                Some(Ok(bytes))
            }
        })
    });
    Box::pin(wanted)
}
