//! Looks at the object that is to be copied.

use towline_core::{Event, Failure, Operation, S3Error, S3ErrorKind};

use crate::act::Context;
use crate::download::identity_of;
use crate::head;

pub(crate) async fn inspect(context: &Context) -> Result<Event, Failure> {
    let head = head::of_origin(context, super::origin(context)?).await?;
    towline_core::failpoint!("inspect.told");
    let Some(size) = head.size else {
        return Err(untold("no length").into());
    };
    // Without it nobody can tell whether all parts are of one version.
    if head.etag.is_none() {
        return Err(untold("no ETag").into());
    }
    let identity = identity_of(head);
    Ok(Event::OriginFound { identity, size })
}

fn untold(what: &str) -> S3Error {
    let message = format!("the answer tells {what} of the object to copy");
    S3Error::new(Operation::HeadObject, S3ErrorKind::Malformed, message)
}
