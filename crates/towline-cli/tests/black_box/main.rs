//! The command as a black box: what it makes of stores and file systems that are
//! no good, of owners that race, of queues and files that are too large to hold,
//! and of minutes with faults and kills.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod file_systems;
mod memory;
mod owners;
mod process;
mod soak;
mod stores;
#[path = "../terminal/mod.rs"]
mod terminal;
