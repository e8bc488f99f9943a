//! Asks S3 what the object is, whether anything is to be moved at all, and
//! chooses the temporary file's name.

use towline_core::{
    ChecksumAlgorithm, ChecksumKind, Event, Failure, LocalFailure, ObjectHead, ObjectIdentity,
    Outcome, RangeOf, Temp, WhenTargetExists,
};

use super::identical::is_identical;
use super::seal::md5_of;
use super::{at_once, by_parts};
use crate::act::Context;
use crate::files::TargetDir;
use crate::head;

/// `None` when it was cut short.
pub(crate) async fn find(context: &Context) -> Option<Event> {
    let ask = async {
        match at_once::get(context).await? {
            Some(whole) => Ok(Asked::Whole(whole)),
            None => ask(context).await.map(Asked::Found),
        }
    };
    let asked: Result<Asked, Failure> = tokio::select! {
        biased;
        () = context.stop.requested() => return None,
        asked = ask => asked,
    };
    let found = match asked {
        Ok(Asked::Found(event)) => Ok(event),
        Ok(Asked::Whole(whole)) => whole.put(context).await.transpose()?,
        Err(failure) => Err(failure),
    };
    Some(found.unwrap_or_else(Event::ActFailed))
}

enum Asked {
    Found(Event),
    /// All bytes of a small object.
    Whole(at_once::Whole),
}

async fn ask(context: &Context) -> Result<Event, Failure> {
    towline_core::failpoint!("find.begins");
    let there = target_is_there(context).await?;
    let policy = context.spec().options.when_target_exists;
    if there && policy == WhenTargetExists::Fail {
        return Err(LocalFailure::TargetExists {
            path: crate::files::shown(&context.spec().path),
        }
        .into());
    }
    let Some(head) = head::existing(context).await? else {
        return Ok(Event::Spared(Outcome::NotModified));
    };
    towline_core::failpoint!("find.told");
    let whole = head
        .size
        .ok_or_else(|| super::wrong_bytes(context, "its length is not told"))?;
    let mut identity = identity_of(head);
    let mut size = whole;
    if let Some(range) = context.spec().options.range {
        let range = range.of(whole).ok_or_else(|| LocalFailure::NoSuchRange {
            object: context.object().to_string(),
            size: whole,
        })?;
        size = range.end - range.start;
        identity.range = Some(RangeOf {
            start: range.start,
            size: whole,
        });
    }
    if there
        && policy == WhenTargetExists::SkipIfIdentical
        && is_identical(context, &identity, size).await?
    {
        return Ok(Event::Spared(Outcome::Skipped));
    }
    if context.spec().is_stream() {
        super::sink(context)?.begin(summed_on_the_way(&identity))?;
        let (name, boot) = (String::new(), String::new());
        let temp = Temp { name, boot };
        return Ok(Event::ObjectFound {
            identity,
            size,
            temp,
            in_one: false, // it would have to be held in memory
        });
    }
    identity.part_size = by_parts::first_part(context, &identity, whole).await?;
    Ok(found(context, identity, size))
}

/// An object that goes to a temporary file first.
pub(super) fn found(context: &Context, identity: ObjectIdentity, size: u64) -> Event {
    let temp = Temp {
        name: context.random.temp_name(),
        boot: context.files.boot_id(),
    };
    Event::ObjectFound {
        identity,
        size,
        temp,
        in_one: context.profile.profile().ranges() == Some(false),
    }
}

async fn target_is_there(context: &Context) -> Result<bool, Failure> {
    if context.spec().is_stream() {
        return Ok(false);
    }
    let target = context.target();
    let files = context.files.clone();
    let look = move || Ok::<_, LocalFailure>(TargetDir::of(&*files, &target)?.target_exists());
    Ok(context.files.brief(look).await?)
}

pub(crate) fn identity_of(head: ObjectHead) -> ObjectIdentity {
    // A checksum of all bytes is worth more than one of checksums.
    let checksum = head
        .checksums
        .iter()
        .find(|(_, kind)| *kind == ChecksumKind::FullObject)
        .or(head.checksums.first())
        .copied();
    let opaque = head.customer_key.then(|| "SSE-C".to_owned());
    ObjectIdentity {
        etag: head.etag,
        version_id: head.version_id,
        last_modified: head.last_modified,
        checksum,
        parts: head.parts,
        part_size: None,
        encryption: head.encryption.or(opaque),
        range: None,
    }
}

/// By what all bytes together are proven, where the sums of parts cannot tell.
fn summed_on_the_way(identity: &ObjectIdentity) -> Option<ChecksumAlgorithm> {
    match identity.checksum {
        Some((sum, ChecksumKind::FullObject)) if sum.algorithm().combines() => None,
        Some((sum, ChecksumKind::FullObject)) => Some(sum.algorithm()),
        _ => md5_of(identity).map(|md5| md5.algorithm()),
    }
}
