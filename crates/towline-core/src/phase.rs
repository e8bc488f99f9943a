//! Where a transfer is in its life: the phase that is stored, and the state
//! that is derived from it and shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a transfer is. Stored; assigned only by [`Transfer`](crate::Transfer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, nothing done yet.
    Queued,
    /// Opening the multipart upload, or asking what the object is.
    Preparing,
    /// Moving parts.
    Moving,
    /// Downloads: proving the bytes and making them durable under the temporary name.
    Sealing,
    /// Completing the upload, or giving the file its name.
    Finishing,
    /// Removing what S3 or the disk holds of it.
    Discarding(After),
    /// Stopped by the user; parts are kept.
    Paused,
    /// Stopped by a cause outside; goes on by itself when that ends.
    Parked(ParkReason),
    /// Done, and proven.
    Completed,
    /// Given up by the user; nothing is left behind.
    Canceled,
    /// Given up, with an error.
    Failed,
}

impl Phase {
    /// Whether no event leads out of it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed)
    }

    /// Whether the engine has acts to run for it.
    pub const fn runs(self) -> bool {
        matches!(
            self,
            Self::Preparing | Self::Moving | Self::Sealing | Self::Finishing | Self::Discarding(_)
        )
    }

    /// Whether a part that lands now is kept.
    pub const fn keeps_parts(self) -> bool {
        matches!(self, Self::Moving | Self::Paused | Self::Parked(_))
    }

    /// One of each kind, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Queued,
        Self::Preparing,
        Self::Moving,
        Self::Sealing,
        Self::Finishing,
        Self::Discarding(After::Cancel),
        Self::Discarding(After::Fail),
        Self::Discarding(After::Restart),
        Self::Paused,
        Self::Parked(ParkReason::Network),
        Self::Completed,
        Self::Canceled,
        Self::Failed,
    ];
}

/// What follows when everything is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum After {
    /// The transfer is canceled.
    Cancel,
    /// The transfer fails with the error that was recorded.
    Fail,
    /// A new generation starts from nothing.
    Restart,
}

/// A cause outside that a transfer waits out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The store cannot be reached.
    Network,
    /// There are no credentials, or S3 takes them no more.
    Credentials,
    /// The target's disk is full.
    DiskFull,
    /// The target cannot be written for now: its file system is read-only, or
    /// its directory is gone or may not be written.
    ReadOnly,
    /// This machine's clock is too far from S3's.
    Clock,
    /// The server's certificate is not to be trusted.
    Tls,
    /// S3 asks us to slow down, for long.
    Throttled,
    /// The network is metered, or is not, and the transfer asked for the other kind.
    NetworkClass,
}

impl ParkReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::Credentials,
        Self::DiskFull,
        Self::ReadOnly,
        Self::Clock,
        Self::Tls,
        Self::Throttled,
        Self::NetworkClass,
    ];
}

/// What is shown of a transfer. These spellings are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Will go on by itself; the reason says what it waits for.
    Waiting,
    /// Being carried now.
    InProgress,
    /// Stopped by the user.
    Paused,
    /// The store cannot be reached, or only by a network that the transfer must
    /// not use; goes on by itself.
    WaitingForNetwork,
    /// Done, and proven.
    Completed,
    /// Given up by the user.
    Canceled,
    /// Given up, with an error.
    Failed,
}

impl State {
    /// All of them, unfinished ones first.
    pub const ALL: [Self; 7] = [
        Self::InProgress,
        Self::Waiting,
        Self::WaitingForNetwork,
        Self::Paused,
        Self::Failed,
        Self::Canceled,
        Self::Completed,
    ];

    /// Whether it can change no more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed)
    }

    /// The spelling in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InProgress => "in_progress",
            Self::Paused => "paused",
            Self::WaitingForNetwork => "waiting_for_network",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a transfer is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Waits for its turn.
    Queued,
    /// No process runs the store it is in.
    NotRunning,
    /// Waits between two attempts.
    BackingOff,
    /// Its parts are being removed; it will be canceled.
    Canceling,
    /// It starts anew: the source changed, or the upload was gone.
    Restarting,
    /// Its bytes are being proven.
    Verifying,
    /// See [`ParkReason`].
    #[serde(untagged)]
    Parked(ParkReason),
}

/// The state that is shown, with its reason where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// Why, where that is not plain.
    pub reason: Option<Reason>,
}

impl Status {
    pub(crate) const fn new(state: State, reason: Option<Reason>) -> Self {
        Self { state, reason }
    }

    /// What a phase shows when no process runs it.
    pub const fn at_rest(phase: Phase) -> Self {
        match phase {
            Phase::Queued => Self::new(State::Waiting, Some(Reason::Queued)),
            Phase::Paused => Self::new(State::Paused, None),
            Phase::Parked(ParkReason::Network) => Self::new(State::WaitingForNetwork, None),
            Phase::Parked(reason @ ParkReason::NetworkClass) => {
                Self::new(State::WaitingForNetwork, Some(Reason::Parked(reason)))
            }
            Phase::Parked(reason) => Self::new(State::Waiting, Some(Reason::Parked(reason))),
            Phase::Completed => Self::new(State::Completed, None),
            Phase::Canceled => Self::new(State::Canceled, None),
            Phase::Failed => Self::new(State::Failed, None),
            Phase::Preparing
            | Phase::Moving
            | Phase::Sealing
            | Phase::Finishing
            | Phase::Discarding(_) => Self::new(State::Waiting, Some(Reason::NotRunning)),
        }
    }
}

/// How a final transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The bytes were moved.
    Transferred,
    /// They were there already.
    Skipped,
    /// The object had not changed since it was last fetched.
    NotModified,
    /// Another object, not ours, stands there; it was left alone.
    Conflict,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transferred => "transferred",
            Self::Skipped => "skipped",
            Self::NotModified => "not_modified",
            Self::Conflict => "conflict",
        })
    }
}
