//! The HTTP API over loopback TCP: what it gives, and what it keeps from whom.

#![allow(clippy::unwrap_used, unreachable_pub)] // in tests it is the assertion

mod api;
mod client;
mod conformance;
mod events;
mod groups;
mod metrics;
mod security;
mod served;
mod spool;
mod sweep;
