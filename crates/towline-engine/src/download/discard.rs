//! Removes the temporary file of a download. The target is never touched; where it
//! is the download's own file already, the cancel came too late.

use towline_core::{After, Event, Failure, Phase};

use super::identity;
use super::publish::published;
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
            // A run that was killed may have got so far.
            if context.record.phase == Phase::Discarding(After::Cancel)
                && let Some(proof) = published(context).await?
            {
                return Ok(Event::Finished(proof));
            }
            let remove = move || TargetDir::of(&*files, &target)?.discard_temp(&name);
            context.blocking(remove).await?;
        }
    }
    context.open.reset();
    Ok(Event::Discarded)
}
