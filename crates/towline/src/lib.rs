//! Durable transfers to and from Amazon S3 and S3-compatible stores.
//!
//! Submit a transfer, and it ends [`State::Completed`] with proven bytes,
//! through pauses, crashes, reboots and lost networks, or it says why not.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use towline::TransferUtility;
//!
//! let utility = TransferUtility::builder().state_dir("/var/lib/my-app/towline").open().await?;
//! let observer = utility.upload("my-bucket", "photos/cat.jpg", "/home/me/cat.jpg").await?;
//! let transfer = observer.finished().await?;
//! println!("{} {:?}", transfer.state, transfer.verified);
//! # Ok(()) }
//! ```
//!
//! # Opening
//!
//! A [`TransferUtility`] keeps its state in a directory that one process owns at
//! a time. Opening it goes on with whatever is unfinished and not paused. By
//! default, endpoint, region and keys come from the environment and AWS's files
//! (with the feature `aws-config` also from SSO, roles and the machine it runs on);
//! an app may say otherwise, and its keys are never stored. See [`Builder`], also
//! for files that say all this.
//!
//! ```no_run
//! # async fn example() -> Result<(), towline::Error> {
//! use towline::{Connection, Credentials, TransferUtility};
//!
//! let utility = TransferUtility::builder()
//!     .state_dir("/var/lib/my-app/towline")
//!     .connection(Connection {
//!         endpoint: Some("https://minio.example.com".into()), // None: AWS
//!         ..Connection::default()
//!     })
//!     .static_credentials(Credentials::new("AKIA…", "…"))
//!     .default_bucket("my-bucket") // for requests with an empty bucket
//!     .open()
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! # Uploading and downloading
//!
//! A request is submitted by awaiting it. When that returns, the transfer is
//! recorded and survives power loss. The same request again, while it is unfinished,
//! is the same transfer. Bad input is refused at the call, and nothing is recorded.
//! Many at once: [`TransferUtility::submit`]; all objects below a prefix, all files of a directory:
//! [`download_prefix`](TransferUtility::download_prefix), [`upload_directory`](TransferUtility::upload_directory),
//! each one [`Group`] that lists its transfers by itself; what a directory and a prefix lack of each
//! other: [`sync_up`](TransferUtility::sync_up) and [`sync_down`](TransferUtility::sync_down). From object
//! to object, by the store itself: [`copy`](TransferUtility::copy), and of all objects below a prefix
//! [`copy_prefix`](TransferUtility::copy_prefix), which is a group too.
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
//! use towline::{ByteRange, WhenTargetExists};
//!
//! let up = utility.upload("my-bucket", "cat.jpg", "cat.jpg").await?;
//! let down = utility
//!     .download("my-bucket", "cat.jpg", "copy.jpg")
//!     .when_target_exists(WhenTargetExists::Rename) // default: replaced, at the end, in one step
//!     .range(ByteRange::Within(0, 4096)) // default: all
//!     .await?;
//! println!("{} {}", up.finished().await?.state, down.finished().await?.state);
//! # Ok(()) }
//! ```
//!
//! # Following a transfer
//!
//! A [`TransferObserver`] is asked ([`transfer`](TransferObserver::transfer)),
//! awaited ([`finished`](TransferObserver::finished)), read as a stream
//! ([`updates`](TransferObserver::updates)), or calls a [`TransferListener`] from
//! a thread of its own. In-between changes coalesce, the end is always told.
//! [`follow`](TransferUtility::follow) is a stream of the changes of all transfers;
//! who keeps its cursor follows from there in a later process, and misses no end.
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
//! use futures_util::StreamExt;
//! use towline::{State, TransferId, TransferListener};
//!
//! struct Printer;
//! impl TransferListener for Printer {
//!     fn on_state_changed(&mut self, id: TransferId, state: State) {
//!         println!("{id} is {state}");
//!     }
//! }
//!
//! let observer = utility.upload("", "cat.jpg", "cat.jpg").listener(Printer).await?;
//! let mut updates = observer.updates();
//! while let Some(transfer) = updates.next().await {
//!     println!("{} of {:?} bytes", transfer.bytes_transferred, transfer.bytes_total);
//! }
//!
//! let mut all = utility.follow(None); // or after a cursor
//! while let Some(some) = all.next().await {
//!     let (changes, cursor) = some?;
//!     println!("{changes:?}, read up to {cursor}");
//! }
//! # Ok(()) }
//! ```
//!
//! # Pausing, resuming, retrying, canceling
//!
//! All are durable when they return, and give whether anything had to change.
//! `pause` keeps what was moved, `cancel` removes it from S3 and the disk, `retry`
//! goes on after a failure. For many: [`pause_all`](TransferUtility::pause_all) and
//! its like, and [`steer_all`](TransferUtility::steer_all) with a [`Query`], by object,
//! path or the [`group`](UploadRequest::group) that the requests were given.
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility, id: towline::TransferId) -> Result<(), towline::Error> {
//! let changed = utility.pause(id).await? && utility.resume(id).await?;
//! let canceled = utility.cancel_all(Some(towline::Direction::Download)).await?;
//! # Ok(()) }
//! ```
//!
//! # Leaving and coming back
//!
//! Transfers run while a process has their state open. After
//! [`close`](TransferUtility::close), an exit or a crash, the next one that opens
//! it goes on with them; [`observe`](TransferUtility::observe) finds one by its id,
//! [`find`](TransferUtility::find) by what it is about. Listeners are set anew.
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility, id: towline::TransferId) -> Result<(), towline::Error> {
//! let transfer = utility.observe(id).await?.finished().await?;
//! let query = towline::Query { key: Some(transfer.key), ..Default::default() };
//! let (transfers, next_page) = utility.find(query).await?;
//! # Ok(()) }
//! ```
//!
//! # Bytes and streams
//!
//! Neither is copied to disk, so their transfers fail when the process ends;
//! [`spool`](UploadRequest::spool) makes a copy that goes on in a later one.
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
//! let observer = utility.upload_data("", "note.txt", "by hand").spool(true).await?;
//! let (writer, reader) = tokio::io::duplex(65_536);
//! let observer = utility.upload_stream("", "made.bin", reader).await?;
//! let bytes = utility.download_stream("", "note.txt").to_bytes().await?;
//! let transfer = utility.download_stream("", "made.bin").to_writer(Vec::new()).await?;
//! # Ok(()) }
//! ```
//!
//! # Metadata, ACLs, encryption
//!
//! All options are the same in one PUT and in parts. They can be set on the
//! request, or all together as [`ObjectOptions`].
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
//! use towline::{Encryption, KeyReference};
//!
//! let report = utility
//!     .upload("", "report.pdf", "report.pdf")
//!     .metadata("author", "Ada") // printable ASCII, 2 KB in all
//!     .content_type("application/pdf") // default: by the file name's extension
//!     .tag("project", "x") // at most 10
//!     .acl("bucket-owner-full-control") // or `grant`s
//!     .storage_class("STANDARD_IA")
//!     .encryption(Encryption::Kms { key_id: None, context: [].into(), bucket_key: None })
//!     .await?;
//! // SSE-C: where the key is, is stored, never the key.
//! let secret = utility
//!     .upload("", "secret", "secret")
//!     .customer_key(KeyReference::Environment("MY_KEY".into()))
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! # Beside transfers
//!
//! ```no_run
//! # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
//! println!("{:?}", utility.head("", "report.pdf").await?.metadata);
//! println!("{:?}", utility.list("").prefix("photos/").await?.objects);
//! let link = utility.presign_get("", "report.pdf").await?; // works for 15 minutes
//! utility.delete_object("", "report.pdf").await?;
//! let deleted = utility.delete_objects("", ["a.jpg", "b.jpg"]).await?; // up to 1,000
//! println!("{} deleted, {:?} not", deleted.deleted, deleted.failed);
//! # Ok(()) }
//! ```
//!
//! [`verify`](TransferUtility::verify) tells whether a file and an object are equal, mostly without fetching it.
//! [`doctor`](TransferUtility::doctor) tells what works with a bucket, and what cannot be promised there.
//! [`leftovers`](TransferUtility::leftovers) are uploads that nobody completes, and
//! [`check_lifecycle`](TransferUtility::check_lifecycle) tells whether the bucket aborts them.
//!
//! # Options and limits
//!
//! | in [`Config`]; the first two also by [`set_limits`](TransferUtility::set_limits) | default |
//! |---|---|
//! | `requests` at one time | automatic: from 2·(cpus+1) up to 256, as long as more moves more |
//! | `parts_per_transfer` at one time | automatic: 5, and more where that helps |
//! | `bandwidth`: the most bytes a second, each way; later [`set_bandwidth`](TransferUtility::set_bandwidth), also of a group | none |
//! | `request_rate`: the most requests a second; later [`set_request_rate`](TransferUtility::set_request_rate) | none |
//! | `byte_budget`: file content in memory | 44 MiB |
//! | `retry_limit`: failures in a row of one item | 8; outages and throttling do not count |
//! | `stall_timeout`: in which 1 KiB must move | 20 s |
//! | `first_byte_timeout`: until an answer begins | 30 s |
//! | `service_check_interval`: until a waiting transfer is looked at again; 30 s at most | 60 s |
//! | `progress_interval`: between two reports | 100 ms |
//! | `listed_ahead`: unfinished transfers of a group, with which it lists no more | 2,000 |
//!
//! Up to 5 MiB (5,242,880 bytes) go in one PUT, more in parts: of 5 MiB, 8 MiB from
//! 64 MiB, 16 MiB from 16 GiB, and as large as 10,000 parts need. A
//! [`part_size`](UploadRequest::part_size) is 5 MiB to 5 GiB.
//!
//! Records of finished transfers are forgotten after 30 days, and beyond 1,000,000 of them, or as
//! [`Builder::keep_for`] and [`Builder::keep_finished`] say.
//!
//! # Errors
//!
//! [`Error`] is why a call did not do what was asked; each has a stable
//! [`code`](Error::code). What went wrong on the way is in [`Transfer::error`], with
//! S3's code, message, status and request id, and stays there in later processes;
//! [`incidents`](TransferUtility::incidents) are the last 64. What passes by itself
//! (no network, no credentials, a full disk) is no failure: the transfer waits, and
//! its [`reason`](Transfer::reason) says for what.
//!
//! # Without async, and what it does not do
//!
//! With [`Wait`] in scope, `wait()` in place of `await` blocks the thread.
//!
//! Nothing moves while no process has the state open. Linux is first class,
//! macOS best effort, Windows not yet.

mod again;
mod ask;
mod bandwidth;
mod blocking;
mod builder;
mod building;
mod check;
mod check_options;
mod compatibility;
mod credentials;
mod delete_objects;
mod doctor;
mod download_stream;
mod error;
mod follow;
mod group;
mod head;
mod leftovers;
mod lifecycle;
mod listener;
mod named;
mod network;
mod objects;
mod observer;
mod overview;
mod path_json;
mod place;
mod prefix;
mod presign;
mod request;
mod request_headers;
mod retention;
mod settings;
mod spool;
mod steer;
mod streams;
mod submit;
mod sync;
mod transfer;
mod utility;
mod verify;

pub use ask::RequestError;
pub use blocking::Wait;
pub use builder::Builder;
pub use building::{CopyRequest, DownloadRequest, StreamRequest, UploadRequest};
pub use delete_objects::{DeleteObjectsRequest, DeletedObjects};
pub use doctor::{Check, CheckResult, Diagnosis, DoctorRequest};
pub use download_stream::DownloadStream;
pub use error::{Error, SubmitError};
pub use follow::TransferChanges;
pub use group::{DirectoryRequest, Group, GroupObserver, GroupRequest, PrefixCopyRequest};
pub use head::{HeadRequest, ObjectMetadata};
pub use leftovers::{KeptBecause, Leftover, LeftoverReport, Leftovers};
pub use lifecycle::{AbortRule, LifecycleCheck};
pub use listener::TransferListener;
pub use network::NetworkMonitor;
pub use objects::{DeleteRequest, ListRequest};
pub use observer::{TransferObserver, Updates};
pub use overview::{PartState, TransferCounts, TransferPart, TransferParts};
pub use prefix::PrefixRequest;
pub use presign::{PresignGet, PresignPut};
pub use request::{Listed, TransferRequest};
pub use settings::SettingsError;
pub use sync::{
    MTIME_METADATA, SyncCompare, SyncDecision, SyncDeleted, SyncDeleter, SyncDeletion, SyncFilter,
    SyncLeftOut, SyncOptions, SyncPlan, SyncReason, SyncRequest,
};
pub use transfer::Transfer;
pub use utility::{TransferChange, TransferUtility};
pub use verify::{Verification, VerifyDoubt, VerifyProof, VerifyRequest, VerifyResult};

pub use towline_core::{
    Access, AddressError, Addressing, BucketName, ByteRange, ChangeFilter, Checksum,
    ChecksumAlgorithm, ChecksumKind, Command, ConnectError, Connection, ConnectionSource, Cursor,
    Direction, Encryption, ErrorRecord, Extra, FoundCounts, Grant, Grantee, GroupId, GroupQuery,
    GroupSums, Incident, KeyReference, ListedObject, ListingPhase, NOT_LISTED_KEPT, NetworkClass,
    NetworkPolicy, NotDeleted, NotListed, ObjectAddress, ObjectKey, ObjectOptions, ObjectVersion,
    ObjectsPage, Only, Operation, Outcome, ParkReason, PartSize, PartSizeError, Permission,
    Priority, Proof, Query, ReadCondition, Reason, Record, State, StoreError, Timestamp,
    TransferId, TransferOptions, UploadMode, Verified, WhenSourceChanges, WhenTargetExists,
};
pub use towline_engine::{
    Bandwidth, COMMIT_BOUNDS_MS, Checks, Config, Heeds, Limits, Profile as StoreProfile, Rate,
    RateError, Recovery, Statistics,
};
pub use towline_engine::{key_of, path_of};
#[cfg(feature = "cognito")]
pub use towline_s3::CognitoIdentity;
pub use towline_s3::{
    Connections, Credentials, CredentialsError, CredentialsFn, CredentialsProvider, CustomerKey,
    CustomerKeyError, Environment, HandedOver, PresignError, PresignedUrl, S3Connector, Secret,
    StaticCredentials,
};
pub use towline_store_sqlite::SqliteReader;
