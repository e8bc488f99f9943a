//! The life of one transfer, decided without doing anything.
//!
//! This crate holds what Towline *knows* and *decides*: the state machine of a
//! transfer ([`Transfer`]), how a file is cut into parts ([`PartPlan`]), what a
//! failure means ([`react`]), and the two ports through which an engine
//! reaches the outside ([`S3`], [`Store`]). It does no I/O, reads no clock and
//! draws no random number, so every decision can be replayed from its inputs.

mod access;
mod address;
mod checksum;
mod connection;
mod crc;
mod cursor;
pub mod failpoint;
mod failure;
mod file;
mod group;
mod id;
mod network;
mod object_options;
mod options;
mod part_size;
mod phase;
mod plan;
mod priority;
mod record;
mod retry;
mod s3;
mod store;
mod time;
mod transfer;

pub use access::{Access, Extra, KeyReference};
pub use address::{AddressError, BucketName, ObjectAddress, ObjectKey};
pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, ParseChecksumError};
pub use connection::{Addressing, Connection, ConnectionSource};
pub use cursor::{ChangeFilter, Changed, Changes, Cursor, Only, ParseCursorError};
pub use failure::{ErrorRecord, Failure, LocalFailure};
pub use file::{FileIdentity, Fingerprint};
pub use group::{
    FoundCounts, GroupChange, GroupId, GroupPage, GroupQuery, GroupRecord, GroupSums, ListingPhase,
    NOT_LISTED_KEPT, NewGroup, NotListed,
};
pub use id::{PartNumber, TransferId};
pub use network::{NetworkClass, NetworkPolicy};
pub use object_options::{Encryption, Grant, Grantee, ObjectOptions, Permission};
pub use options::{
    ByteRange, ReadCondition, TransferOptions, UploadMode, WhenSourceChanges, WhenTargetExists,
};
pub use part_size::{PartSize, PartSizeError};
pub use phase::{After, Outcome, ParkReason, Phase, Reason, State, Status};
pub use plan::{MAX_PARTS, PartPlan, PlanError, SINGLE_PUT_MAX};
pub use priority::Priority;
pub use record::{
    Asked, Change, Direction, NewTransfer, ObjectIdentity, PartRow, Proof, RangeOf, Record, Remote,
    Request, Spec, Temp, Verified,
};
pub use retry::{Fix, Fixed, History, Reaction, react};
pub use s3::*;
pub use store::{Counts, Created, Ended, Incident, Page, Query, Store, StoreError};
pub use time::{Now, Timestamp};
pub use transfer::{Action, Command, Event, Found, Item, Refused, Step, Transfer};
