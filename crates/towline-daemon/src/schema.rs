//! The form of what comes from the library, for the OpenAPI document. A test
//! holds it to what is really sent.
#![allow(dead_code, missing_docs)] // only their descriptions are used

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Upload,
    Download,
    Copy,
}

#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Waiting,
    InProgress,
    Paused,
    WaitingForNetwork,
    Completed,
    Canceled,
    Failed,
}

/// Why a transfer is in its state.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    Queued,
    NotRunning,
    BackingOff,
    Canceling,
    Restarting,
    Verifying,
    Network,
    Credentials,
    DiskFull,
    ReadOnly,
    Clock,
    Tls,
    Throttled,
    NetworkClass,
}

#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Transferred,
    Skipped,
    NotModified,
    Conflict,
}

/// By what a completion is proven, the weakest first.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verified {
    SizeOnly,
    Md5,
    PerPart,
    Composite,
    FullObject,
}

#[derive(ToSchema, Serialize)]
pub(crate) struct Transfer {
    /// Its number in the store.
    pub(crate) id: u64,
    #[serde(rename = "type")]
    pub(crate) direction: Direction,
    pub(crate) state: State,
    #[schema(required)]
    pub(crate) reason: Option<Reason>,
    /// How it ended, once it has.
    #[schema(required)]
    pub(crate) outcome: Option<Outcome>,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The version asked for, if one was; of a copy, of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version_id: Option<String>,
    /// The file, with replacement characters where it is not UTF-8; of a copy its source, as
    /// `s3://BUCKET/KEY`.
    pub(crate) path: String,
    /// Its bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_b64: Option<String>,
    /// The group that it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// Whether it goes ahead of others; left out where it is normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<Priority>,
    /// Length, once known.
    #[schema(required)]
    pub(crate) bytes_total: Option<u64>,
    /// Bytes moved. Equal to the total only when completed.
    pub(crate) bytes_transferred: u64,
    /// Counts starts from zero, from 1.
    pub(crate) generation: u32,
    /// The last error, where it failed, waits or started anew because of one.
    #[schema(required)]
    pub(crate) error: Option<ErrorRecord>,
    #[schema(required)]
    pub(crate) verified: Option<Verified>,
    /// The object's ETag, once completed.
    #[schema(required)]
    pub(crate) etag: Option<String>,
    /// When it was asked for, in milliseconds since 1970.
    pub(crate) created_at: i64,
    /// When its phase last changed, in milliseconds since 1970.
    pub(crate) updated_at: i64,
    /// The endpoint it goes to; null is AWS.
    #[schema(required)]
    pub(crate) endpoint: Option<String>,
    /// Whether its store has ever answered the owner.
    pub(crate) store_answered: bool,
}

#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Priority {
    Low,
    Normal,
    High,
}

#[derive(ToSchema, Serialize)]
pub(crate) struct ErrorRecord {
    /// A stable name: S3's code, or one of Towline's.
    pub(crate) code: String,
    /// What happened, in words.
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_status: Option<u16>,
    /// `x-amz-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// `x-amz-id-2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host_id: Option<String>,
    /// How many attempts had failed in a row.
    pub(crate) attempts: u32,
}

#[derive(ToSchema, Serialize)]
pub(crate) struct Proof {
    pub(crate) verified: Verified,
    #[schema(required)]
    pub(crate) etag: Option<String>,
    #[schema(required)]
    pub(crate) version_id: Option<String>,
    /// Algorithm, what it covers, and the checksum in hexadecimal digits.
    #[schema(required, min_items = 3, max_items = 3)]
    pub(crate) checksum: Option<Vec<String>>,
    /// Downloads: the number that the target took in its name, as that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renamed: Option<u32>,
}

/// One transfer to be submitted.
#[derive(ToSchema, Serialize)]
pub(crate) struct TransferRequest {
    #[serde(rename = "type")]
    pub(crate) direction: Direction,
    /// Default: the service's own bucket, if it has one.
    #[schema(required = false)]
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// Downloads: a version of the object; copies: of the source.
    pub(crate) version_id: Option<String>,
    /// The file on the service's machine, or what `PUT /v1/spool` gave; of a copy its source,
    /// as `s3://BUCKET/KEY`.
    pub(crate) path: String,
    /// Its bytes in base64, where they are not UTF-8.
    pub(crate) path_b64: Option<String>,
    /// How to reach the store. Default: the service's own way. Over TCP a profile by its name,
    /// and nothing else.
    pub(crate) connection: Option<Connection>,
    /// How to carry it: the fields of `TransferOptions` in the library, such as `priority`
    /// (`low`, `normal`, `high`), which the same request again changes.
    #[schema(required = false, value_type = Object)]
    pub(crate) options: BTreeMap<String, String>,
    /// The caller's own name for this request: the same one again is the same transfer, and with
    /// another body it is refused (409).
    pub(crate) token: Option<String>,
    /// The name of the group that it belongs to.
    pub(crate) group: Option<String>,
    /// Cancels an unfinished transfer of the same and starts anew.
    #[schema(required = false)]
    pub(crate) restart: bool,
    /// Downloads: what a listing told of the object. A small one is then fetched in one request.
    pub(crate) listed: Option<Listed>,
}

/// The upload of a directory, or the download or copy of a prefix.
#[derive(ToSchema, Serialize)]
pub(crate) struct GroupRequest {
    #[serde(rename = "type")]
    pub(crate) direction: Direction,
    /// Of copies the one that they are made in. Default: the service's own bucket, if it has one.
    #[schema(required = false)]
    pub(crate) bucket: String,
    /// What the keys begin with, of copies theirs: empty, or ending in `/`.
    #[schema(required = false)]
    pub(crate) prefix: String,
    /// The directory on the service's machine; that of a download is made if it is missing. Of
    /// copies the source, as `s3://BUCKET/PREFIX`.
    pub(crate) path: String,
    /// Its bytes in base64, where they are not UTF-8.
    pub(crate) path_b64: Option<String>,
    /// How to reach the store. Default: the service's own way. Over TCP a profile by its name,
    /// and nothing else.
    pub(crate) connection: Option<Connection>,
    /// How to carry each transfer: the fields of `TransferOptions` in the library.
    #[schema(required = false, value_type = Object)]
    pub(crate) options: BTreeMap<String, String>,
    /// The name of the group. Default: one by its source and its target.
    pub(crate) group: Option<String>,
    /// Cancels an unfinished group of the same name, and starts anew.
    #[schema(required = false)]
    pub(crate) restart: bool,
    /// Makes it a sync: only what differs is transferred. Default: all.
    pub(crate) sync: Option<SyncOptions>,
}

/// How a directory and a prefix are compared.
#[derive(ToSchema, Serialize)]
pub(crate) struct SyncOptions {
    /// What makes a file and an object the same. Default: `size_time`.
    #[schema(required = false)]
    pub(crate) compare: SyncCompare,
    /// What is left out on both sides. Default: nothing.
    #[schema(required = false)]
    pub(crate) filter: SyncFilter,
    /// Uploads get the time of their file's last change as metadata, `towline-mtime`. Default: no.
    #[schema(required = false)]
    pub(crate) record_mtime: bool,
    /// Uploads: what is the same is uploaded again where its metadata, tags, class or headers are not those
    /// that the options ask for. Default: no.
    #[schema(required = false)]
    pub(crate) properties: bool,
}

/// What makes a file and an object the same: their length, and that the source is not newer; their
/// length; their length and checksum; nothing.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncCompare {
    SizeTime,
    Size,
    Checksum,
    Always,
}

/// Patterns as in a `.gitignore`, and bounds of length and time.
#[derive(ToSchema, Serialize)]
pub(crate) struct SyncFilter {
    /// What matches is left out; a later one that begins with `!` takes back.
    #[schema(required = false)]
    pub(crate) exclude: Vec<String>,
    /// Only what matches one of these is taken. Default: all.
    #[schema(required = false)]
    pub(crate) include: Vec<String>,
    /// In bytes.
    pub(crate) min_size: Option<u64>,
    /// In bytes.
    pub(crate) max_size: Option<u64>,
    /// Only what was changed within so many milliseconds.
    pub(crate) newer_than_ms: Option<u64>,
    /// Only what was changed longer ago than so many milliseconds.
    pub(crate) older_than_ms: Option<u64>,
    /// When these are counted from, in milliseconds since 1970. Default: when the group is begun.
    pub(crate) as_of: Option<i64>,
}

/// A group that lists its transfers by itself.
#[derive(ToSchema, Serialize)]
pub(crate) struct Group {
    /// Its number in the store; groups are counted by themselves.
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) direction: Direction,
    /// `in_progress`, `waiting` or `paused` until its end; then `completed` if all that was found
    /// was transferred or needed no transfer, else `failed`, or `canceled`.
    pub(crate) state: State,
    pub(crate) listing: ListingPhase,
    /// Of copies the one that they are made in.
    pub(crate) bucket: String,
    /// What the keys begin with, of copies theirs.
    pub(crate) prefix: String,
    /// The directory, with replacement characters where it is not UTF-8; of copies the source, as
    /// `s3://BUCKET/PREFIX`.
    pub(crate) path: String,
    /// Its bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_b64: Option<String>,
    /// Whether it goes ahead of others; left out where it is normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<Priority>,
    pub(crate) found: FoundCounts,
    pub(crate) transfers: GroupSums,
    /// Why it does not list on, for now or for good.
    #[schema(required)]
    pub(crate) error: Option<ErrorRecord>,
    /// When it was asked for, in milliseconds since 1970.
    pub(crate) created_at: i64,
    /// When it last changed, in milliseconds since 1970.
    pub(crate) updated_at: i64,
    /// When it had its end, in milliseconds since 1970.
    #[schema(required)]
    pub(crate) ended_at: Option<i64>,
}

/// How far a listing is.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListingPhase {
    Listing,
    Listed,
    Canceled,
    Failed,
}

/// What a listing came by so far.
#[derive(ToSchema, Serialize)]
pub(crate) struct FoundCounts {
    /// Files or objects.
    pub(crate) entries: u64,
    /// Those that need no transfer.
    pub(crate) skipped: u64,
    /// Those that can have none.
    pub(crate) refused: u64,
    /// Of a sync: those that are the same on both sides.
    pub(crate) same: u64,
    /// The lengths of those that became transfers.
    pub(crate) bytes: u64,
}

/// The transfers of a group, added up.
#[derive(ToSchema, Serialize)]
pub(crate) struct GroupSums {
    /// Neither final nor paused.
    pub(crate) going: u64,
    pub(crate) paused: u64,
    pub(crate) completed: u64,
    pub(crate) canceled: u64,
    pub(crate) failed: u64,
    /// Bytes moved, of all of them.
    pub(crate) bytes_done: u64,
}

#[derive(ToSchema, Serialize)]
pub(crate) struct Listed {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was stored, in milliseconds since 1970.
    pub(crate) last_modified: Option<i64>,
}

#[derive(ToSchema, Serialize)]
pub(crate) struct Connection {
    pub(crate) source: ConnectionSource,
}

#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionSource {
    /// A profile of AWS's configuration files.
    Profile(String),
}

/// Credentials; over the control socket only.
#[derive(ToSchema, Serialize)]
pub(crate) struct HandedOver {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}
