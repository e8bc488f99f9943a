//! Asks S3 what it has of an upload: after a crash, a pause, a lost answer.

use std::collections::BTreeMap;
use std::time::Duration;

use towline_core::{
    Asked, ChecksumAlgorithm, Direction, Event, Failure, Found, ListUploads, ListedPart,
    LocalFailure, Operation, PartNumber, PartRow, Query, Remote, Request, S3Error, S3ErrorKind,
    Upload,
};

use super::ladder::Ladder;
use super::object::{self, Judgement};
use super::open_upload;
use super::piece::{self, Wanted};
use crate::act::Context;
use crate::hash::etag_md5;
use crate::head::{self, Seen};
use crate::profile::{Fact, is_denied};
use crate::stall::{self, SMALL_REQUEST};

/// How often an answered Complete whose object is not to be seen is looked for
/// again: a late one may still be applied.
const LATE_LOOKS: u32 = 4;

pub(crate) async fn reconcile(context: &Context) -> Result<Event, Failure> {
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
        .is_some_and(|a| a.request == Request::Complete);
    for look in 0..LATE_LOOKS {
        let (open, is_known) = match list_parts(context, &upload).await? {
            Listed::Parts(listed) => (Some(matching_parts(context, listed).await?), true),
            Listed::Gone => (None, true),
            // Where S3 may not be asked, what it has confirmed stands.
            Listed::Denied => (Some(context.parts.clone()), false),
        };
        let found = open.map(|parts| Found::Upload {
            id: upload.id.clone(),
            parts,
        });
        if !completing || (is_known && found.is_some()) {
            return Ok(found.unwrap_or(Found::Gone));
        }
        match head::now(context, None).await? {
            Seen::There(head) => match object::is_ours(context, &head).await? {
                Judgement::Ours(proof) => return Ok(Found::Landed(proof)),
                Judgement::Other(why) if context.spec().options.if_absent => {
                    return Ok(Found::Conflict(another_object(context, why)));
                }
                Judgement::Other(_) | Judgement::Unknown => {}
            },
            Seen::Absent => {}
            // It may be ours or another's, and must not be replaced.
            Seen::Denied(error) if context.spec().options.if_absent => return Err(error.into()),
            Seen::Denied(_) => return Ok(found.unwrap_or(Found::Gone)),
        }
        if let Some(found) = found {
            return Ok(found); // to be completed once more
        }
        context
            .clock
            .sleep(Duration::from_millis(250 << look))
            .await;
    }
    Ok(Found::Gone)
}

/// What ListParts says of an upload.
pub(crate) enum Listed {
    /// It is open, and has these.
    Parts(Vec<ListedPart>),
    /// There is no such upload.
    Gone,
    /// We have no right to know, or the store does not tell anybody.
    Denied,
}

impl Listed {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.is_empty())
    }
}

/// All parts of an open upload.
pub(crate) async fn list_parts(context: &Context, upload: &Upload) -> Result<Listed, Failure> {
    let mut parts: Vec<ListedPart> = Vec::new();
    let mut after = None;
    let mut asked_again = false;
    loop {
        let asked = context.s3.list_parts(upload, after);
        let page = match stall::within(Operation::ListParts, SMALL_REQUEST, asked).await {
            Ok(page) => page,
            // Some stores say NoSuchKey: any 404 means that it is gone. One
            // that says so of the bucket is another matter.
            Err(error) if error.is_not_found() && error.code() != "NoSuchBucket" => {
                return Ok(Listed::Gone);
            }
            Err(error) if is_denied(&error) => {
                context.learn(Fact::Right(Operation::ListParts, false));
                return Ok(Listed::Denied);
            }
            // A page that does not go on where the last one ended is no page.
            Err(error) if error.kind == S3ErrorKind::Malformed && after.is_some() => {
                if std::mem::replace(&mut asked_again, true) {
                    // What it never shows is sent again.
                    context.learn(Fact::PagesOfParts(false));
                    return Ok(Listed::Parts(parts));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        context.learn(Fact::Right(Operation::ListParts, true));
        parts.extend(page.parts);
        match page.next {
            Some(next) if after.is_none_or(|last| next > last) => after = Some(next),
            Some(_) => return Err(stuck(Operation::ListParts).into()),
            None => return Ok(Listed::Parts(parts)),
        }
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

/// Looks for the upload that a lost Create may have opened.
async fn adopt(context: &Context, asked_at: towline_core::Timestamp) -> Result<Found, Failure> {
    for id in candidates(context, asked_at).await? {
        let upload = super::upload_named(context, id);
        // One with parts is somebody's who is at work.
        if list_parts(context, &upload).await?.is_empty() {
            return Ok(Found::Upload {
                id: upload.id,
                parts: Vec::new(),
            });
        }
    }
    Ok(Found::Nothing)
}

/// Clocks of S3 and this machine may differ by this much, in seconds.
const SKEW_SECS: i64 = 900;

/// The open uploads of our key that can be the one we asked for: only if there
/// is exactly one, since an upload carries no mark of ours.
pub(crate) async fn candidates(
    context: &Context,
    asked_at: towline_core::Timestamp,
) -> Result<Vec<String>, Failure> {
    let key = context.key();
    let known = uploads_of_other_transfers(context).await?;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let asked = context.s3.list_multipart_uploads(ListUploads {
            bucket: context.bucket(),
            prefix: key.clone(),
            after: after.clone(),
            access: context.spec().options.access.clone(),
        });
        let operation = Operation::ListMultipartUploads;
        let page = match stall::within(operation, SMALL_REQUEST, asked).await {
            Err(error) if is_denied(&error) => {
                context.learn(Fact::Right(operation, false));
                return Ok(Vec::new());
            }
            page => page?,
        };
        context.learn(Fact::Right(operation, true));
        found.extend(page.uploads.into_iter().filter(|upload| {
            upload.key == key
                && !known.contains(&upload.upload_id)
                && upload
                    .initiated
                    .is_none_or(|at| at >= asked_at.plus_secs(-SKEW_SECS))
        }));
        match page.next {
            Some(next) if Some(&next) != after.as_ref() => after = Some(next),
            Some(_) => return Err(stuck(Operation::ListMultipartUploads).into()),
            None => break,
        }
    }
    if found.len() > 1 {
        tracing::warn!(
            uploads = found.len(),
            "several open uploads could be ours; none is adopted"
        );
        found.clear();
    }
    Ok(found.into_iter().map(|upload| upload.upload_id).collect())
}

/// The open uploads of our key that other transfers of this store hold.
async fn uploads_of_other_transfers(context: &Context) -> Result<Vec<String>, Failure> {
    let mut query = Query {
        direction: Some(Direction::Upload),
        bucket: Some(context.bucket()),
        key: Some(context.key()),
        ..Query::default()
    };
    let mut known = Vec::new();
    loop {
        let page =
            context
                .store
                .find(query.clone())
                .await
                .map_err(|error| LocalFailure::Connection {
                    why: format!("the store cannot be read: {error}"),
                })?;
        known.extend(
            page.transfers
                .into_iter()
                .filter_map(|record| match record.remote {
                    Some(Remote::Upload(id)) if record.id != context.record.id => Some(id),
                    _ => None,
                }),
        );
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(known),
        }
    }
}

/// Whether a PUT whose answer was lost made the object.
async fn put_landed(context: &Context) -> Result<Found, Failure> {
    let head = match head::now(context, None).await? {
        Seen::There(head) => head,
        Seen::Absent => return Ok(Found::Nothing),
        Seen::Denied(error) if context.spec().options.if_absent => return Err(error.into()),
        // The same bytes once more do no harm.
        Seen::Denied(_) => return Ok(Found::Nothing),
    };
    Ok(match object::is_ours(context, &head).await? {
        Judgement::Ours(proof) => Found::Landed(proof),
        Judgement::Other(why) if context.spec().options.if_absent => {
            Found::Conflict(another_object(context, why))
        }
        Judgement::Other(_) | Judgement::Unknown => Found::Nothing,
    })
}

fn another_object(context: &Context, why: String) -> Failure {
    let object = context.object().to_string();
    LocalFailure::StoredWrong {
        object,
        why: format!("another object stands there: {why}"),
    }
    .into()
}

fn stuck(operation: Operation) -> S3Error {
    S3Error::new(
        operation,
        S3ErrorKind::Malformed,
        "the listing does not advance",
    )
}
