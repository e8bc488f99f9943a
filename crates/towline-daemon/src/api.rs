//! What goes over the socket.

use serde::{Deserialize, Serialize};
use towline::{
    Cursor, Direction, ErrorRecord, Group, GroupId, HandedOver, Incident, Only, Query, Reason,
    State, Timestamp, Transfer, TransferId, TransferRequest,
};

use utoipa::{IntoParams, ToSchema};

use crate::Problem;
use crate::schema;

/// Who owns the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct About {
    /// Of Towline.
    pub version: String,
    /// Its process; information, not proof.
    pub pid: u32,
    /// How long it stays.
    pub mode: Mode,
    /// Since when it owns the state, in milliseconds since 1970.
    #[serde(default)]
    #[schema(value_type = i64)]
    pub since: Timestamp,
    /// Where it is reached: `unix:` and the path of its socket, and others.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// How long an owner stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// Transfers to be submitted, all or none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// What to transfer.
    #[schema(value_type = Vec<schema::TransferRequest>)]
    pub requests: Vec<TransferRequest>,
    /// The client's own credentials, for connections of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::HandedOver>)]
    pub credentials: Option<HandedOver>,
}

/// What became of a [`Submit`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// A transfer for each request, in their order.
    #[schema(value_type = Vec<schema::Transfer>)]
    pub transfers: Vec<Seen>,
    /// A place before their first change: following from here misses nothing.
    #[schema(value_type = String)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct Find {
    /// Only uploads, or only downloads.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<schema::Direction>)]
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
    /// Only this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only those whose key or path contains this; ASCII letters match in both cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u64>)]
    pub after: Option<TransferId>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most this many, 1000 at most; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of transfers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// The transfers.
    #[schema(value_type = Vec<schema::Transfer>)]
    pub transfers: Vec<Seen>,
    /// Where the next page starts; `None` on the last. With a search, and with
    /// filters that have no index, one request looks at 20,000 transfers at most:
    /// such a page may hold few, or none, and have a next one.
    #[schema(value_type = Option<u64>)]
    pub next: Option<TransferId>,
}

/// One transfer, with what happened on its way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Shown {
    /// The transfer.
    #[serde(flatten)]
    #[schema(value_type = schema::Transfer)]
    pub seen: Seen,
    /// What happened, oldest first; the last 64.
    pub incidents: Vec<IncidentSeen>,
}

/// Something that happened on the way of a transfer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IncidentSeen {
    /// When, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// In which generation.
    pub generation: u32,
    /// Which part, if one.
    pub part: Option<u32>,
    /// What.
    #[schema(value_type = schema::ErrorRecord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Steer {
    /// These.
    #[schema(value_type = Vec<u64>)]
    pub ids: Vec<TransferId>,
    /// And all of these that the verb is meant for in bulk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Which>,
    /// The client's own credentials, for connections of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::HandedOver>)]
    pub credentials: Option<HandedOver>,
}

/// All transfers that match; what is left out matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Only uploads, or only downloads.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Direction>)]
    pub direction: Option<Direction>,
    /// Only this bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Only this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl From<Which> for Query {
    fn from(which: Which) -> Self {
        Self {
            direction: which.direction,
            bucket: which.bucket,
            key: which.key,
            group: which.group,
            ..Self::default()
        }
    }
}

/// What became of a [`Steer`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Steered {
    /// Those that were named, and those of the others that changed.
    pub transfers: Vec<SteeredOne>,
    /// A place before their change: following from here misses nothing.
    #[schema(value_type = String)]
    pub cursor: Cursor,
}

/// What became of one transfer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SteeredOne {
    /// Which.
    #[schema(value_type = u64)]
    pub id: TransferId,
    /// Whether anything had to change.
    pub changed: bool,
    /// Its state after that; `None` once it is removed, or never was.
    #[schema(value_type = Option<schema::State>)]
    pub state: Option<State>,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Reason>)]
    pub reason: Option<Reason>,
    /// Why nothing could be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What to follow.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct Follow {
    /// Reads on from here; otherwise from now on, after the present state of
    /// the transfers in `ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub after: Option<Cursor>,
    /// Only these transfers, with commas between their numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<String>,
    /// Only the group with this number, and its transfers. Without progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u64>)]
    pub group: Option<GroupId>,
    /// Only some of the transfers: `rest`, those that ended, were paused or wait for a cause
    /// outside; `trouble`, the same without those that completed. Without progress.
    #[param(value_type = Option<String>)]
    pub only: Only,
}

/// What the owner tells who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transfer as it is now.
    Transfer(Box<Transfer>),
    /// Its record was removed.
    Removed(TransferId),
    /// A group is new, was steered, waits for its listing or goes on with it, has been listed,
    /// or had its end.
    Group(Box<Group>),
    /// Everything up to here was told.
    Reached(Cursor),
    /// The owner leaves; somebody else may own the state next.
    Handover,
}

/// Somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alive {
    /// Always true.
    pub alive: bool,
}

/// What a login code is asked for with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoginCodeRequest {
    /// Good for processes of the same user alone, as far as the system tells.
    pub own_user: bool,
}

/// A code that logs a browser in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoginCode {
    /// Good for one login.
    pub code: String,
    /// The page, with the code in its fragment.
    pub url: String,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

/// A login.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// A code of [`LoginCode`].
    pub code: String,
}

/// What a login gives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Goes into the header `Authorization: Bearer …` of every request.
    pub token: String,
}

/// How many transfers there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    /// Will go on by themselves.
    pub waiting: u64,
    /// Being carried now.
    pub in_progress: u64,
    /// The store cannot be reached.
    pub waiting_for_network: u64,
    /// Stopped by the user.
    pub paused: u64,
    /// Done, and proven.
    pub completed: u64,
    /// Given up by the user.
    pub canceled: u64,
    /// Ended without success.
    pub failed: u64,
}

impl Counted {
    /// How many are in this state.
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::Waiting => self.waiting,
            State::InProgress => self.in_progress,
            State::WaitingForNetwork => self.waiting_for_network,
            State::Paused => self.paused,
            State::Completed => self.completed,
            State::Canceled => self.canceled,
            State::Failed => self.failed,
        }
    }
}

/// How a transfer is cut, and where its parts are.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Parts {
    /// How many there are, once that is known.
    pub count: Option<u32>,
    /// All of them; none before the transfer is cut, and after it has ended.
    pub parts: Vec<PartSeen>,
    /// What its end was proven by.
    #[schema(value_type = Option<schema::Proof>)]
    pub proof: Option<towline::Proof>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartSeen {
    /// From 1.
    pub number: u32,
    /// Its first byte in the file or object.
    pub start: u64,
    /// The byte behind its last.
    pub end: u64,
    /// What becomes of it.
    pub state: PartProgress,
    /// Bytes of it that were moved.
    pub bytes: u64,
}

/// What becomes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartProgress {
    /// Its turn comes.
    Waiting,
    /// It is being moved.
    Sending,
    /// It is where it belongs, and that is recorded.
    Done,
}

/// How fast bytes moved, second by second.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Throughput {
    /// The end of the last second, in milliseconds since 1970.
    pub until: i64,
    /// Bytes sent in each second, oldest first; five minutes at most.
    pub up: Vec<u64>,
    /// Bytes received in each second, oldest first.
    pub down: Vec<u64>,
}

/// The profiles of AWS's configuration files that the service can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profiles {
    /// Their names, in order.
    pub profiles: Vec<String>,
}

/// Which paths are asked for.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// An absolute path; what comes behind its last `/` is the beginning of a name.
    pub under: String,
}

/// The paths that complete another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paths {
    /// In order of their names; 200 at most.
    pub paths: Vec<PathSeen>,
    /// There are more than these.
    pub more: bool,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PathSeen {
    /// The whole of it; a directory's ends in `/`.
    pub path: String,
    /// Whether it is a directory.
    pub directory: bool,
}

/// A file that is to be kept until it is uploaded.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Its name; of this only the extension is kept, for the content type.
    pub name: String,
}

/// A file that is kept until it is uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spooled {
    /// What a submit names as the source of its upload.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// In so many seconds it is removed, unless it is submitted.
    pub expires_in: u64,
}
