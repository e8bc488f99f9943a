//! Asks S3 what an object is.

use towline_core::{
    Direction, Extra, Failure, GetObject, ObjectHead, Operation, ReadCondition, S3Error,
    S3ErrorKind,
};

use crate::act::Context;
use crate::profile::is_denied;
use crate::stall::{self, SMALL_REQUEST};

/// What S3 says of an object.
pub(crate) enum Seen {
    /// It is there.
    There(Box<ObjectHead>),
    /// There is none.
    Absent,
    /// We have no right to know. S3 says so of an object that is not there too,
    /// to who may not list.
    Denied(S3Error),
}

/// The object as it is now.
pub(crate) async fn now(context: &Context, version_id: Option<String>) -> Result<Seen, Failure> {
    match ask(context, version_id, ReadCondition::default()).await {
        Ok(head) => Ok(Seen::There(Box::new(head))),
        Err(error) if error.kind == S3ErrorKind::Answer && error.is_not_found() => Ok(Seen::Absent),
        Err(error) => {
            let error = with_code(context, error).await;
            match is_denied(&error) {
                true => Ok(Seen::Denied(error)),
                false => Err(error.into()),
            }
        }
    }
}

/// The object to download; `None` where the transfer's condition says that it
/// has not changed. Fails where there is none.
pub(crate) async fn existing(context: &Context) -> Result<Option<ObjectHead>, Failure> {
    let version = context.object().version_id.clone();
    let condition = context.spec().options.condition.clone();
    match ask(context, version, condition).await {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.status == Some(304) => Ok(None),
        Err(mut error) if error.status == Some(412) => {
            error.code.get_or_insert("PreconditionFailed".into());
            Err(error.into())
        }
        Err(error) => Err(with_code(context, error).await.into()),
    }
}

async fn ask(
    context: &Context,
    version_id: Option<String>,
    condition: ReadCondition,
) -> Result<ObjectHead, S3Error> {
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id,
        condition,
        access: context.spec().options.access.clone(),
        extra: match context.spec().direction {
            Direction::Download => context.spec().options.extra.clone(),
            Direction::Upload => Extra::default(),
        },
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
        access: context.spec().options.access.clone(),
        ..GetObject::default()
    };
    let asked = context.s3.get_object(request);
    match stall::within(Operation::GetObject, SMALL_REQUEST, asked).await {
        Err(told) if told.kind == S3ErrorKind::Answer => told,
        _ => error,
    }
}
