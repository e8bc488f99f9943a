//! The bytes of an upload's parts, wherever they are.

use std::ops::Range;

use bytes::Bytes;
use towline_core::{
    Checksum, ChecksumAlgorithm, LocalFailure, PartNumber, Trailer, WhenSourceChanges,
};

use crate::act::Context;
use crate::body::{self, Prepared, SourceRange};
use crate::budget::BUFFER;
use crate::files::{Planned, shown};
use crate::stream::{Given, Source, Stream};

/// Some bytes of the source.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// In its file.
    File(SourceRange),
    /// In memory.
    Held(Bytes),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::File(source) => source.range.end - source.range.start,
            Self::Held(bytes) => bytes.len() as u64,
        }
    }
}

/// What the source has for a part.
pub(crate) enum Wanted {
    Piece(Piece),
    /// The stream has ended, and the plan is still open.
    Ended(u64),
}

/// The bytes of a part.
pub(crate) fn of_part(context: &Context, number: PartNumber) -> Result<Wanted, LocalFailure> {
    if !context.spec().is_stream() {
        return Ok(Wanted::Piece(in_file(
            context,
            context.plan().range(number),
        )?));
    }
    Ok(match source(context)?.part(number, context.plan())? {
        Given::Part(bytes) => Wanted::Piece(Piece::Held(bytes)),
        Given::Ended(size) => Wanted::Ended(size),
    })
}

/// All bytes; `None` of a reader, which does not have them any more.
pub(crate) fn whole(context: &Context) -> Result<Option<Piece>, LocalFailure> {
    if !context.spec().is_stream() {
        return in_file(context, 0..context.plan().size()).map(Some);
    }
    Ok(source(context)?.whole().map(Piece::Held))
}

/// The stream that it is read from, if it is still there.
pub(crate) fn source(context: &Context) -> Result<&Source, LocalFailure> {
    match &context.stream {
        Some(Stream::Up(source)) => Ok(source),
        _ => Err(LocalFailure::SourceNotReopenable),
    }
}

/// The source as it was planned.
pub(crate) fn planned(context: &Context) -> Result<Planned, LocalFailure> {
    let policy = context.spec().options.when_source_changes;
    let planned = context.record.source.map(|was| Planned {
        was,
        may_grow: policy == WhenSourceChanges::AllowGrowth,
    });
    planned.ok_or_else(|| LocalFailure::SourceChanged {
        path: shown(&context.spec().path),
        why: "what it was is not recorded".into(),
    })
}

/// Whether the bytes of a source that has grown are still those that were sent.
pub(crate) async fn is_unchanged(
    context: &Context,
    piece: Piece,
    sent: Checksum,
) -> Result<(), LocalFailure> {
    if checksum(context, piece, sent.algorithm()).await? == sent {
        return Ok(());
    }
    Err(LocalFailure::SourceChanged {
        path: shown(&context.spec().path),
        why: "it did not only grow: bytes that it had are others now".into(),
    })
}

fn in_file(context: &Context, range: Range<u64>) -> Result<Piece, LocalFailure> {
    let path = context.spec().path.clone();
    let planned = planned(context)?;
    Ok(Piece::File(SourceRange {
        path,
        planned,
        range,
    }))
}

/// Reads it through once, and keeps it in memory if that is wished and there is room.
pub(crate) async fn prepare(
    context: &Context,
    piece: Piece,
    algorithm: ChecksumAlgorithm,
    keep: bool,
) -> Result<(Checksum, Prepared), LocalFailure> {
    let (files, budget) = (context.files.clone(), context.budget.clone());
    let is_small = piece.len() <= BUFFER as u64;
    let prepare = move || match piece {
        Piece::File(source) => body::prepare(&files, source, algorithm, keep, &budget),
        Piece::Held(bytes) => Ok(body::held(&bytes, algorithm)),
    };
    match is_small {
        true => context.files.brief(prepare).await,
        false => context.blocking(prepare).await,
    }
}

/// Opens what is to be read as it is sent.
pub(crate) async fn open(
    context: &Context,
    source: SourceRange,
    algorithm: ChecksumAlgorithm,
) -> Result<(Trailer, Prepared), LocalFailure> {
    let files = context.files.clone();
    let unread = context.s3.unread(context.object().bucket.as_str());
    let open = move || body::open(&files, source, algorithm, unread);
    context.files.brief(open).await
}

/// Its checksum.
pub(crate) async fn checksum(
    context: &Context,
    piece: Piece,
    algorithm: ChecksumAlgorithm,
) -> Result<Checksum, LocalFailure> {
    let (checksum, _) = prepare(context, piece, algorithm, false).await?;
    Ok(checksum)
}
