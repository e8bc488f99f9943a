//! Gives the finished file its name.

use towline_core::{Event, Failure, LocalFailure, Proof, WhenTargetExists};

use super::identity;
use super::seal::{Bytes, prove};
use crate::act::Context;
use crate::files::TargetDir;

pub(crate) async fn publish(context: &Context) -> Result<Event, Failure> {
    let (identity, temp) = identity(context)?;
    let mut proof = match context.open.proof() {
        Some(proof) => proof,
        None if context.spec().is_stream() => {
            return Err(LocalFailure::TargetNotReopenable.into());
        }
        // Sealed by a run that was killed: prove it again.
        None => {
            let file = context.open.file(context).await?;
            prove(context, identity, &Bytes::File(file)).await?
        }
    };
    if context.spec().is_stream() {
        return Ok(Event::Finished(proof));
    }
    let (target, name) = (context.target(), temp.name.clone());
    let policy = context.spec().options.when_target_exists;
    let files = context.files.clone();
    let publish = move || {
        let dir = TargetDir::of(&*files, &target)?;
        match policy {
            WhenTargetExists::Rename => dir.publish_beside(&name),
            WhenTargetExists::Fail => dir.publish(&name, false).map(|()| None),
            WhenTargetExists::Overwrite | WhenTargetExists::SkipIfIdentical => {
                dir.publish(&name, true).map(|()| None)
            }
        }
    };
    proof.renamed = context.blocking(publish).await?;
    Ok(Event::Finished(proof))
}

/// The file of a run that was killed when it had given it its name, proven anew.
/// `None` where it has none yet.
pub(super) async fn published(context: &Context) -> Result<Option<Proof>, Failure> {
    let (identity, temp) = identity(context)?;
    let Some(sealed) = context.record.sealed else {
        return Ok(None);
    };
    let (target, name) = (context.target(), temp.name.clone());
    let files = context.files.clone();
    let look = move || {
        let dir = TargetDir::of(&*files, &target)?;
        if dir.temp_identity(&name).is_some() {
            return Ok(None);
        }
        let Some(renamed) = dir.published_as(sealed) else {
            return Ok(None);
        };
        dir.sync_name()?; // whoever renamed it may have been killed before that
        let file = dir.open_named(&*files, renamed)?;
        Ok::<_, LocalFailure>(Some((renamed, file)))
    };
    let Some((renamed, file)) = context.blocking(look).await? else {
        return Ok(None);
    };
    let mut proof = prove(context, identity, &Bytes::File(file)).await?;
    proof.renamed = renamed;
    Ok(Some(proof))
}
