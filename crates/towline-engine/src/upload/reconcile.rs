//! Asks S3 what it has of an upload: after a crash, a pause, a lost answer.

use std::collections::BTreeMap;

use towline_core::{
    Asked, ChecksumAlgorithm, Event, Failure, Found, ListedPart, LocalFailure, ObjectHead,
    Operation, PartNumber, PartRow, Request, S3Error, S3ErrorKind, Timestamp, Upload,
};

use super::adopt::adopt;
use super::discard::abort;
use super::ladder::Ladder;
use super::object::{self, Judgement};
use super::open_upload;
use super::piece::{self, Wanted};
use crate::act::Context;
use crate::copy;
use crate::hash::etag_md5;
use crate::head;
use crate::profile::Fact;
use crate::stall::{self, SMALL_REQUEST};

/// A listing that is not at its end after so many pages has none.
pub(super) const MAX_PAGES: u32 = 1000;

pub(crate) async fn reconcile(context: &Context) -> Result<Event, Failure> {
    towline_core::failpoint!("reconcile.begins");
    let asked = context.record.asked;
    let found = match (open_upload(context), asked) {
        (Some(upload), _) => open_or_landed(context, upload).await?,
        (
            None,
            Some(Asked {
                request: Request::Create,
                at,
            }),
        ) => adopt(context, at).await?,
        (
            None,
            Some(Asked {
                request: Request::Put,
                ..
            }),
        ) => put_landed(context).await?,
        (None, _) => Found::Nothing,
    };
    // A stream whose process is gone can only be found done, or all sent.
    let finishes = match &found {
        Found::Landed(_) => true,
        Found::Upload { parts, .. } => {
            let plan = context.plan();
            !plan.is_open() && parts.len() == plan.parts() as usize
        }
        _ => false,
    };
    if context.spec().is_stream() && !finishes {
        piece::source(context)?;
    }
    Ok(Event::Reconciled(found))
}

async fn open_or_landed(context: &Context, upload: Upload) -> Result<Found, Failure> {
    let completing = context
        .record
        .asked
        .filter(|asked| asked.request == Request::Complete);
    let listed = match list_parts(context, &upload).await {
        Err(failure) if head::is_denied(&failure) => {
            return unlisted(context, upload, completing.is_some()).await;
        }
        told => told?,
    };
    towline_core::failpoint!("reconcile.parts-listed");
    let Some(completing) = completing else {
        return match listed {
            Some(listed) => open(context, upload, listed).await,
            None => Ok(Found::Gone),
        };
    };
    // While the upload is open, an object matters only to who must not replace one.
    if let Some(listed) = listed {
        if context.spec().options.if_absent
            && let Some(there) = head::now(context, None).await?
        {
            let found = judged(context, &there).await?;
            if let Some(Found::Landed(_)) = found {
                abort(context, &upload).await?; // nothing else would
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
        return open(context, upload, listed).await;
    }
    landed_or_late(context, completing.at).await
}

/// The upload is gone after a Complete was asked for: it made the object,
/// somebody else's stands there, or it may still be applied.
async fn landed_or_late(context: &Context, asked_at: Timestamp) -> Result<Found, Failure> {
    let must_not_replace = context.spec().options.if_absent;
    let there = match head::now(context, None).await {
        // Nobody will ever know; sent again, it is at least there.
        Err(failure) if head::is_denied(&failure) && !must_not_replace => return Ok(Found::Gone),
        told => told?,
    };
    towline_core::failpoint!("reconcile.object-told");
    let Some(there) = there else {
        return Ok(Found::Unseen);
    };
    let judgement = object::is_ours(context, &there).await?;
    towline_core::failpoint!("reconcile.object-judged");
    if let Some(found) = decided(context, &judgement) {
        return Ok(found);
    }
    let now = context.clock.now_at(&*context.s3);
    let newer =
        head::is_newer(&there, asked_at, now.server) && !copy::is_the_source(context, &there);
    Ok(match judgement {
        Judgement::Unknown => Found::Gone, // sent again, so that it is known
        _ if newer => {
            let why = "it was written after our own Complete was sent".into();
            Found::Conflict(another_object(context, why))
        }
        _ => Found::Unseen,
    })
}

/// Who may not list the parts believes what is recorded of them; a Complete
/// will tell the rest.
async fn unlisted(context: &Context, upload: Upload, completing: bool) -> Result<Found, Failure> {
    towline_core::failpoint!("reconcile.listing-denied");
    if completing {
        match head::now(context, None).await {
            Ok(Some(there)) => {
                if let Some(found) = judged(context, &there).await? {
                    return Ok(found);
                }
            }
            Err(failure) if !head::is_denied(&failure) => return Err(failure),
            Ok(None) | Err(_) => {}
        }
    }
    Ok(Found::Upload {
        id: upload.id,
        parts: context.parts.clone(),
    })
}

async fn open(
    context: &Context,
    upload: Upload,
    listed: Vec<ListedPart>,
) -> Result<Found, Failure> {
    let parts = matching_parts(context, listed).await?;
    Ok(Found::Upload {
        id: upload.id,
        parts,
    })
}

/// What the object that stands there decides; `None` if it may be replaced.
async fn judged(context: &Context, there: &ObjectHead) -> Result<Option<Found>, Failure> {
    Ok(decided(context, &object::is_ours(context, there).await?))
}

fn decided(context: &Context, judgement: &Judgement) -> Option<Found> {
    let why = match judgement {
        Judgement::Ours(proof) => return Some(Found::Landed(proof.clone())),
        Judgement::Other(why) => why.clone(),
        Judgement::Unknown => "nothing that it shows tells whether it is ours".into(),
    };
    let must_not_replace = context.spec().options.if_absent;
    must_not_replace.then(|| Found::Conflict(another_object(context, why)))
}

/// All parts of an open upload; `None` when there is no such upload.
pub(crate) async fn list_parts(
    context: &Context,
    upload: &Upload,
) -> Result<Option<Vec<ListedPart>>, Failure> {
    let mut parts = Vec::new();
    let mut after = None;
    let mut asked_again = false;
    for _ in 0..MAX_PAGES {
        let asked = context.s3.list_parts(upload, after);
        let answer = stall::within(Operation::ListParts, SMALL_REQUEST, asked).await;
        context.learn_right(Operation::ListParts, &answer);
        let page = match answer {
            Ok(page) => page,
            // Some stores say NoSuchKey: any 404 means that it is gone. One
            // that says so of the bucket is another matter.
            Err(error) if error.is_not_found() && error.code() != "NoSuchBucket" => {
                return Ok(None);
            }
            // A page that does not go on where the last one ended is no page.
            Err(error) if error.kind == S3ErrorKind::Malformed && after.is_some() => {
                if std::mem::replace(&mut asked_again, true) {
                    // What it never shows is sent again.
                    context.learn(Fact::PagesOfParts(false));
                    return Ok(Some(parts));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        parts.extend(page.parts);
        match page.next {
            Some(next) if after.is_none_or(|last| next > last) => after = Some(next),
            Some(_) => break,
            None => return Ok(Some(parts)),
        }
    }
    Err(stuck(Operation::ListParts).into())
}

/// Whether an upload is open and known to have no parts.
pub(super) async fn is_empty(context: &Context, upload: &Upload) -> Result<bool, Failure> {
    match list_parts(context, upload).await {
        Err(failure) if head::is_denied(&failure) => Ok(false),
        told => Ok(told?.is_some_and(|parts| parts.is_empty())),
    }
}

/// Of the listed parts, those that have our bytes: as recorded, or of the
/// planned length and with a checksum that the source has too.
async fn matching_parts(
    context: &Context,
    listed: Vec<ListedPart>,
) -> Result<Vec<PartRow>, Failure> {
    let recorded: BTreeMap<u32, &PartRow> = context
        .parts
        .iter()
        .map(|row| (row.number.get(), row))
        .collect();
    let plan = context.plan();
    let mut rows = Vec::new();
    for there in listed {
        let Some(number) = PartNumber::new(there.number).filter(|n| n.get() <= plan.parts()) else {
            continue;
        };
        if there.size != plan.len(number) {
            continue;
        }
        if let Some(row) = recorded.get(&there.number)
            && row.etag.as_ref() == Some(&there.etag)
        {
            rows.push((*row).clone());
            continue;
        }
        // Whoever made it made it of the one source, in the state that it had.
        if context.record.origin.is_some() {
            rows.push(PartRow {
                number,
                len: there.size,
                etag: Some(there.etag),
                checksum: there.checksum,
            });
            continue;
        }
        let shown = there.checksum.or_else(|| match etag_md5(&there.etag) {
            Some((md5, None)) => Some(md5),
            _ => None,
        });
        let Some(shown) = shown else { continue };
        // What a stream gave away is known by what was recorded of it alone.
        let source = match piece::of_part(context, number) {
            Ok(Wanted::Piece(piece)) => piece,
            Ok(Wanted::Ended(_)) => continue,
            Err(_) if context.spec().is_stream() => continue,
            Err(failure) => return Err(failure.into()),
        };
        if piece::checksum(context, source.clone(), shown.algorithm()).await? != shown {
            continue;
        }
        let wished = Ladder::default().algorithm(context);
        let sum = if shown.algorithm() == wished || shown.algorithm() == ChecksumAlgorithm::Md5 {
            shown
        } else {
            piece::checksum(context, source, wished).await?
        };
        let len = there.size;
        rows.push(PartRow {
            number,
            len,
            etag: Some(there.etag),
            checksum: Some(sum),
        });
    }
    Ok(rows)
}

/// Whether a PUT whose answer was lost made the object. Who may not look sends
/// it again, under the same condition.
async fn put_landed(context: &Context) -> Result<Found, Failure> {
    let there = match head::now(context, None).await {
        Err(failure) if head::is_denied(&failure) => None,
        told => told?,
    };
    towline_core::failpoint!("reconcile.put-told");
    let Some(there) = there else {
        return Ok(Found::Nothing);
    };
    Ok(judged(context, &there).await?.unwrap_or(Found::Nothing))
}

fn another_object(context: &Context, why: String) -> Failure {
    let object = context.object().to_string();
    LocalFailure::StoredWrong {
        object,
        why: format!("another object stands there: {why}"),
    }
    .into()
}

pub(crate) fn stuck(operation: Operation) -> S3Error {
    S3Error::new(
        operation,
        S3ErrorKind::Malformed,
        "the listing does not advance",
    )
}
