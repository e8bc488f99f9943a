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
//! The state is kept in a directory that one process owns at a time. Opening it
//! again, after a crash too, goes on with whatever is unfinished.

mod again;
mod ask;
mod blocking;
mod builder;
mod building;
mod check;
mod check_options;
mod compatibility;
mod credentials;
mod download_stream;
mod error;
mod follow;
mod head;
mod leftovers;
mod lifecycle;
mod listener;
mod named;
mod objects;
mod observer;
mod path_json;
mod place;
mod presign;
mod request;
mod request_headers;
mod settings;
mod spool;
mod steer;
mod streams;
mod submit;
mod transfer;
mod utility;

pub use ask::RequestError;
pub use blocking::Wait;
pub use builder::Builder;
pub use building::{DownloadRequest, StreamRequest, UploadRequest};
pub use download_stream::DownloadStream;
pub use error::{Error, SubmitError};
pub use follow::TransferChanges;
pub use head::{HeadRequest, ObjectMetadata};
pub use leftovers::{KeptBecause, Leftover, LeftoverReport, Leftovers};
pub use lifecycle::{AbortRule, LifecycleCheck};
pub use listener::TransferListener;
pub use objects::{DeleteRequest, ListRequest};
pub use observer::{TransferObserver, Updates};
pub use presign::{PresignGet, PresignPut};
pub use request::TransferRequest;
pub use settings::SettingsError;
pub use transfer::Transfer;
pub use utility::{TransferChange, TransferUtility};

pub use towline_core::{
    Access, AddressError, Addressing, BucketName, ByteRange, Checksum, ChecksumAlgorithm,
    ChecksumKind, Command, ConnectError, Connection, ConnectionSource, Cursor, Direction,
    Encryption, ErrorRecord, Extra, Grant, Grantee, Incident, KeyReference, ListedObject,
    ObjectAddress, ObjectKey, ObjectOptions, ObjectsPage, Outcome, ParkReason, PartSize,
    PartSizeError, Permission, Query, ReadCondition, Reason, State, StoreError, Timestamp,
    TransferId, TransferOptions, UploadMode, Verified, WhenTargetExists,
};
pub use towline_engine::{Config, Recovery};
#[cfg(feature = "cognito")]
pub use towline_s3::CognitoIdentity;
pub use towline_s3::{
    Credentials, CredentialsError, CredentialsFn, CredentialsProvider, CustomerKey,
    CustomerKeyError, Environment, HandedOver, PresignError, PresignedUrl, S3Connector, Secret,
    StaticCredentials,
};
pub use towline_store_sqlite::SqliteReader;
