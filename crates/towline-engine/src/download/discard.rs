//! Removes the temporary file of a download. The target is never touched.

use towline_core::{Event, Failure};

use super::identity;
use crate::act::Context;
use crate::files::TargetDir;

pub(crate) async fn discard(context: &Context) -> Result<Event, Failure> {
    if !context.spec().is_stream()
        && let Ok((_, temp)) = identity(context)
    {
        let (target, name) = (context.target(), temp.name.clone());
        // A directory that is gone took the file with it.
        let files = context.files.clone();
        let gone = target.dir().is_some_and(|dir| files.stat(dir).is_err());
        if !gone {
            let remove = move || TargetDir::of(&*files, &target)?.discard_temp(&name);
            context.blocking(remove).await?;
        }
    }
    context.open.reset();
    Ok(Event::Discarded)
}
