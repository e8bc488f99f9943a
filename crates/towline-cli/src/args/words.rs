//! Words that options take, and what they stand for.

use clap::ValueEnum;
use towline::{ChecksumAlgorithm, Priority, WhenSourceChanges, WhenTargetExists};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Algorithm {
    Crc64nvme,
    Crc32c,
    Crc32,
    Sha256,
    Md5,
}

impl From<Algorithm> for ChecksumAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc64nvme => Self::Crc64Nvme,
            Algorithm::Crc32c => Self::Crc32c,
            Algorithm::Crc32 => Self::Crc32,
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Md5 => Self::Md5,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sse {
    /// With keys of S3
    #[value(name = "AES256")]
    S3,
    /// With a key in AWS KMS
    #[value(name = "aws:kms")]
    Kms,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnChange {
    /// Start from zero with the file as it is then, three times at most
    Restart,
    /// Fail and leave nothing
    Fail,
    /// Upload the length that it had at first, if it only grew
    AllowGrowth,
}

impl From<OnChange> for WhenSourceChanges {
    fn from(policy: OnChange) -> Self {
        match policy {
            OnChange::Restart => Self::Restart,
            OnChange::Fail => Self::Fail,
            OnChange::AllowGrowth => Self::AllowGrowth,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnExists {
    /// Replace it, in one step, at the end
    Overwrite,
    /// Leave it if it has the object's bytes, else replace it
    SkipIfIdentical,
    /// Leave it and take the next free name, such as "name (1).ext"
    Rename,
    /// Leave it and fail
    Fail,
}

impl From<OnExists> for WhenTargetExists {
    fn from(policy: OnExists) -> Self {
        match policy {
            OnExists::Overwrite => Self::Overwrite,
            OnExists::SkipIfIdentical => Self::SkipIfIdentical,
            OnExists::Rename => Self::Rename,
            OnExists::Fail => Self::Fail,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PriorityName {
    /// When nothing else is to be done
    Low,
    /// As most are
    Normal,
    /// Before all others, also where many wait
    High,
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Self {
        match name {
            PriorityName::Low => Self::Low,
            PriorityName::Normal => Self::Normal,
            PriorityName::High => Self::High,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Upload,
    Download,
    Copy,
    Any,
}

impl Kind {
    pub(crate) fn direction(self) -> Option<towline::Direction> {
        match self {
            Self::Upload => Some(towline::Direction::Upload),
            Self::Download => Some(towline::Direction::Download),
            Self::Copy => Some(towline::Direction::Copy),
            Self::Any => None,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum StateName {
    Waiting,
    InProgress,
    Paused,
    WaitingForNetwork,
    Completed,
    Canceled,
    Failed,
}

impl From<StateName> for towline::State {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Waiting => Self::Waiting,
            StateName::InProgress => Self::InProgress,
            StateName::Paused => Self::Paused,
            StateName::WaitingForNetwork => Self::WaitingForNetwork,
            StateName::Completed => Self::Completed,
            StateName::Canceled => Self::Canceled,
            StateName::Failed => Self::Failed,
        }
    }
}
