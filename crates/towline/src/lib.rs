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
mod builder;
mod building;
mod check;
mod compatibility;
mod credentials;
mod error;
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
mod settings;
mod steer;
mod submit;
mod transfer;
mod utility;

pub use ask::RequestError;
pub use builder::Builder;
pub use building::{DownloadRequest, UploadRequest};
pub use error::{Error, SubmitError};
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
    AddressError, Addressing, BucketName, ChecksumAlgorithm, Command, ConnectError, Connection,
    ConnectionSource, Cursor, Direction, ErrorRecord, Incident, ListedObject, ObjectAddress,
    ObjectKey, ObjectOptions, ObjectsPage, Outcome, ParkReason, PartSize, PartSizeError, Query,
    Reason, State, StoreError, Timestamp, TransferId, TransferOptions, Verified, WhenTargetExists,
};
pub use towline_engine::{Config, Recovery};
#[cfg(feature = "cognito")]
pub use towline_s3::CognitoIdentity;
pub use towline_s3::{
    Credentials, CredentialsError, CredentialsFn, CredentialsProvider, Environment, HandedOver,
    PresignError, PresignedUrl, S3Connector, Secret, StaticCredentials,
};
pub use towline_store_sqlite::SqliteReader;
