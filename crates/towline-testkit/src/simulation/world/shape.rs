//! What a seed makes of a world: its transfers, and what happens when.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use towline_core::{
    Command, Direction, NetworkPolicy, PartSize, TransferOptions, UploadMode, WhenSourceChanges,
    WhenTargetExists,
};

use super::facts::Job;
use super::process::BUCKET;
use crate::simulation::Network;

/// Where sources are.
pub(super) const SOURCES: &str = "/sources";
/// Where targets are.
pub(super) const TARGETS: &str = "/targets";

/// Copies are asked for later than what stands there was put there, also by a clock of
/// whole seconds: what is as old as its transfer may be taken for the copy.
pub(super) const COPIES_SINCE: Duration = Duration::from_millis(2500);

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Submit(usize),
    Command(usize, Command),
    Remove(usize),
    ChangeSource(usize, Change),
    Weather {
        faults: u64,
        lies: u64,
    },
    Network(Network),
    Hint,
    Throttle(Option<usize>),
    Credentials {
        lifetime: Option<Duration>,
        given: bool,
    },
    Clock(i64),
    Disk {
        free: Option<u64>,
        errors: u64,
        failing_syncs: u64,
    },
    FailingCommits(u64),
    Bandwidth(Option<u64>),
    Limits(usize, usize),
    Kill {
        down: Duration,
    },
    LosePower {
        down: Duration,
    },
    Close {
        down: Duration,
    },
}

/// What becomes of a source, a file or an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Rewritten,
    HalfRewritten,
    Replaced,
    Longer,
    Shorter,
    Removed,
}

pub(super) fn jobs(dice: &mut fastrand::Rng) -> Vec<(Job, Bytes)> {
    let count = dice.usize(1..=6);
    (0..count).map(|number| job(dice, number)).collect()
}

fn job(dice: &mut fastrand::Rng, number: usize) -> (Job, Bytes) {
    let upload = dice.bool();
    let mut options = TransferOptions::default();
    let part_size = [4 << 10, 10_000, 16 << 10, 50_000, 300_000][dice.usize(0..5)];
    options.part_size = Some(PartSize::simulated(part_size));
    options.upload_mode = match dice.u8(0..6) {
        0 => UploadMode::Single,
        1 => UploadMode::Multipart,
        _ => UploadMode::Auto,
    };
    options.when_source_changes = match dice.u8(0..4) {
        0 => WhenSourceChanges::Fail,
        1 => WhenSourceChanges::AllowGrowth,
        _ => WhenSourceChanges::Restart,
    };
    options.if_absent = upload && dice.u8(0..8) == 0;
    options.when_target_exists = match dice.u8(0..8) {
        0 => WhenTargetExists::Fail,
        1 => WhenTargetExists::SkipIfIdentical,
        2 => WhenTargetExists::Rename,
        _ => WhenTargetExists::Overwrite,
    };
    options.network = NetworkPolicy::default();
    let most = (part_size * 12).min(700_000);
    let len = match dice.u8(0..12) {
        0 => 0,
        1 => 1,
        2 => dice.u64(0..5000),
        3 => part_size,
        4 => part_size + 1,
        5 => part_size * dice.u64(1..8),
        _ => dice.u64(0..most),
    };
    let dir = if upload { SOURCES } else { TARGETS };
    let job = Job {
        direction: if upload {
            Direction::Upload
        } else {
            Direction::Download
        },
        key: format!("key-{number}"),
        path: PathBuf::from(dir).join(format!("file-{number}.bin")),
        options,
        id: None,
        removed: false,
    };
    (job, content(dice, len))
}

pub(super) fn content(dice: &mut fastrand::Rng, len: u64) -> Bytes {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    dice.fill(&mut bytes);
    bytes.into()
}

/// A content as it is after a change.
pub(super) fn changed(dice: &mut fastrand::Rng, was: &Bytes, how: Change) -> Option<Bytes> {
    let len = was.len() as u64;
    Some(match how {
        Change::Rewritten => content(dice, len),
        Change::HalfRewritten => {
            let half = was.len() / 2;
            let new = content(dice, len - half as u64);
            [&was[..half], &new].concat().into()
        }
        Change::Replaced => {
            let len = dice.u64(0..len.max(1) * 2);
            content(dice, len)
        }
        Change::Longer => {
            let more = dice.u64(1..20_000);
            [&**was, &content(dice, more)].concat().into()
        }
        Change::Shorter => was.slice(..was.len() / 2),
        Change::Removed => return None,
    })
}

/// What happens, and when: in order.
pub(super) fn acts(dice: &mut fastrand::Rng, jobs: usize) -> Vec<(Duration, Act)> {
    let span = dice.u64(2_000..60_000);
    // Every other world has weather from its beginning.
    let faults = [0, 0, 0, 30, 100, 300][dice.usize(0..6)];
    let lies = dice.u64(0..500);
    let weather = (Duration::ZERO, Act::Weather { faults, lies });
    let mut acts: Vec<(Duration, Act)> = (0..jobs)
        .map(|job| {
            (
                Duration::from_millis(dice.u64(0..span / 3)),
                Act::Submit(job),
            )
        })
        .collect();
    let busy = dice.u64(1..40);
    for _ in 0..busy {
        let at = dice.u64(0..span);
        let mut lasts = Duration::from_millis(dice.u64(1..30_000));
        if dice.bool() {
            lasts /= 20;
        }
        let at = Duration::from_millis(at);
        let (act, end) = act(dice, jobs);
        acts.push((at, act));
        acts.extend(end.map(|end| (at + lasts, end)));
    }
    acts.push(weather);
    acts.sort_by_key(|(at, _)| *at);
    acts
}

/// Something, and what ends it.
fn act(dice: &mut fastrand::Rng, jobs: usize) -> (Act, Option<Act>) {
    let job = dice.usize(0..jobs);
    let down = Duration::from_millis([0, 1, 50, 3000, 60_000][dice.usize(0..5)]);
    match dice.u8(0..30) {
        0..=6 => (Act::Kill { down }, None),
        7..=8 => (Act::LosePower { down }, None),
        9 => (Act::Close { down }, None),
        10..=11 => (
            Act::Command(job, Command::Pause),
            Some(Act::Command(job, Command::Resume)),
        ),
        12 => (Act::Command(job, Command::Cancel), None),
        13 if dice.bool() => (Act::Command(job, Command::Cancel), None),
        13 => (Act::Command(job, Command::Retry), None),
        14 => (Act::Remove(job), None),
        15..=16 => {
            let how = change(dice);
            (Act::ChangeSource(job, how), None)
        }
        17..=20 => {
            let faults = [20, 50, 200, 500][dice.usize(0..4)];
            let lies = [0, 0, 300, 900][dice.usize(0..4)];
            let over = Act::Weather { faults: 0, lies: 0 };
            (Act::Weather { faults, lies }, Some(over))
        }
        21..=22 => {
            let kind = [Network::Refused, Network::Blackhole, Network::Reset][dice.usize(0..3)];
            (Act::Network(kind), Some(Act::Network(Network::Up)))
        }
        23 => (
            Act::Throttle(Some(dice.usize(0..3))),
            Some(Act::Throttle(None)),
        ),
        24 => {
            let lifetime = Some(Duration::from_millis(dice.u64(1..10_000)));
            let given = dice.bool();
            let over = Act::Credentials {
                lifetime: None,
                given: true,
            };
            (Act::Credentials { lifetime, given }, Some(over))
        }
        25 => (Act::Clock(dice.i64(-5000..5000)), Some(Act::Clock(0))),
        26 => {
            let over = Act::Disk {
                free: None,
                errors: 0,
                failing_syncs: 0,
            };
            let now = Act::Disk {
                free: dice.bool().then(|| dice.u64(0..100_000)),
                errors: [0, 20][dice.usize(0..2)],
                failing_syncs: [0, 300][dice.usize(0..2)],
            };
            (now, Some(over))
        }
        27 => (Act::FailingCommits(50), Some(Act::FailingCommits(0))),
        28 => (Act::Limits(dice.usize(1..8), dice.usize(1..5)), None),
        _ => match dice.bool() {
            true => (Act::Bandwidth(Some(dice.u64(10_000..2_000_000))), None),
            false => (Act::Hint, None),
        },
    }
}

fn change(dice: &mut fastrand::Rng) -> Change {
    match dice.u8(0..12) {
        0..=2 => Change::Rewritten,
        3..=4 => Change::HalfRewritten,
        5..=7 => Change::Replaced,
        8..=9 => Change::Longer,
        10 => Change::Shorter,
        _ => Change::Removed,
    }
}

/// Copies, the bytes of their sources, and what stands where they go; the first has
/// this number.
pub(super) fn copies(dice: &mut fastrand::Rng, first: usize) -> Vec<(Job, Bytes, Option<Bytes>)> {
    let count = dice.usize(1..=3);
    (first..first + count)
        .map(|number| {
            let (job, bytes) = copy(dice, number);
            let before = match dice.u8(0..6) {
                0..=2 => None,
                // Which differs from the copy only in what it carries.
                3 => Some(bytes.clone()),
                _ => Some(content(dice, 3000)),
            };
            (job, bytes, before)
        })
        .collect()
}

fn copy(dice: &mut fastrand::Rng, number: usize) -> (Job, Bytes) {
    let part_size = [4 << 10, 16 << 10, 50_000][dice.usize(0..3)];
    let mut options = TransferOptions::default();
    options.part_size = Some(PartSize::simulated(part_size));
    options.upload_mode = match dice.u8(0..6) {
        0 => UploadMode::Single,
        1 => UploadMode::Multipart,
        _ => UploadMode::Auto,
    };
    options.when_source_changes = match dice.u8(0..4) {
        0 => WhenSourceChanges::Fail,
        _ => WhenSourceChanges::Restart,
    };
    options.if_absent = dice.u8(0..6) == 0;
    options.network = NetworkPolicy::default();
    let len = match dice.u8(0..8) {
        0 => dice.u64(0..2),
        1..=2 => dice.u64(0..part_size),
        3 => part_size,
        _ => dice.u64(0..part_size * 8),
    };
    let job = Job {
        direction: Direction::Copy,
        key: format!("copy-{number}"),
        path: PathBuf::from(format!("s3://{BUCKET}/origin-{number}")),
        options,
        id: None,
        removed: false,
    };
    (job, content(dice, len))
}

/// What happens to copies, and when.
pub(super) fn acts_of_copies(dice: &mut fastrand::Rng, jobs: Range<usize>) -> Vec<(Duration, Act)> {
    let span = dice.u64(10_000..60_000);
    let mut acts = Vec::new();
    for job in jobs {
        let at = COPIES_SINCE + Duration::from_millis(dice.u64(0..span / 3));
        acts.push((at, Act::Submit(job)));
        for _ in 0..dice.u64(0..6) {
            let lasts = Duration::from_millis(dice.u64(1..20_000));
            // Most of it soon, while it is under way.
            let after = [span, 2000, 300][dice.usize(0..3)];
            let at = at + Duration::from_millis(dice.u64(0..after));
            let (act, end) = match dice.u8(0..10) {
                0..=2 => (
                    Act::Command(job, Command::Pause),
                    Some(Act::Command(job, Command::Resume)),
                ),
                3..=4 => (Act::Command(job, Command::Cancel), None),
                5 => (Act::Command(job, Command::Retry), None),
                6 => (Act::Remove(job), None),
                _ => (Act::ChangeSource(job, change(dice)), None),
            };
            acts.push((at, act));
            acts.extend(end.map(|end| (at + lasts, end)));
        }
    }
    acts
}
