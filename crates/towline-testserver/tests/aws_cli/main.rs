//! The standard AWS CLI against each fault of FAILURES.md, section 3.
//!
//! What goes wrong here is the CLI's, and known: these tests prove that our
//! faults are those of the real world. `./test.sh` installs the CLI and sets
//! `TOWLINE_AWS`.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod aws;
mod downloads;
mod names;
mod uploads;
