//! Asks S3 what an object is.

use towline_core::{Failure, GetObject, ObjectHead, Operation, S3Error, S3ErrorKind};

use crate::act::Context;
use crate::stall::{self, SMALL_REQUEST};

/// The object as it is now; `None` where there is none.
pub(crate) async fn now(
    context: &Context,
    version_id: Option<String>,
) -> Result<Option<ObjectHead>, Failure> {
    match ask(context, version_id).await {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.kind == S3ErrorKind::Answer && error.is_not_found() => Ok(None),
        Err(error) => Err(with_code(context, error).await.into()),
    }
}

/// The object to download; fails where there is none.
pub(crate) async fn existing(context: &Context) -> Result<ObjectHead, Failure> {
    match ask(context, context.object().version_id.clone()).await {
        Ok(head) => Ok(head),
        Err(error) => Err(with_code(context, error).await.into()),
    }
}

async fn ask(context: &Context, version_id: Option<String>) -> Result<ObjectHead, S3Error> {
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id,
        ..GetObject::default()
    };
    let asked = context.s3.head_object(request);
    stall::within(Operation::HeadObject, SMALL_REQUEST, asked).await
}

/// An answer to HEAD has no body, so the reason for a refusal is asked for
/// with a GET of one byte.
async fn with_code(context: &Context, error: S3Error) -> S3Error {
    if error.kind != S3ErrorKind::Answer
        || !matches!(error.status, Some(400 | 403 | 404))
        || error.code.is_some()
    {
        return error;
    }
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id: context.object().version_id.clone(),
        range: Some(0..1),
        ..GetObject::default()
    };
    let asked = context.s3.get_object(request);
    match stall::within(Operation::GetObject, SMALL_REQUEST, asked).await {
        Err(told) if told.kind == S3ErrorKind::Answer => told,
        _ => error,
    }
}
