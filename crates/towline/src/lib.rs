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
mod builder;
mod check;
mod error;
mod observer;
mod request;
mod transfer;
mod utility;

pub use builder::Builder;
pub use error::{Error, SubmitError};
pub use observer::{TransferObserver, Updates};
pub use request::{DownloadRequest, UploadRequest};
pub use transfer::Transfer;
pub use utility::TransferUtility;

pub use towline_core::{
    AddressError, Addressing, BucketName, ChecksumAlgorithm, Connection, ConnectionSource,
    Direction, ErrorRecord, ObjectAddress, ObjectKey, Outcome, PartSize, PartSizeError, Query,
    Reason, Refused, State, StoreError, Timestamp, TransferId, Verified, WhenTargetExists,
};
pub use towline_engine::{Config, Recovery};
pub use towline_s3::{
    Credentials, CredentialsError, CredentialsProvider, Environment, Secret, StaticCredentials,
};
pub use towline_store_sqlite::SqliteReader;
