//! Asks S3 what an object is.

use towline_core::{
    Access, Direction, Extra, Failure, GetObject, ObjectAddress, ObjectHead, Operation,
    ReadCondition, S3Error, S3ErrorKind, Timestamp,
};

use crate::act::Context;
use crate::profile::{self, Fact};
use crate::stall::{self, SMALL_REQUEST};

/// The object as it is now; `None` where there is none.
pub(crate) async fn now(
    context: &Context,
    version_id: Option<String>,
) -> Result<Option<ObjectHead>, Failure> {
    match ask(
        context,
        version_id,
        ReadCondition::default(),
        &[400, 403, 405],
    )
    .await
    {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.kind == S3ErrorKind::Answer && error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The object to download; `None` where the transfer's condition says that it
/// has not changed. Fails where there is none.
pub(crate) async fn existing(context: &Context) -> Result<Option<ObjectHead>, Failure> {
    let version = context.object().version_id.clone();
    let condition = context.spec().options.condition.clone();
    // Also which of bucket, key and version it is that is not there.
    match ask(context, version, condition, &[400, 403, 404, 405]).await {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.status == Some(304) => Ok(None),
        Err(mut error) if error.status == Some(412) => {
            error.code.get_or_insert("PreconditionFailed".into());
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// An answer to HEAD has no body. With one of these statuses the reason is asked
/// for with a GET of one byte.
async fn ask(
    context: &Context,
    version_id: Option<String>,
    condition: ReadCondition,
    unexplained: &[u16],
) -> Result<ObjectHead, S3Error> {
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id,
        condition,
        access: context.spec().options.access.clone(),
        extra: match context.spec().direction {
            Direction::Download => context.spec().options.extra.clone(),
            Direction::Upload | Direction::Copy => Extra::default(),
        },
        ..GetObject::default()
    };
    explained(context, request, unexplained).await
}

/// The object that is to be copied. Fails where there is none.
pub(crate) async fn of_origin(
    context: &Context,
    origin: ObjectAddress,
) -> Result<ObjectHead, Failure> {
    let request = GetObject {
        bucket: origin.bucket.as_str().to_owned(),
        key: origin.key.as_str().to_owned(),
        version_id: origin.version_id,
        access: access_to_origin(context),
        ..GetObject::default()
    };
    let told = explained(context, request, &[400, 403, 404, 405]).await;
    Ok(told.map_err(of_what_is_copied)?)
}

/// Marks an error that tells nothing of the store that the copy goes to.
pub(crate) fn of_what_is_copied(mut error: S3Error) -> S3Error {
    error.of_origin = true;
    error
}

/// As to the copy, but that its bucket may be somebody else's.
pub(crate) fn access_to_origin(context: &Context) -> Access {
    Access {
        expected_bucket_owner: None,
        ..context.spec().options.access.clone()
    }
}

async fn explained(
    context: &Context,
    request: GetObject,
    unexplained: &[u16],
) -> Result<ObjectHead, S3Error> {
    match by_head(context, &request).await {
        Err(error) if is_unexplained(&error, unexplained) => {
            let told = by_first_byte(context, &request, error).await?;
            // It was refused by accident, or for what is right by now. What is
            // always refused is done without.
            match by_head(context, &request).await {
                Err(again) if is_unexplained(&again, unexplained) => {
                    context.learn(Fact::Right(Operation::HeadObject, false));
                    Ok(told)
                }
                again => again,
            }
        }
        told => told,
    }
}

async fn by_head(context: &Context, request: &GetObject) -> Result<ObjectHead, S3Error> {
    let asked = context.s3.head_object(request.clone());
    stall::within(Operation::HeadObject, SMALL_REQUEST, asked).await
}

fn is_unexplained(error: &S3Error, statuses: &[u16]) -> bool {
    let status = error
        .status
        .is_some_and(|status| statuses.contains(&status));
    error.kind == S3ErrorKind::Answer && error.code.is_none() && status
}

/// The reason of a refusal, or the object itself where only HEAD is refused.
async fn by_first_byte(
    context: &Context,
    request: &GetObject,
    refused: S3Error,
) -> Result<ObjectHead, S3Error> {
    let request = GetObject {
        range: Some(0..1),
        ..request.clone()
    };
    let asked = context.s3.get_object(request);
    match stall::within(Operation::GetObject, SMALL_REQUEST, asked).await {
        Ok(body) if body.head.size.is_some() => Ok(body.head),
        // An object of no bytes has no first one.
        Err(told) if told.status != Some(416) => Err(told), // or that nothing was learned
        _ => Err(refused_by_accident(refused)),
    }
}

/// Whether the object there is shown is newer than what we asked for then: by
/// the server's own clock it is younger than our request is by ours, so that it
/// does not matter how far the two are apart.
pub(crate) fn is_newer(head: &ObjectHead, asked_at: Timestamp, now: Timestamp) -> bool {
    let (Some(told_at), Some(modified)) = (head.told_at, head.last_modified) else {
        return false;
    };
    let age = told_at.as_millis() - modified.as_millis();
    age < now.as_millis() - asked_at.as_millis()
}

/// Whether S3 said that we may not ask this.
pub(crate) fn is_denied(failure: &Failure) -> bool {
    matches!(failure, Failure::S3(error) if profile::is_denied(error))
}

/// That GET was not refused, or tells nothing, says nothing of the object either:
/// like any broken answer it is asked for again.
fn refused_by_accident(mut error: S3Error) -> S3Error {
    error.kind = S3ErrorKind::Malformed;
    error.message = "HEAD was refused and GET was not".into();
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_newer_by_the_age_that_its_server_gives_it() {
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        let head = |told: i64, modified: i64| ObjectHead {
            told_at: Some(at(told)),
            last_modified: Some(at(modified)),
            ..ObjectHead::default()
        };
        // The server's clock is an hour ahead; we asked 10 s ago.
        let (asked, now) = (at(1000), at(1010));
        assert!(is_newer(&head(4610, 4605), asked, now));
        assert!(!is_newer(&head(4610, 4595), asked, now));
        assert!(!is_newer(&ObjectHead::default(), asked, now));
    }
}
