//! Gives the finished file its name.

use towline_core::{Event, Failure, WhenTargetExists};

use super::identity;
use super::seal::prove;
use crate::act::{Context, blocking};
use crate::files::TargetDir;

pub(crate) async fn publish(context: &Context) -> Result<Event, Failure> {
    let (identity, temp) = identity(context)?;
    let proof = match context.open.proof() {
        Some(proof) => proof,
        // Sealed by a run that was killed: prove it again.
        None => prove(context, identity, &context.open.file(context).await?).await?,
    };
    let (path, name) = (context.spec().path.clone(), temp.name.clone());
    let replace = context.spec().options.when_target_exists == WhenTargetExists::Overwrite;
    blocking(move || TargetDir::of(&path)?.publish(&name, replace)).await?;
    Ok(Event::Finished(proof))
}
