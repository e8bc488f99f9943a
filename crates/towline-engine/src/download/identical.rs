//! Whether the target has the object's bytes already.

use towline_core::{ChecksumKind, Failure, ObjectIdentity};

use super::seal::{checksum_of_range, md5_of};
use crate::act::Context;
use crate::files::TargetDir;

/// Compares lengths, and the strongest checksum that can be computed from the
/// file alone. What cannot be compared is not the same.
pub(crate) async fn is_identical(
    context: &Context,
    identity: &ObjectIdentity,
    size: u64,
) -> Result<bool, Failure> {
    let expected = match identity.checksum {
        Some((sum, ChecksumKind::FullObject)) => Some(sum),
        _ => md5_of(identity),
    };
    let Some(expected) = expected.filter(|_| identity.range.is_none()) else {
        return Ok(false);
    };
    let target = context.target();
    let files = context.files.clone();
    let same = context.blocking(move || {
        let there = TargetDir::of(&*files, &target);
        let Ok(file) = there.and_then(|dir| dir.open_named(&*files, None)) else {
            return false; // a directory, a link to nowhere: not the object
        };
        file.stat()
            .is_ok_and(|found| found.fingerprint.size == size)
            && checksum_of_range(&*file, 0..size, expected.algorithm()).ok() == Some(expected)
    });
    Ok(same.await)
}
