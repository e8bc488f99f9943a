//! Bad days by the dice: faults at random, one bit flipped anywhere on the wire,
//! and servers that mean harm. Figures and commands: docs/reliability.md.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod bits;
mod found;
mod malice;
mod mix;
mod random;
mod scene;
