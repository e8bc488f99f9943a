//! Asks S3 what the object is, and chooses the temporary file's name.

use towline_core::{
    ChecksumKind, Event, Failure, LocalFailure, ObjectIdentity, Temp, WhenTargetExists,
};

use crate::act::{Context, blocking};
use crate::files::{TargetDir, boot_id};
use crate::head;
use crate::random::temp_name;

pub(crate) async fn find(context: &Context) -> Result<Event, Failure> {
    let path = context.spec().path.clone();
    let keep = context.spec().options.when_target_exists == WhenTargetExists::Fail;
    blocking(move || {
        let dir = TargetDir::of(&path)?;
        if keep && dir.target_exists() {
            return Err(LocalFailure::TargetExists {
                path: crate::files::shown(&path),
            });
        }
        Ok(())
    })
    .await?;
    let head = head::existing(context).await?;
    let size = head
        .size
        .ok_or_else(|| super::wrong_bytes(context, "its length is not told"))?;
    // A checksum of all bytes is worth more than one of checksums.
    let checksum = head
        .checksums
        .iter()
        .find(|(_, kind)| *kind == ChecksumKind::FullObject)
        .or(head.checksums.first())
        .copied();
    let identity = ObjectIdentity {
        etag: head.etag,
        version_id: head.version_id,
        last_modified: head.last_modified,
        checksum,
        parts: head.parts,
        encryption: head.encryption,
    };
    let temp = Temp {
        name: temp_name(),
        boot: boot_id(),
    };
    Ok(Event::ObjectFound {
        identity,
        size,
        temp,
    })
}
