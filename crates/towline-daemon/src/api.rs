//! What goes over the socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use towline::{
    Cursor, Direction, ErrorRecord, HandedOver, Incident, Query, Reason, State, Timestamp,
    Transfer, TransferId, TransferRequest,
};

use crate::Problem;

/// Who owns the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Of Towline.
    pub version: String,
    /// Its process; information, not proof.
    pub pid: u32,
    /// How long it stays.
    pub mode: Mode,
    /// Since when it owns the state, in milliseconds since 1970.
    #[serde(default)]
    pub since: Timestamp,
    /// Where it is reached: `unix:` and the path of its socket, and others.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// How long an owner stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Until its own transfers and its clients' are done.
    Command,
    /// Until it is told to go, or nothing is left to do.
    Background,
    /// Until it is told to go.
    Service,
}

impl Mode {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Background => "background",
            Self::Service => "service",
        }
    }
}

/// How many transfers there are in each state, by its name.
pub type Counts = BTreeMap<String, u64>;

/// Transfers to be submitted, all or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// What to transfer.
    pub requests: Vec<TransferRequest>,
    /// The client's own credentials, for connections of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<HandedOver>,
}

/// What became of a [`Submit`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// A transfer for each request, in their order.
    pub transfers: Vec<Seen>,
    /// A place before their first change: following from here misses nothing.
    pub cursor: Cursor,
}

/// A transfer as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The transfer.
    #[serde(flatten)]
    pub transfer: Transfer,
    /// Whether its store has ever answered the owner.
    #[serde(default)]
    pub store_answered: bool,
}

impl From<Transfer> for Seen {
    fn from(transfer: Transfer) -> Self {
        let store_answered = transfer.store_answered();
        Self {
            transfer,
            store_answered,
        }
    }
}

impl From<Seen> for Transfer {
    fn from(seen: Seen) -> Self {
        seen.transfer.with_store_answered(seen.store_answered)
    }
}

/// Which transfers to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Find {
    /// Only uploads, or only downloads.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only these states, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only this bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Only this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<TransferId>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most this many, 1000 at most; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of transfers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The transfers.
    pub transfers: Vec<Seen>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<TransferId>,
}

/// One transfer, with what happened on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The transfer.
    #[serde(flatten)]
    pub seen: Seen,
    /// What happened, oldest first; the last 64.
    pub incidents: Vec<IncidentSeen>,
}

/// Something that happened on the way of a transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentSeen {
    /// When, in milliseconds since 1970.
    pub at: Timestamp,
    /// In which generation.
    pub generation: u32,
    /// Which part, if one.
    pub part: Option<u32>,
    /// What.
    pub error: ErrorRecord,
}

impl From<Incident> for IncidentSeen {
    fn from(incident: Incident) -> Self {
        let Incident {
            at,
            generation,
            part,
            error,
        } = incident;
        Self {
            at,
            generation,
            part,
            error,
        }
    }
}

/// What to do to transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Stop, and keep what was moved.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Go on after a failure, or anew after a cancel.
    Retry,
    /// Stop, and remove what S3 and the disk hold.
    Cancel,
    /// Forget it; an unfinished one is canceled first.
    Remove,
    /// Go on with it if nobody does; paused ones stay paused.
    Carry,
}

impl Verb {
    /// Its name in the routes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Remove => "remove",
            Self::Carry => "carry",
        }
    }
}

/// Transfers to be steered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steer {
    /// These.
    pub ids: Vec<TransferId>,
    /// And all of these that the verb is meant for in bulk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Which>,
    /// The client's own credentials, for connections of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<HandedOver>,
}

/// All transfers that match; what is left out matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Only uploads, or only downloads.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only this bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Only this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl From<Which> for Query {
    fn from(which: Which) -> Self {
        Self {
            direction: which.direction,
            bucket: which.bucket,
            key: which.key,
            ..Self::default()
        }
    }
}

/// What became of a [`Steer`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steered {
    /// Those that were named, and those of the others that changed.
    pub transfers: Vec<SteeredOne>,
    /// A place before their change: following from here misses nothing.
    pub cursor: Cursor,
}

/// What became of one transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SteeredOne {
    /// Which.
    pub id: TransferId,
    /// Whether anything had to change.
    pub changed: bool,
    /// Its state after that; `None` once it is removed, or never was.
    pub state: Option<State>,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why nothing could be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What to follow.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Follow {
    /// Reads on from here; otherwise from now on, after the present state of
    /// the transfers in `ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// Only these transfers, with commas between their numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<String>,
}

/// What the owner tells who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transfer as it is now.
    Transfer(Box<Transfer>),
    /// Its record was removed.
    Removed(TransferId),
    /// Everything up to here was told.
    Reached(Cursor),
    /// The owner leaves; somebody else may own the state next.
    Handover,
}
