//! Tells whether an object at S3 is ours, and how strongly that is proven.

use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, Failure, LocalFailure, ObjectHead, Operation,
    PartChecksum, PartRow, Proof, Stored, Verified,
};

use super::piece::{self, Piece, Wanted};
use crate::act::Context;
use crate::copy;
use crate::hash::{composite, etag_md5};
use crate::head;
use crate::profile::{Checks, Fact};

/// Compares what S3 says it stored with what was sent, and learns whether the
/// store says anything at all.
pub(crate) fn check_echo(
    context: &Context,
    sent: &Checksum,
    echoed: Option<&Checksum>,
    etag: Option<&str>,
) -> Result<(), LocalFailure> {
    let wrong = |why: String| {
        Err(LocalFailure::StoredWrong {
            object: context.object().to_string(),
            why,
        })
    };
    if echoed.is_some() {
        context.learn(Fact::Checksum(sent.algorithm(), Checks::Shown));
    }
    match echoed {
        Some(stored) if stored.algorithm() == sent.algorithm() && stored != sent => {
            wrong(format!("it has {stored:?}, sent was {sent:?}"))
        }
        Some(_) => Ok(()),
        None if sent.algorithm() != ChecksumAlgorithm::Md5 => {
            context.learn(Fact::Checksum(sent.algorithm(), Checks::Silent));
            Ok(())
        }
        // The ETag of unencrypted bytes is their MD5; S3 has checked Content-MD5
        // in any case, so an opaque one is no sign of a fault.
        None => match etag.and_then(etag_md5) {
            Some((md5, None)) if md5 != *sent => {
                tracing::debug!(?md5, ?sent, "the ETag is no MD5 of the bytes");
                Ok(())
            }
            _ => Ok(()),
        },
    }
}

/// The checksum that went with bytes which are out.
pub(crate) fn sent_sum(context: &Context, sent: &PartChecksum) -> Result<Checksum, LocalFailure> {
    sent.value().ok_or_else(|| LocalFailure::StoredWrong {
        object: context.object().to_string(),
        why: "it was said to be stored before its checksum was sent".into(),
    })
}

/// A store that does not tell the checksum that followed the bytes did not look at
/// it, and may have taken it for a part of them.
pub(crate) fn check_trailer(
    context: &Context,
    sent: &Checksum,
    echoed: Option<&Checksum>,
) -> Result<(), LocalFailure> {
    if echoed != Some(sent) {
        return Err(LocalFailure::StoredWrong {
            object: context.object().to_string(),
            why: format!("a part of it has {echoed:?}, sent was {sent:?} behind its bytes"),
        });
    }
    context.learn(Fact::Trailers(true));
    Ok(())
}

/// For a part whose answer echoed no checksum: its MD5, where the ETag shows
/// the same one, and otherwise the checksum that was sent.
pub(crate) async fn checksum_that_the_store_shows(
    context: &Context,
    source: Piece,
    sent: Checksum,
    etag: &str,
) -> Result<Checksum, LocalFailure> {
    let Some((shown, None)) = etag_md5(etag) else {
        return Ok(sent);
    };
    if sent.algorithm() == ChecksumAlgorithm::Md5 {
        return Ok(sent);
    }
    let ours = piece::checksum(context, source, ChecksumAlgorithm::Md5).await?;
    Ok(if ours == shown { ours } else { sent })
}

/// The proof for an object that S3 has just said it stored; asks S3 where its
/// answer proves too little.
pub(crate) async fn prove(
    context: &Context,
    whole: Option<Checksum>,
    stored: &Stored,
) -> Result<Proof, Failure> {
    let answer = ObjectHead {
        etag: stored
            .etag
            .clone()
            .filter(|etag| !etag.trim_matches('"').is_empty()),
        size: None,
        version_id: stored.version_id.clone(),
        checksums: stored.checksum.into_iter().collect(),
        ..ObjectHead::default()
    };
    if let Judgement::Ours(proof) = judge(context, &context.parts, whole, &answer)
        && proof.verified > Verified::PerPart
    {
        return Ok(proof);
    }
    let head = match head::now(context, stored.version_id.clone()).await {
        // Who may not look has S3's word, and what its answer shows.
        Err(failure) if head::is_denied(&failure) => {
            // The object is there, so that it is denied indeed.
            context.learn(Fact::Right(Operation::HeadObject, false));
            answer
        }
        told => told?.ok_or_else(|| LocalFailure::StoredWrong {
            object: context.object().to_string(),
            why: "it is not there after S3 said it was stored".into(),
        })?,
    };
    match judge(context, &context.parts, whole, &head) {
        Judgement::Ours(proof) => Ok(proof),
        // Only the length can be told; that S3 said it stored our bytes stands.
        Judgement::Unknown => Ok(proof(Verified::SizeOnly, &head, None)),
        Judgement::Other(why) => Err(LocalFailure::StoredWrong {
            object: context.object().to_string(),
            why,
        }
        .into()),
    }
}

/// Whether an object is ours.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// It has our bytes.
    Ours(Proof),
    /// Nothing it shows can be compared beyond its length.
    Unknown,
    /// It has other bytes.
    Other(String),
}

/// Compares an object with the checksums of our parts, or of the whole.
pub(crate) fn judge(
    context: &Context,
    parts: &[PartRow],
    whole: Option<Checksum>,
    head: &ObjectHead,
) -> Judgement {
    let size = context.plan().size();
    if let Some(origin) = &context.record.origin {
        return copy::judge(size, origin, head);
    }
    if let Some(there) = head.size.filter(|there| *there != size) {
        return Judgement::Other(format!("it has {there} bytes, ours has {size}"));
    }
    let whole = whole.or_else(|| whole_of(parts));
    for (sum, kind) in &head.checksums {
        let ours = match kind {
            ChecksumKind::FullObject => whole,
            ChecksumKind::Composite => composite(parts.iter().filter_map(|p| p.checksum.as_ref())),
        };
        if let Some(ours) = ours.filter(|ours| ours.algorithm() == sum.algorithm()) {
            let verified = match kind {
                ChecksumKind::FullObject => Verified::FullObject,
                ChecksumKind::Composite => Verified::Composite,
            };
            return if ours == *sum {
                Judgement::Ours(proof(verified, head, Some((*sum, *kind))))
            } else {
                Judgement::Other(format!("it has {sum:?}, ours is {ours:?}"))
            };
        }
    }
    if let Some((md5, count)) = head.etag.as_deref().and_then(etag_md5) {
        let ours = match count {
            None => whole.filter(|sum| sum.algorithm() == ChecksumAlgorithm::Md5),
            Some(count) if count as usize == parts.len() => etag_of_parts(parts),
            Some(_) => None,
        };
        if ours == Some(md5) {
            let kind = if count.is_some() {
                ChecksumKind::Composite
            } else {
                ChecksumKind::FullObject
            };
            // Made of our parts; how strongly those are proven depends on each.
            let verified = if count.is_none() || all_md5(parts) {
                Verified::Md5
            } else {
                Verified::PerPart
            };
            return Judgement::Ours(proof(verified, head, Some((md5, kind))));
        }
    }
    Judgement::Unknown
}

/// Tells whether the object that is there now is ours, reading the source
/// again where nothing else can tell.
pub(crate) async fn is_ours(context: &Context, head: &ObjectHead) -> Result<Judgement, Failure> {
    if let Some(origin) = &context.record.origin {
        return Ok(copy::is_ours(context, origin, head));
    }
    match judge(context, &context.parts, None, head) {
        Judgement::Unknown => {}
        told => return Ok(told),
    }
    let plan = context.plan();
    let etag = head.etag.as_deref().and_then(etag_md5);
    // What the object shows decides what is computed: one checksum of all the
    // bytes, or the MD5s of parts cut as we cut them.
    let (algorithm, by_part) = match (head.checksums.first(), etag) {
        (Some((sum, ChecksumKind::FullObject)), _) => (sum.algorithm(), false),
        (Some((sum, ChecksumKind::Composite)), _) => (sum.algorithm(), true),
        (None, Some((_, None))) => (ChecksumAlgorithm::Md5, false),
        (None, Some((_, Some(_)))) => (ChecksumAlgorithm::Md5, true),
        (None, None) => return Ok(Judgement::Unknown),
    };
    let mut rows = Vec::new();
    let mut whole = None;
    if by_part {
        for number in plan.numbers() {
            let source = match piece::of_part(context, number) {
                Ok(Wanted::Piece(piece)) => piece,
                Err(failure) if !context.spec().is_stream() => return Err(failure.into()),
                // It was given away, so nothing can be told.
                Ok(Wanted::Ended(_)) | Err(_) => return Ok(Judgement::Unknown),
            };
            let sum = piece::checksum(context, source, algorithm).await?;
            let len = plan.len(number);
            rows.push(PartRow {
                number,
                len,
                etag: None,
                checksum: Some(sum),
            });
        }
    } else {
        let all = match piece::whole(context) {
            Ok(Some(all)) => all,
            Err(failure) if !context.spec().is_stream() => return Err(failure.into()),
            Ok(None) | Err(_) => return Ok(Judgement::Unknown),
        };
        whole = Some(piece::checksum(context, all, algorithm).await?);
    }
    Ok(judge(context, &rows, whole, head))
}

/// The checksum of all parts together, where their algorithm combines.
pub(crate) fn whole_of(parts: &[PartRow]) -> Option<Checksum> {
    let mut parts = parts.iter();
    let first = parts.next()?.checksum?;
    parts.try_fold(first, |sum, part| {
        sum.followed_by(&part.checksum?, part.len)
    })
}

/// The ETag that an object made of these parts has.
fn etag_of_parts(parts: &[PartRow]) -> Option<Checksum> {
    let sums: Option<Vec<Checksum>> = parts
        .iter()
        .map(|part| match part.etag.as_deref().and_then(etag_md5) {
            Some((sum, None)) => Some(sum),
            _ => part
                .checksum
                .filter(|sum| sum.algorithm() == ChecksumAlgorithm::Md5),
        })
        .collect();
    composite(sums?.iter())
}

/// Whether the MD5 of each part is known and is what the store shows.
fn all_md5(parts: &[PartRow]) -> bool {
    parts.iter().all(|part| {
        let ours = part
            .checksum
            .filter(|sum| sum.algorithm() == ChecksumAlgorithm::Md5);
        let shown = part.etag.as_deref().and_then(etag_md5);
        ours.is_some() && shown.is_none_or(|(sum, _)| Some(sum) == ours)
    })
}

fn proof(
    verified: Verified,
    head: &ObjectHead,
    checksum: Option<(Checksum, ChecksumKind)>,
) -> Proof {
    Proof {
        verified,
        etag: head.etag.clone(),
        version_id: head.version_id.clone(),
        checksum,
        renamed: None,
    }
}
