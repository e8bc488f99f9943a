//! What may happen to a transfer, at random.

use proptest::prelude::*;

use super::acts::{Applied, How, Refusal};
use crate::{Command, Direction, NetworkPolicy, Priority};

/// One thing that may happen; without effect where it does not apply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Start,
    Flush,
    Take,
    End(usize, How),
    EndWait(usize),
    Unpark,
    /// The store is found to be out of reach.
    Cut,
    /// The network becomes one that it must not use.
    Bar,
    Do(Command),
    /// The process dies, its requests end like this, and power may be lost.
    Crash(How, bool),
    /// A request that was cut off is applied, or never will be.
    Land(usize, bool),
    SourceChanges,
    /// Somebody aborts the upload, or deletes the temporary file.
    Vanishes,
}

/// Which transfer a history is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) direction: Direction,
    pub(super) parts: u32,
    /// Another object stands at the key, and must not be replaced.
    pub(super) taken: bool,
}

pub(super) fn start() -> impl Strategy<Value = Start> {
    let direction = prop_oneof![2 => Just(Direction::Upload), 1 => Just(Direction::Download)];
    let parts = prop_oneof![1 => Just(1), 3 => 2..=6_u32];
    (direction, parts, prop::bool::weighted(0.1)).prop_map(|(direction, parts, taken)| Start {
        direction,
        parts,
        taken,
    })
}

fn lost() -> impl Strategy<Value = How> {
    prop_oneof![Just(Applied::Yes), Just(Applied::No), Just(Applied::Late)].prop_map(How::Lost)
}

/// How an act ends while nothing is wrong but the network, the store's load,
/// the credentials, the clock or the room on the disk.
fn in_an_outage() -> impl Strategy<Value = How> {
    let refusal = prop_oneof![
        4 => Just(Refusal::SlowDown),
        4 => Just(Refusal::Offline),
        2 => Just(Refusal::ExpiredToken),
        1 => Just(Refusal::Skewed),
        1 => Just(Refusal::DiskFull),
    ];
    prop_oneof![3 => Just(How::Succeeds), 1 => lost(), 1 => refusal.prop_map(How::Refused)]
}

fn in_any_way() -> impl Strategy<Value = How> {
    let refusal = prop_oneof![
        6 => Just(Refusal::InternalError),
        1 => Just(Refusal::Denied),
        1 => Just(Refusal::NoSuchBucket),
        1 => Just(Refusal::NoSuchUpload),
        1 => Just(Refusal::Conflict),
        2 => Just(Refusal::WrongBytes),
    ];
    prop_oneof![3 => in_an_outage(), 1 => refusal.prop_map(How::Refused)]
}

fn day<H: Strategy<Value = How> + 'static>(how: fn() -> H) -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => Just(Op::Flush),
        6 => Just(Op::Start),
        14 => Just(Op::Take),
        24 => (0..8_usize, how()).prop_map(|(nth, how)| Op::End(nth, how)),
        8 => (0..8_usize).prop_map(Op::EndWait),
        4 => Just(Op::Unpark),
        1 => Just(Op::Cut),
        1 => Just(Op::Bar),
        1 => Just(Op::Do(Command::AllowOn(NetworkPolicy::Unmetered))),
        1 => Just(Op::Do(Command::Prioritize(Priority::High))),
        2 => Just(Op::Do(Command::Pause)),
        3 => Just(Op::Do(Command::Resume)),
        3 => (how(), any::<bool>()).prop_map(|(how, power)| Op::Crash(how, power)),
        3 => (0..8_usize, any::<bool>()).prop_map(|(nth, applied)| Op::Land(nth, applied)),
    ]
}

/// Nothing that a transfer could not get over.
pub(super) fn outages() -> impl Strategy<Value = Op> {
    day(in_an_outage)
}

pub(super) fn everything() -> impl Strategy<Value = Op> {
    prop_oneof![
        87 => day(in_any_way),
        2 => Just(Op::Do(Command::Retry)),
        1 => Just(Op::Do(Command::Cancel)),
        1 => Just(Op::SourceChanges),
        1 => Just(Op::Vanishes),
    ]
}
