//! Groups that list their own transfers: what is stored of one.
//!
//! What a group asks for and how far its listing was read are text to everybody
//! but who lists it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ErrorRecord, NewTransfer, Phase, Timestamp, TransferId};

/// The number of a group in its store: growing, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(u64);

impl GroupId {
    /// Before every group: where paging through them starts.
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

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for GroupId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A group to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name; no other group of this name may be without its end.
    pub name: String,
    /// What it is to list, and how, as JSON.
    pub request: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// A group as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What it is to list, and how, as JSON.
    pub request: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How far its listing is.
    pub listing: ListingPhase,
    /// It was paused: nothing is listed.
    pub paused: bool,
    /// Its transfers are yet to be told what the group was told: to be canceled if
    /// it is, else to pause if it is paused, else to resume.
    pub steering: bool,
    /// Where its listing goes on; `None`: from the start.
    pub position: Option<String>,
    /// What its listing came by so far.
    pub found: FoundCounts,
    /// Why it does not list on, or has failed to.
    pub error: Option<ErrorRecord>,
    /// When it had its end: nothing more is listed, and all its transfers were
    /// final.
    pub ended_at: Option<Timestamp>,
    /// Whether at its end all that was found had been transferred, or needed no
    /// transfer.
    pub all_well: bool,
}

/// How far a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingPhase {
    /// More is to come.
    Listing,
    /// All was listed.
    Listed,
    /// The group was canceled before or after that.
    Canceled,
    /// It could not be read to its end.
    Failed,
}

impl ListingPhase {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Listing, Self::Listed, Self::Canceled, Self::Failed];
}

/// What a listing came by, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCounts {
    /// Files or objects.
    pub entries: u64,
    /// Those that need no transfer.
    pub skipped: u64,
    /// Those that can have none.
    pub refused: u64,
    /// Of a sync: those that are the same on both sides. They are counted and no
    /// more.
    #[serde(default)]
    pub same: u64,
    /// The lengths of those that became transfers.
    pub bytes: u64,
}

/// A file or an object that is in a group and has no transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotListed {
    /// Whether it needs none, or else can have none.
    pub skipped: bool,
    /// Its key, where it has one.
    pub key: Option<String>,
    /// Its file, where it has one.
    pub path: Option<PathBuf>,
    /// A stable name of the reason.
    pub code: String,
    /// The reason in words.
    pub why: String,
}

/// So many of what was skipped are kept, and so many of what was refused; all are
/// counted.
pub const NOT_LISTED_KEPT: u64 = 10_000;

/// What one step of a listing gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPage {
    /// It begins at the start: what was counted and kept before is forgotten.
    pub from_start: bool,
    /// Its new transfers.
    pub new: Vec<NewTransfer>,
    /// Transfers of earlier groups of the same name that are of this one now.
    pub adopted: Vec<TransferId>,
    /// Some of these are paused, and yet to be told to go on.
    pub resumes: bool,
    /// What has no transfer.
    pub not_listed: Vec<NotListed>,
    /// Files or objects, of all kinds.
    pub entries: u64,
    /// Those that are the same on both sides.
    pub same: u64,
    /// The lengths of those that are transfers.
    pub bytes: u64,
    /// Where the listing goes on.
    pub position: Option<String>,
    /// It is the last one.
    pub last: bool,
    /// When.
    pub at: Timestamp,
}

/// One change of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// It is paused, or goes on; its transfers are yet to be told.
    Paused(bool),
    /// It is canceled; its transfers are yet to be told. Nothing changes a canceled
    /// group but its end.
    Canceled,
    /// Its transfers were told this; it counts if that is still so.
    Steered {
        /// To be canceled.
        canceled: bool,
        /// To pause, else to resume.
        paused: bool,
    },
    /// What it asks for is this from now on.
    Request(String),
    /// Why it does not list on for now; `None`: that is over.
    Error(Option<ErrorRecord>),
    /// Its listing failed for good.
    Failed(ErrorRecord),
    /// It has its end, and there is nothing left to be told to any transfer.
    Ended {
        /// Whether none of its transfers failed or was canceled.
        all_done: bool,
    },
}

impl GroupRecord {
    /// A new one.
    pub fn new(id: GroupId, new: NewGroup) -> Self {
        Self {
            id,
            name: new.name,
            request: new.request,
            created_at: new.created_at,
            updated_at: new.created_at,
            listing: ListingPhase::Listing,
            paused: false,
            steering: false,
            position: None,
            found: FoundCounts::default(),
            error: None,
            ended_at: None,
            all_well: false,
        }
    }

    /// Whether a page may be recorded.
    pub fn is_open(&self) -> bool {
        self.listing == ListingPhase::Listing && !self.paused && self.ended_at.is_none()
    }

    /// Counts a page.
    pub fn turn(&mut self, page: &GroupPage) {
        if page.from_start {
            self.found = FoundCounts::default();
        }
        let skipped = page.not_listed.iter().filter(|it| it.skipped).count() as u64;
        self.found.entries += page.entries;
        self.found.skipped += skipped;
        self.found.refused += page.not_listed.len() as u64 - skipped;
        self.found.same += page.same;
        self.found.bytes += page.bytes;
        self.steering |= page.resumes;
        self.position.clone_from(&page.position);
        self.error = None;
        self.updated_at = page.at;
        if page.last {
            self.listing = ListingPhase::Listed;
        }
    }

    /// Applies one change; one that came too late changes nothing.
    pub fn apply(&mut self, change: &GroupChange, at: Timestamp) {
        if self.ended_at.is_some() {
            return;
        }
        let canceled = self.listing == ListingPhase::Canceled;
        match change {
            GroupChange::Paused(paused) if !canceled => {
                self.paused = *paused;
                self.steering = true;
            }
            GroupChange::Canceled => {
                self.listing = ListingPhase::Canceled;
                self.paused = false;
                self.steering = true;
            }
            GroupChange::Steered {
                canceled: was,
                paused,
            } if (*was, *paused) == (canceled, self.paused) => self.steering = false,
            GroupChange::Request(request) if !canceled => self.request.clone_from(request),
            GroupChange::Error(error) if self.listing == ListingPhase::Listing => {
                self.error.clone_from(error);
            }
            GroupChange::Failed(error) if self.listing == ListingPhase::Listing => {
                self.listing = ListingPhase::Failed;
                self.error = Some(error.clone());
            }
            GroupChange::Ended { all_done } => {
                self.ended_at = Some(at);
                self.steering = false;
                let all_listed = self.listing == ListingPhase::Listed;
                self.all_well = all_listed && self.found.refused == 0 && *all_done;
            }
            _ => return,
        }
        self.updated_at = at;
    }
}

/// Which groups are meant; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct GroupQuery {
    /// This one only.
    pub id: Option<GroupId>,
    /// Those of a name.
    pub name: Option<String>,
    /// Only those that have not had their end.
    pub unended: bool,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// After this one, in that order.
    pub after: Option<GroupId>,
    /// At most this many; 0 means 100.
    pub limit: usize,
}

/// The transfers of a group, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSums {
    /// Neither final nor paused.
    pub going: u64,
    /// Stopped by the user.
    pub paused: u64,
    /// Done.
    pub completed: u64,
    /// Given up by the user.
    pub canceled: u64,
    /// Failed.
    pub failed: u64,
    /// Bytes moved, of all of them.
    pub bytes_done: u64,
}

impl GroupSums {
    /// Counts some more in a phase.
    pub fn add(&mut self, phase: Phase, more: u64, bytes: u64) {
        let mut counts = crate::Counts::default();
        counts.add(phase, more);
        self.going += counts.going;
        self.paused += counts.paused;
        self.completed += counts.completed;
        self.canceled += counts.canceled;
        self.failed += counts.failed;
        self.bytes_done += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn group(changes: &[GroupChange]) -> GroupRecord {
        let new = NewGroup {
            name: "g".into(),
            request: "{}".into(),
            created_at: at(0),
        };
        let mut group = GroupRecord::new(GroupId::new(1), new);
        changes.iter().for_each(|change| group.apply(change, at(1)));
        group
    }

    #[test]
    fn what_a_group_is_told_while_its_transfers_are_told_something_else_is_yet_to_be_told() {
        let told = |canceled, paused| GroupChange::Steered { canceled, paused };
        let resumed = [
            GroupChange::Paused(true),
            GroupChange::Paused(false),
            told(false, true),
        ];
        assert!(group(&resumed).steering, "they are paused");
        let canceled = [
            GroupChange::Paused(true),
            GroupChange::Canceled,
            told(false, true),
        ];
        assert!(group(&canceled).steering, "they are not canceled");
        let both = [&canceled[..], &[told(true, false)]].concat();
        assert!(!group(&both).steering);
    }

    #[test]
    fn a_group_with_its_end_has_nothing_to_tell_and_its_end_stays_what_it_was() {
        let ended = |all_done| GroupChange::Ended { all_done };
        let late = group(&[GroupChange::Paused(true), ended(true)]);
        assert!(late.ended_at.is_some() && !late.steering);
        let page = GroupPage {
            last: true,
            ..GroupPage::default()
        };
        for all_done in [true, false] {
            let mut listed = group(&[]);
            listed.turn(&page);
            listed.apply(&ended(all_done), at(2));
            listed.apply(&ended(!all_done), at(3));
            assert_eq!((listed.all_well, listed.ended_at), (all_done, Some(at(2))));
        }
        assert!(!group(&[ended(true)]).all_well, "not all was listed");
    }
}
