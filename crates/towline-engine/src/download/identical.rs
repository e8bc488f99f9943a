//! Whether the target has the object's bytes already.

use towline_core::{ChecksumKind, Failure, ObjectIdentity};

use super::seal::{checksum_of_range, md5_of};
use crate::act::{Context, blocking};
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
    let same = blocking(move || {
        let Ok(file) = TargetDir::of(&target).and_then(|dir| dir.open_existing()) else {
            return false; // a directory, a link to nowhere: not the object
        };
        file.metadata().is_ok_and(|found| found.len() == size)
            && checksum_of_range(&file, 0..size, expected.algorithm()).ok() == Some(expected)
    });
    Ok(same.await)
}
