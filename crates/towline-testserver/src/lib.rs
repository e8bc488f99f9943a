//! An S3 server for tests and the demo: real sockets, verified signatures, a request history.
//!
//! The protocol (routing, XML, Signature V4) is `s3s`'s; the storage, its
//! checks and everything around a request are our own:
//!
//! - [`TestServer`] starts it inside any tokio runtime, in memory or on a directory.
//! - [`History`] tells what every request was and how many bytes it really moved.
//! - [`Faults`] makes requests fail, answers vanish, bytes change, and the network slow or
//!   gone, by simple calls or by a whole [`Script`].
//! - [`Link`] is a long and narrow way to it.
//!
//! ```no_run
//! # async fn example() -> Result<(), towline_testserver::StartError> {
//! use towline_testserver::{Operation, TestServer};
//!
//! let server = TestServer::builder().memory().bucket("photos").start().await?;
//! server.faults().fail_next(Operation::UploadPart, 2, 503, "SlowDown");
//! // ... upload something to server.endpoint() ...
//! assert_eq!(server.history().times_part_sent("beach.jpg", 1), 1);
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

mod answer;
mod body;
mod checksum;
mod connection;
mod control;
mod faults;
mod history;
mod line;
mod link;
mod operation;
mod ops;
mod presigned;
mod refusals;
mod server;
mod service;
mod storage;
mod tls;
mod wire;

pub use faults::{
    Answer, Apply, By, Event, Faults, Offline, Point, Rule, Script, ScriptError, WrongRegion,
};
pub use history::{History, Request};
pub use link::{Link, Way};
pub use operation::Operation;
pub use server::{Builder, StartError, TestServer, WriteError};
pub use storage::{OWNER_CANONICAL_ID, OWNER_ID, OpenUpload, ReadError, Snapshot, StoredVersion};
