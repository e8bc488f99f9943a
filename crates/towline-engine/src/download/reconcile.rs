//! Looks what is on disk of a download: after a crash, a pause.

use towline_core::{Event, Failure, Found, PartNumber};

use super::publish::published;
use super::seal::checksum_of_range;
use super::{identity, part_algorithm};
use crate::act::Context;
use crate::files::{TargetDir, check_room, target_failure};

pub(crate) async fn reconcile(context: &Context) -> Result<Event, Failure> {
    let Ok((identity, temp)) = identity(context) else {
        return Ok(Event::Reconciled(Found::Nothing));
    };
    if context.spec().is_stream() {
        super::sink(context)?; // what it has, it keeps
        return Ok(Event::Reconciled(Found::Temp { lost: Vec::new() }));
    }
    towline_core::failpoint!("reconcile-temp.begins");
    // Renamed before the crash.
    let published = published(context).await?;
    let (target, name) = (context.target(), temp.name.clone());
    let size = context.plan().size();
    let files = context.files.clone();
    let open = move || TargetDir::of(&*files, &target)?.open_temp(&name, size);
    let file = match published {
        Some(_) => None,
        None => context.blocking(open).await?,
    };
    towline_core::failpoint!("reconcile-temp.told");
    let Some(file) = file else {
        context.open.reset(); // what this process has open has no name any more
        return Ok(Event::Reconciled(match published {
            Some(proof) => Found::Landed(proof),
            // Not made yet, or nothing in it.
            None if context.record.sealed.is_none() && context.parts.is_empty() => {
                Found::Temp { lost: Vec::new() }
            }
            None => Found::Gone,
        }));
    };
    check_room(
        &context.spec().path,
        &*file,
        size,
        context.record.bytes_done,
    )?;
    if temp.boot == context.files.boot_id() && !temp.boot.is_empty() {
        return Ok(Event::Reconciled(Found::Temp { lost: Vec::new() }));
    }
    // Written before a reboot: what did not reach the disk is fetched again.
    let algorithm = part_algorithm(identity, context.plan());
    let (parts, plan, path) = (context.parts.clone(), context.plan(), &context.spec().path);
    let check = move || {
        let mut lost: Vec<PartNumber> = Vec::new();
        for part in parts {
            let found = checksum_of_range(&*file, plan.range(part.number), algorithm)?;
            if Some(found) != part.checksum {
                lost.push(part.number);
            }
        }
        Ok(lost)
    };
    let lost = context.blocking(check).await;
    let lost = lost.map_err(|error: std::io::Error| target_failure(path, &error))?;
    towline_core::failpoint!("reconcile-temp.read-back");
    Ok(Event::Reconciled(Found::Temp { lost }))
}
