//! A small object in one request and one act. Its bytes are proven in memory, and
//! its file has no name until it is whole and durable: so nothing of it has to be
//! recorded before, and wherever this ends nothing is left behind.
//!
//! Only where nothing has the target's name. Else the object is found, and goes the
//! way of larger ones, by a temporary file that is renamed over what is there.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use towline_core::{
    ChecksumKind, Event, Failure, Fingerprint, GetObject, ObjectBody, ObjectHead, ObjectIdentity,
    Operation, PartNumber, Proof, S3Error, Timestamp, WhenTargetExists,
};

use super::find::{found, identity_of};
use super::seal::{self, prove};
use crate::act::Context;
use crate::budget::{BUFFER, Grant};
use crate::files::{Put, TargetDir};
use crate::progress::Moved;
use crate::stall;

/// Larger ones are asked for in ranges, and written as they come.
const MOST: u64 = BUFFER as u64;

/// A small object, proven.
pub(super) struct Whole {
    identity: ObjectIdentity,
    proof: Proof,
    bytes: Bytes,
    /// Until they are written.
    _grant: Grant,
}

/// Asks for all of an object that a listing called small. `None` where it is to be
/// found in the usual way: what the answer tells is not what the listing told, and
/// nothing else covers its length and its time; or its checksum is one of parts.
pub(super) async fn get(context: &Context) -> Result<Option<Whole>, Failure> {
    let Some(listed) = listed(context) else {
        return Ok(None);
    };
    towline_core::failpoint!("whole.asks");
    let grant = context.budget.take(listed.size).await;
    let moved = Moved::of_part(Arc::clone(&context.progress), PartNumber::FIRST);
    let moved = Arc::new(moved);
    let asked = async {
        let body = context.s3.get_object(request(context)).await?;
        if !agrees(&body, listed) {
            return Ok(None);
        }
        let ObjectBody { head, stream, .. } = body;
        Ok(Some((head, collect(context, stream, &moved).await?)))
    };
    let patience = context.patience();
    let asked = stall::watch(Operation::GetObject, asked, &moved, None, patience).await;
    let (head, bytes) = match asked {
        Ok(Some(told)) => told,
        // The transfer's condition does not hold: HEAD says what that means.
        Err(error) if matches!(error.status, Some(304 | 412)) => return Ok(None),
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    towline_core::failpoint!("whole.answered");
    let identity = identity_of(head);
    let proof = prove(context, &identity, &seal::Bytes::Memory(bytes.clone())).await?;
    Ok(Some(Whole {
        identity,
        proof,
        bytes,
        _grant: grant,
    }))
}

impl Whole {
    /// Puts its file where it belongs. `None` when that was not wanted any more.
    pub(super) async fn put(self, context: &Context) -> Result<Option<Event>, Failure> {
        let Self {
            identity,
            proof,
            bytes,
            ..
        } = self;
        let (size, modified) = (bytes.len() as u64, identity.last_modified);
        let (target, files) = (context.target(), context.files.clone());
        let stop = context.stop.clone();
        let put = move || {
            let dir = TargetDir::of(&*files, &target)?;
            dir.put_whole(&bytes, modified, || !stop.is_requested())
        };
        Ok(match context.files.brief(put).await? {
            Put::There => Some(Event::Fetched { size, proof }),
            Put::NotWanted => None,
            Put::Taken => Some(found(context, identity, size)),
            Put::Unsupported => {
                context.files.have_names();
                Some(found(context, identity, size))
            }
        })
    }
}

/// What a listing told of the object, if it may be fetched in this way.
fn listed(context: &Context) -> Option<Fingerprint> {
    let options = &context.spec().options;
    let listed = context.record.source?;
    let may = listed.size <= MOST
        && listed.modified_ns > 0
        && options.range.is_none()
        && options.when_target_exists == WhenTargetExists::Overwrite
        && !context.spec().is_stream()
        && context.files.may_be_nameless();
    may.then_some(listed)
}

fn request(context: &Context) -> GetObject {
    let options = &context.spec().options;
    GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id: context.object().version_id.clone(),
        condition: options.condition.clone(),
        access: options.access.clone(),
        extra: options.extra.clone(),
        ..GetObject::default()
    }
}

/// Whether all bytes come of what was listed, and can be proven at once. Times of
/// listings are finer than those of answers.
fn agrees(body: &ObjectBody, listed: Fingerprint) -> bool {
    let second = |at: Timestamp| at.as_millis().div_euclid(1000);
    let at = Timestamp::from_millis(listed.modified_ns / 1_000_000);
    let ObjectHead {
        size,
        last_modified,
        checksums,
        ..
    } = &body.head;
    let in_parts = |kind: &ChecksumKind| *kind == ChecksumKind::Composite;
    body.status == 200
        && body.range == (0..listed.size)
        && *size == Some(listed.size)
        && last_modified.map(second) == Some(second(at))
        && !checksums.iter().any(|(_, kind)| in_parts(kind))
}

async fn collect(
    context: &Context,
    mut stream: towline_core::ByteStream,
    moved: &Arc<Moved>,
) -> Result<Bytes, S3Error> {
    let mut pass = context.pass(moved);
    let mut all = BytesMut::new();
    while let Some(bytes) = stream.next().await {
        let mut bytes = bytes.map_err(super::part::broken)?;
        while !bytes.is_empty() {
            let len = bytes.len() as u64;
            let passed = std::future::poll_fn(|cx| pass.poll(cx, len)).await;
            moved.add(passed);
            all.extend_from_slice(&bytes.split_to(usize::try_from(passed).unwrap_or(bytes.len())));
        }
    }
    Ok(all.freeze())
}
