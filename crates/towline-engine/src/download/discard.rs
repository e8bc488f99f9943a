//! Removes the temporary file of a download. The target is never touched.

use towline_core::{Event, Failure};

use super::identity;
use crate::act::{Context, blocking};
use crate::files::TargetDir;

pub(crate) async fn discard(context: &Context) -> Result<Event, Failure> {
    if !context.spec().is_stream()
        && let Ok((_, temp)) = identity(context)
    {
        let (target, name) = (context.target(), temp.name.clone());
        // A directory that is gone took the file with it.
        if target.dir_is_there() {
            blocking(move || TargetDir::of(&target)?.remove_temp(&name)).await?;
        }
    }
    context.open.reset();
    Ok(Event::Discarded)
}
