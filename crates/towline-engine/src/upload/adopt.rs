//! Looks for the multipart upload that a Create opened whose answer was lost.

use towline_core::{
    Failure, Found, ListUploads, LocalFailure, Operation, Query, Remote, Timestamp,
};

use super::reconcile::{MAX_PAGES, is_empty, stuck};
use crate::act::Context;
use crate::head;
use crate::stall::{self, SMALL_REQUEST};

/// Looks for the upload that a lost Create may have opened.
pub(crate) async fn adopt(context: &Context, asked_at: Timestamp) -> Result<Found, Failure> {
    let candidates = match candidates(context, asked_at).await {
        // An empty upload may stay open then: docs/semantics.md.
        Err(failure) if head::is_denied(&failure) => {
            return Ok(Found::Nothing);
        }
        told => told?,
    };
    towline_core::failpoint!("adopt.listed");
    for id in candidates {
        let upload = super::upload_named(context, id);
        // One with parts is somebody's who is at work.
        if is_empty(context, &upload).await? {
            towline_core::failpoint!("adopt.chosen");
            return Ok(Found::Upload {
                id: upload.id,
                parts: Vec::new(),
            });
        }
    }
    Ok(Found::Nothing)
}

/// S3 takes a request up to so many seconds before it was signed, which for a
/// Create is when it was recorded, or later.
const SIGNED_FOR_SECS: i64 = 900;

/// The open uploads of our key that can be the one we asked for: only if there
/// is exactly one, since an upload carries no mark of ours.
pub(super) async fn candidates(
    context: &Context,
    asked_at: Timestamp,
) -> Result<Vec<String>, Failure> {
    let key = context.key();
    let since = asked_at.plus_secs(-SIGNED_FOR_SECS);
    let known = uploads_of_other_transfers(context).await?;
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let asked = context.s3.list_multipart_uploads(ListUploads {
            bucket: context.bucket(),
            prefix: key.clone(),
            after: after.clone(),
            access: context.spec().options.access.clone(),
        });
        let operation = Operation::ListMultipartUploads;
        let page = stall::within(operation, SMALL_REQUEST, asked).await;
        context.learn_right(operation, &page);
        let page = page?;
        found.extend(page.uploads.into_iter().filter(|upload| {
            upload.key == key
                && !known.contains(&upload.upload_id)
                && upload.initiated.is_none_or(|at| at >= since)
        }));
        if found.len() > 1 {
            tracing::warn!("several open uploads could be ours; none is adopted");
            return Ok(Vec::new());
        }
        match page.next {
            Some(next) if Some(&next) == after.as_ref() => break,
            // Keys are in order: behind ours there is none of it.
            Some(next) if next.key <= key => after = Some(next),
            _ => return Ok(found.into_iter().map(|upload| upload.upload_id).collect()),
        }
    }
    Err(stuck(Operation::ListMultipartUploads).into())
}

/// The open uploads of our key that other transfers of this store hold.
async fn uploads_of_other_transfers(context: &Context) -> Result<Vec<String>, Failure> {
    let mut query = Query {
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
