//! Exit codes: documented and stable.

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for was done.
    Done,
    /// Something that was asked for did not happen.
    Failed,
    /// The command line is no good.
    Usage,
    /// The store is damaged, newer than this program, or not ours.
    StoreRefused,
    /// Another process owns the store and cannot be reached.
    StoreOwned,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::StoreRefused => 3,
            Self::StoreOwned => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
