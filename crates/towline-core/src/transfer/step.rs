//! What one event leads to.

use std::time::Duration;

use super::Item;
use crate::{Change, ErrorRecord, Fix, ParkReason, PartNumber};

/// What one event led to.
#[must_use = "commit the changes, then perform the actions"]
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    /// To be committed, in order, together.
    pub changes: Vec<Change>,
    /// To be performed, in order, once the changes are durable.
    pub actions: Vec<Action>,
}

impl Step {
    /// Whether nothing changed and nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.actions.is_empty()
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// What the engine is to do. An act that begins waits until all that were
/// stopped have ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Uploads and copies: look at the source.
    Inspect,
    /// Open the multipart upload; downloads: ask what the object is.
    Prepare,
    /// Ask S3 or the disk what is there.
    Reconcile,
    /// Parts can be taken with [`Transfer::take_part`](super::Transfer::take_part).
    OfferParts,
    /// Downloads: prove the bytes and make them durable.
    Seal,
    /// Complete the upload; downloads: give the file its name.
    Finish,
    /// Remove what S3 and the disk hold.
    Discard,
    /// End every act of this transfer.
    Stop,
    /// Pass [`Event::WaitOver`](super::Event::WaitOver) after a random wait.
    Wait {
        /// What waits.
        item: Item,
        /// The longest wait.
        up_to: Duration,
        /// The shortest.
        at_least: Duration,
    },
    /// Put something right before the next action.
    Fix(Fix),
    /// Pass [`Event::Unparked`](super::Event::Unparked) when this may have ended.
    WatchFor(ParkReason),
    /// Keep an incident.
    Note {
        /// The part it happened to, if one.
        part: Option<PartNumber>,
        /// What happened.
        error: ErrorRecord,
    },
}
