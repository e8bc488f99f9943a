//! Carries transfers: commits what [`towline_core`] decided, then does it.
//!
//! [`Engine`] owns a runtime on which one loop and the acts run. The loop never
//! waits: each [`Step`](towline_core::Step) goes to the writer with its actions
//! attached, and the actions are performed once its changes are durable. So a
//! crash in between costs a repeat and never a loss.

mod act;
mod bandwidth;
mod body;
mod budget;
mod clock;
mod config;
mod copy;
mod descriptors;
mod download;
mod engine;
mod event_loop;
mod files;
#[cfg(test)]
mod fixtures;
mod hash;
mod head;
mod live;
mod machine;
mod meter;
mod metered;
mod profile;
mod progress;
mod random;
mod request_rate;
mod scheduler;
mod site;
mod snapshot;
mod stall;
mod stream;
mod tasks;
mod unusable;
mod upload;
mod writer;

pub use bandwidth::{Bandwidth, Rate, RateError};
pub use config::{Config, Recovery};
pub use engine::{Engine, EngineError, Limits, StreamToCome};
#[cfg(feature = "fuzzing")]
pub use files::fuzzing;
pub use files::{
    BeneathError, KeyNames, KeyPlace, Unnameable, check_beneath, component_of, folds_names,
    identity_of, inspect_source, key_of, kind_if_special, make_beneath, may_go_on, numbered,
    path_of, remove_beneath,
};
#[doc(hidden)]
pub use files::{Disk, OpenDir, OpenFile, Room, Stat};
pub use hash::{Hasher, checksum_of, composite, etag_md5, etag_parts};
#[doc(hidden)]
pub use machine::Simulated;
pub use meter::{COMMIT_BOUNDS_MS, Statistics};
pub use profile::{Checks, Fact, Heeds, Profile, is_denied, may_refuse_a_header, without};
pub use snapshot::{Snapshot, Watch};
pub use stream::{Reading, Sink, Source, SourceReader};
