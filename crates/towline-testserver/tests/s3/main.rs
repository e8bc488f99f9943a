//! The server as a client sees it, over real sockets, with requests that another library signed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checksums;
mod client;
mod conditions;
mod copies;
mod directory;
mod encryption;
mod faults;
mod history;
mod lifecycle;
mod link;
mod listing;
mod multipart;
mod objects;
mod options;
mod owners;
mod presigned;
mod signatures;
mod tls;
mod versions;
mod wire;
