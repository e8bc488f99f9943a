//! One fault each: what other clients get wrong (FAILURES.md, section 3), the
//! refusals and oddities of S3 (section 4).
//!
//! `crates/towline-testserver/tests/aws_cli` shows the standard AWS CLI fail
//! on the first of these.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

#[path = "../common/mod.rs"]
mod common;

mod downloads;
mod refusals;
mod scene;
mod uploads;
