//! Looks at the source anew, for a generation that starts from zero.

use towline_core::{Event, Failure, Fingerprint};

use super::piece;
use crate::act::Context;
use crate::files;
use crate::stream::Begun;

pub(crate) async fn inspect(context: &Context) -> Result<Event, Failure> {
    if context.spec().is_stream() {
        return Ok(match piece::source(context)?.begun().await? {
            Begun::Known(size) => Event::Inspected(Fingerprint::of_bytes(size)),
            Begun::Open(plan) => Event::StreamBegun(plan),
        });
    }
    let path = context.spec().path.clone();
    let files = context.files.clone();
    let look = move || files::inspect(&*files, &path);
    let source = context.blocking(look).await?;
    towline_core::failpoint!("inspect.told");
    Ok(Event::Inspected(source))
}
