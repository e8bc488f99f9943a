//! The crash harness: the real command is killed at chosen moments, until it
//! has ended by itself all the same, and an oracle tells whether promises 1 to
//! 8 of the design were kept.
//!
//! A crash test in ten lines (the binary's path is known only to the tests of
//! the command's own crate):
//!
//! ```ignore
//! #[test]
//! fn an_upload_killed_as_its_second_part_is_answered_goes_on() {
//!     let scene = Scene::start(env!("CARGO_BIN_EXE_towline"));
//!     let source = scene.file("source", 40 * MIB, 1);
//!     let mut oracle = scene.oracle(SIX_PARTS);
//!     oracle.upload(&source, "key");
//!     let (verb, url) = (Path::new("upload"), Path::new("s3://bucket/key"));
//!     let task = scene.task([verb, &source, url]);
//!     let when = Trigger::Answered(Sighting::of(Operation::UploadPart).nth(2));
//!     let story = scene.until_done(&[task], Kills::once(when));
//!     assert_eq!(story.kills(), 1);
//!     oracle.check();
//! }
//! ```
//!
//! - [`Scene`]: a server with its history, a directory, any number of state
//!   directories, the command in a clean environment.
//! - [`Trigger`]: when a process is killed: after a time, after n bytes, when a
//!   request is begun or answered, at the nth write to the store; or a random
//!   one of these.
//! - [`Kills`]: how often, by which [`Signal`], and whom: the process itself, or
//!   the owner of its state. Several [`Task`]s run side by side.
//! - [`Oracle`]: is told what was asked, collects [`Evidence`] and judges it,
//!   each promise by a function of its own. It panics with the number of the
//!   promise, the transfer, what was seen, and the seed.
//!
//! `TOWLINE_SEED` repeats a run as far as timing allows, `TOWLINE_KILLS` sets
//! how many kills a random test makes. Everything a process said is in
//! [`Story::runs`]. Files of the same seed have the same bytes.
//!
//! Who holds a lock is read from `/proc`, so the watch on promise 8 is for
//! Linux alone.

#![allow(
    clippy::unwrap_used,
    reason = "these are tests, though other crates run them"
)]

mod canary;
mod content;
mod crowd;
mod evidence;
mod kills;
#[cfg(test)]
mod lying_command;
mod moving;
mod oracle;
mod owner;
mod process;
mod scene;
mod seed;
mod survey;
mod trigger;
mod until_done;
mod watcher;
mod weather;

pub use canary::Canaries;
pub use content::{Content, bytes};
pub use crowd::Crowd;
pub use evidence::{Asked, Evidence, Fate, Place, Row, Seen, Survey, Twins};
pub use kills::{Kills, Whom};
pub use oracle::{Oracle, PROMISES, Promise, Violation, violations};
pub use process::{End, Kill, Run, Signal};
pub use scene::{BUCKET, Scene, Task};
pub use seed::{kills, seed, soak_time};
pub use trigger::{Flow, Sighting, Trigger};
pub use until_done::Story;
pub use weather::Weather;
