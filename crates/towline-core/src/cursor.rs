//! Where a reader of changes stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{GroupId, GroupRecord, Phase, Record, TransferId};

/// A place in the order in which the transfers and groups of one store changed
/// their states. As text, and in JSON: `STORE-EPOCH-N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor {
    /// Which store; drawn when it was created.
    pub store: u128,
    /// Counts the times that the store's order began anew, from 1.
    pub epoch: u64,
    /// The last change that was seen.
    pub n: u64,
}

/// A text that is no [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor")]
pub struct ParseCursorError(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{}-{}", self.store, self.epoch, self.n)
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut fields = text.split('-');
            let store = u128::from_str_radix(fields.next()?, 16).ok()?;
            let epoch = fields.next()?.parse().ok()?;
            let n = fields.next()?.parse().ok()?;
            fields.next().is_none().then_some(Self { store, epoch, n })
        };
        parse().ok_or_else(|| ParseCursorError(text.into()))
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl TryFrom<String> for Cursor {
    type Error = ParseCursorError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What changed after a place, in order; each transfer once, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The changed transfers and groups.
    pub changed: Vec<Changed>,
    /// The place after them, to ask from next.
    pub cursor: Cursor,
}

/// Which changes a reader wants to be told of. Removals are told in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only this group, and what it listed. Default: everything.
    pub group: Option<GroupId>,
    /// Which of the transfers.
    pub only: Only,
}

/// Which transfers a reader of changes wants to be told of, by what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// All.
    #[default]
    All,
    /// Those that ended, were paused, or wait for a cause outside.
    Rest,
    /// The same without those that completed.
    Trouble,
}

impl Only {
    /// Whether a transfer in this phase is told.
    pub const fn takes(self, phase: Phase) -> bool {
        let rests = !phase.runs() && !matches!(phase, Phase::Queued);
        match self {
            Self::All => true,
            Self::Rest => rests,
            Self::Trouble => rests && !matches!(phase, Phase::Completed),
        }
    }
}

/// One transfer or group that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is new, or in another phase.
    Transfer(Box<Record>),
    /// Its record was removed.
    Removed(TransferId),
    /// A group that lists its transfers is new, was steered, has been listed, or
    /// had its end.
    Group(Box<GroupRecord>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_same_after_a_round_trip() {
        let cursor = Cursor {
            store: u128::MAX - 7,
            epoch: 3,
            n: 12,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "12", "x-1-2", "00-1", "00-1-2-3", "00--1-2", "00-1--2"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong:?}");
        }
    }
}
