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
mod blocking;
mod builder;
mod building;
mod check;
mod check_options;
mod download_stream;
mod error;
mod listener;
mod observer;
mod path_json;
mod request;
mod request_headers;
mod spool;
mod steer;
mod streams;
mod submit;
mod transfer;
mod utility;

pub use blocking::Wait;
pub use builder::Builder;
pub use building::{DownloadRequest, StreamRequest, UploadRequest};
pub use download_stream::DownloadStream;
pub use error::{Error, SubmitError};
pub use listener::TransferListener;
pub use observer::{TransferObserver, Updates};
pub use request::TransferRequest;
pub use transfer::Transfer;
pub use utility::{TransferChange, TransferUtility};

pub use towline_core::{
    Access, AddressError, Addressing, BucketName, ByteRange, ChecksumAlgorithm, Command,
    ConnectError, Connection, ConnectionSource, Cursor, Direction, Encryption, ErrorRecord, Extra,
    Grant, Grantee, Incident, KeyReference, ObjectAddress, ObjectKey, ObjectOptions, Outcome,
    ParkReason, PartSize, PartSizeError, Permission, Query, ReadCondition, Reason, State,
    StoreError, Timestamp, TransferId, TransferOptions, UploadMode, Verified, WhenTargetExists,
};
pub use towline_engine::{Config, Recovery};
pub use towline_s3::{
    Credentials, CredentialsError, CredentialsProvider, CustomerKey, CustomerKeyError, Environment,
    HandedOver, S3Connector, Secret, StaticCredentials,
};
pub use towline_store_sqlite::SqliteReader;
