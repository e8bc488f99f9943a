//! What went wrong on this machine, or with the bytes that S3 gave or took.

use super::meaning::Meaning;
use crate::{LocalFailure, ParkReason};

pub(super) fn meaning(failure: &LocalFailure) -> Meaning {
    match failure {
        LocalFailure::SourceChanged { .. }
        | LocalFailure::ObjectChanged { .. }
        | LocalFailure::NoRanges { .. }
        | LocalFailure::WrongWhole { .. }
        | LocalFailure::SyncFailed { .. }
        | LocalFailure::TempGone { .. } => Meaning::Restart,
        LocalFailure::DiskFull { .. } => Meaning::Wait(ParkReason::DiskFull),
        LocalFailure::TargetUnwritable {
            read_only: true, ..
        }
        | LocalFailure::TargetAway { .. } => Meaning::Wait(ParkReason::ReadOnly),
        // Others of this process hold them.
        LocalFailure::OutOfDescriptors { .. } => Meaning::Slower,
        // A cable may be loose; what was moved is kept for when it is not.
        LocalFailure::SourceReadFailed { .. } => Meaning::AFewTimes,
        // Bytes may be damaged on the way; after a few times it is no accident.
        LocalFailure::WrongBytes { .. } | LocalFailure::StoredWrong { .. } => Meaning::Damaged,
        LocalFailure::SourceUnreadable { .. }
        | LocalFailure::TargetUnwritable { .. }
        | LocalFailure::TargetExists { .. }
        | LocalFailure::SourceNotReopenable
        | LocalFailure::TargetNotReopenable
        | LocalFailure::StreamLength { .. }
        | LocalFailure::NoSuchRange { .. }
        | LocalFailure::Connection { .. }
        | LocalFailure::Unplannable { .. } => Meaning::Fail,
    }
}
