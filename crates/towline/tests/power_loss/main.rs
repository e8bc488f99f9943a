//! Power loss: what a disk may hold after the power has failed at some moment of
//! a run, opened and finished. T25, T26, T27.
//!
//! A run of the real library on a disk behind FUSE is recorded: every change of
//! the disk in its order, with what S3 held at each ([`story`]). For a place in
//! that order an image is made as the model of `towline_testkit::disk::power`
//! allows, the same device holds it, S3 is as it was, the machine has another boot
//! id, a new utility opens the state, finishes everything, and is judged
//! ([`judge`]). [`wrong_disks`] shows that what goes wrong is found. The library
//! runs in processes of their own ([`agent`]): the one that serves the disk must
//! not map files of it, or it would wait for itself.
//!
//! It takes FUSE and a mount namespace; elsewhere the tests say `SKIPPED` and why.
//! `TOWLINE_POWER_IMAGES` sets how many images there are in all, `TOWLINE_SEED`
//! repeats the draws, as far as the timing of a run allows.

#![allow(clippy::unwrap_used)] // in tests it is the assertion
#![cfg(target_os = "linux")]

mod agent;
mod evidence;
mod found;
mod images;
mod judge;
mod machine;
mod moved;
mod story;
mod wanted;
mod wrong_disks;

const BUCKET: &str = "bucket";
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
