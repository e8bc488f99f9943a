//! Names for transfers and their parts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a transfer in its store: growing, never used twice, what a
/// person types in `towline pause 42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferId(u64);

impl TransferId {
    /// Before every transfer: where paging through a store starts.
    pub const START: Self = Self(0);

    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for TransferId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One piece of a transfer, counted from 1 as S3 does, at most 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(u32);

impl PartNumber {
    /// The first part; of a single PUT also the only one.
    pub const FIRST: Self = Self(1);

    /// The part with this number; `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The part at this position, counted from 0.
    pub const fn from_index(index: u32) -> Self {
        Self(index + 1)
    }

    /// The number, from 1.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The position, from 0.
    pub const fn index(self) -> u32 {
        self.0 - 1
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
