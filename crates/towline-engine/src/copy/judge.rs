//! Tells whether an object is a copy of what it should be, and how strongly that is
//! proven. No byte of either comes here: what the store says of both is compared.

use towline_core::{
    Checksum, ChecksumKind, LocalFailure, ObjectHead, ObjectIdentity, Proof, Verified,
};

use super::copies_onto_itself;
use crate::act::Context;
use crate::hash::etag_md5;
use crate::upload::Judgement;

/// The store's clock has whole seconds.
const TICK_MS: i64 = 1000;

/// Compares an object with the one that is copied.
pub(crate) fn judge(size: u64, origin: &ObjectIdentity, head: &ObjectHead) -> Judgement {
    if let Some(there) = head.size.filter(|there| *there != size) {
        return Judgement::Other(format!("it has {there} bytes, its source has {size}"));
    }
    let ours = |verified, checksum| {
        Judgement::Ours(Proof {
            verified,
            etag: head.etag.clone(),
            version_id: head.version_id.clone(),
            checksum,
            renamed: None,
        })
    };
    if let Some((sum, kind)) = origin.checksum {
        let alike = |(there, of): &&(Checksum, ChecksumKind)| {
            *of == kind && there.algorithm() == sum.algorithm()
        };
        match (head.checksums.iter().find(alike), kind) {
            (Some((there, _)), ChecksumKind::FullObject) if *there != sum => {
                return Judgement::Other(format!("it has {there:?}, its source has {sum:?}"));
            }
            (Some(_), ChecksumKind::FullObject) => {
                return ours(Verified::FullObject, Some((sum, kind)));
            }
            (Some((there, _)), ChecksumKind::Composite) if *there == sum => {
                return ours(Verified::Composite, Some((sum, kind)));
            }
            // The same bytes in other parts have another one.
            _ => {}
        }
    }
    // Opaque ETags are never the same.
    let etag = head
        .etag
        .as_deref()
        .filter(|etag| Some(*etag) == origin.etag.as_deref());
    match etag.and_then(etag_md5) {
        Some((md5, None)) => ours(Verified::Md5, Some((md5, ChecksumKind::FullObject))),
        Some((md5, Some(_))) => ours(Verified::Md5, Some((md5, ChecksumKind::Composite))),
        None => Judgement::Unknown,
    }
}

/// Whether the object that stands there is what a request made whose answer was lost.
/// It may have the same bytes and be an older one, which carries what it did before.
pub(crate) fn is_ours(context: &Context, origin: &ObjectIdentity, head: &ObjectHead) -> Judgement {
    if is_the_source(context, head) {
        return Judgement::Other("it is the source itself".into());
    }
    // Not by when the request was asked for: one before it may have made it, and of what
    // is made of parts some stores tell when its upload was opened.
    let asked_since = context.record.created_at.as_millis();
    let for_ms = context.clock.now().wall.as_millis() - asked_since;
    if is_older(head, for_ms) {
        return Judgement::Other("it was there before it was to be copied".into());
    }
    judge(context.plan().size(), origin, head)
}

/// Whether what stands where a copy is to go is what it is copied from.
pub(crate) fn is_the_source(context: &Context, head: &ObjectHead) -> bool {
    let origin = context.record.origin.as_ref();
    copies_onto_itself(context) && origin.is_some_and(|origin| is_same(origin, head))
}

/// Whether an object is older than this, by its store's own clock. A clock of ours that
/// went back tells nothing.
fn is_older(head: &ObjectHead, than_ms: i64) -> bool {
    match (head.told_at, head.last_modified) {
        (Some(told), Some(modified)) if than_ms >= 0 => {
            told.as_millis() - modified.as_millis() - TICK_MS > than_ms
        }
        _ => false,
    }
}

/// Whether both are one object and not a copy and its source with the same bytes.
fn is_same(origin: &ObjectIdentity, head: &ObjectHead) -> bool {
    match (&origin.version_id, &head.version_id) {
        // Where a bucket keeps no versions any more, the newest is always "null".
        (Some(was), Some(is)) if was != "null" || is != "null" => was == is,
        _ => {
            head.last_modified.is_some()
                && head.last_modified == origin.last_modified
                && head.etag == origin.etag
        }
    }
}

/// Before an object is made of parts: whether together they have the checksum of the
/// source, where both have one.
pub(crate) fn check_whole(context: &Context, whole: Option<Checksum>) -> Result<(), LocalFailure> {
    let origin = context
        .record
        .origin
        .as_ref()
        .and_then(|origin| origin.checksum);
    let (Some((sum, ChecksumKind::FullObject)), Some(whole)) = (origin, whole) else {
        return Ok(());
    };
    if sum.algorithm() != whole.algorithm() || sum == whole {
        return Ok(());
    }
    Err(LocalFailure::StoredWrong {
        object: context.object().to_string(),
        why: format!("its parts have {whole:?}, its source has {sum:?}"),
    })
}

#[cfg(test)]
mod tests {
    use towline_core::{ChecksumAlgorithm, Timestamp};

    use super::*;

    const SIZE: u64 = 7;

    fn sum(byte: u8) -> Checksum {
        Checksum::new(ChecksumAlgorithm::Crc64Nvme, &[byte; 8]).unwrap()
    }

    fn origin(etag: &str, checksum: Option<(Checksum, ChecksumKind)>) -> ObjectIdentity {
        ObjectIdentity {
            etag: Some(etag.into()),
            checksum,
            ..ObjectIdentity::default()
        }
    }

    fn copy(etag: &str, checksum: Option<(Checksum, ChecksumKind)>) -> ObjectHead {
        ObjectHead {
            etag: Some(etag.into()),
            size: Some(SIZE),
            checksums: checksum.into_iter().collect(),
            ..ObjectHead::default()
        }
    }

    fn verified(origin: &ObjectIdentity, head: &ObjectHead) -> Result<Verified, &'static str> {
        match judge(SIZE, origin, head) {
            Judgement::Ours(proof) => Ok(proof.verified),
            Judgement::Unknown => Err("unknown"),
            Judgement::Other(_) => Err("other"),
        }
    }

    #[test]
    fn a_copy_is_proven_by_the_strongest_that_both_objects_show() {
        use ChecksumKind::{Composite, FullObject};
        let md5 = "\"0123456789abcdef0123456789abcdef\"";
        let of_parts = "\"0123456789abcdef0123456789abcdef-2\"";
        let with = |kind| Some((sum(1), kind));
        let full = origin(md5, with(FullObject));
        assert_eq!(
            verified(&full, &copy("\"x\"", with(FullObject))),
            Ok(Verified::FullObject)
        );
        let other = copy(md5, Some((sum(2), FullObject)));
        assert_eq!(
            verified(&full, &other),
            Err("other"),
            "its ETag does not help"
        );
        let parts = origin("\"x\"", with(Composite));
        assert_eq!(
            verified(&parts, &copy("\"y\"", with(Composite))),
            Ok(Verified::Composite)
        );
        let cut = copy("\"y\"", Some((sum(2), Composite)));
        assert_eq!(verified(&parts, &cut), Err("unknown"), "in other parts");
        for etag in [md5, of_parts] {
            assert_eq!(
                verified(&origin(etag, None), &copy(etag, None)),
                Ok(Verified::Md5)
            );
        }
        assert_eq!(
            verified(&origin(md5, None), &copy(of_parts, None)),
            Err("unknown")
        );
        assert_eq!(
            verified(&origin("\"x\"", None), &copy("\"x\"", None)),
            Err("unknown")
        );
        let shorter = ObjectHead {
            size: Some(SIZE - 1),
            ..copy(md5, with(FullObject))
        };
        assert_eq!(verified(&full, &shorter), Err("other"));
    }

    #[test]
    fn an_object_that_may_have_been_made_within_the_second_is_not_called_older() {
        let at = |secs: i64| Some(Timestamp::from_millis(secs * 1000));
        let head = |told, modified| ObjectHead {
            told_at: at(told),
            last_modified: at(modified),
            ..ObjectHead::default()
        };
        assert!(!is_older(&head(100, 100), 5));
        assert!(!is_older(&head(101, 100), 5), "by the tick of a clock");
        assert!(is_older(&head(103, 100), 500));
        assert!(!is_older(&ObjectHead::default(), 0), "nobody can tell");
        assert!(!is_older(&head(103, 100), -1), "our clock went back");
    }

    #[test]
    fn the_source_itself_is_told_from_a_copy_of_it_by_its_version_or_its_time() {
        let at = |secs: i64| Some(Timestamp::from_millis(secs * 1000));
        let version = |version: &str, secs| ObjectHead {
            version_id: Some(version.into()),
            ..head_of(secs)
        };
        fn head_of(secs: i64) -> ObjectHead {
            ObjectHead {
                last_modified: Some(Timestamp::from_millis(secs * 1000)),
                ..copy("\"e\"", None)
            }
        }
        let plain = ObjectIdentity {
            last_modified: at(100),
            ..origin("\"e\"", None)
        };
        assert!(is_same(&plain, &head_of(100)));
        assert!(!is_same(&plain, &head_of(101)));
        assert!(!is_same(&origin("\"e\"", None), &copy("\"e\"", None)));
        let first = ObjectIdentity {
            version_id: Some("1".into()),
            ..plain
        };
        assert!(is_same(&first, &version("1", 100)));
        assert!(!is_same(&first, &version("2", 100)));
    }
}
