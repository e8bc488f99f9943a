//! A crash at every point that `docs/crash-points.md` names, in every flow that
//! reaches it, and once more at the points of the recovery from it.
//!
//! `TOWLINE_FAILPOINT_PAIRS=all` tries every pair, `1/2` and `2/2` half of them
//! each; otherwise it is some of them, `TOWLINE_SEED` says which.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod flows;
mod judge;
mod life;
mod page;
mod tripwire;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use towline_core::Operation;

use flows::{FLOWS, Flow};
use life::Run;
use tripwire::{Crash, crashes_of};

/// How many pairs are tried of all, if not all.
const PAIRS: usize = 400;

#[test]
fn t25_t26_t27_t30_t34_crashed_at_any_point_every_flow_comes_to_its_end() {
    let (mut crashes, mut crashed) = (0, BTreeSet::new());
    for flow in FLOWS {
        for crash in crashes_of(&run(flow, &[]).trace, 3) {
            let ran = run(flow, &[crash]);
            crashes += 1;
            if ran.crashed {
                crashed.insert(crash.point);
            }
            // What only a recovery reaches.
            for again in crashes_of(&ran.trace, 1) {
                if !crashed.contains(again.point) && run(flow, &[crash, again]).crashed {
                    crashed.insert(again.point);
                }
            }
        }
    }
    println!("{crashes} crashes in {} flows", FLOWS.len());
    let all = page::in_code()
        .into_keys()
        .filter(|point| !page::is_of_store(point));
    let all: BTreeSet<String> = all.collect();
    let missed: Vec<_> = all
        .iter()
        .filter(|point| !crashed.contains(point.as_str()))
        .collect();
    assert!(missed.is_empty(), "no flow was crashed at {missed:?}");
}

#[test]
fn t25_t26_t27_t30_t34_crashed_once_more_while_recovering_every_flow_comes_to_its_end() {
    let share = share_of_pairs();
    let seed = std::env::var("TOWLINE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut firsts = Vec::new();
    for flow in FLOWS {
        let crashes = crashes_of(&run(flow, &[]).trace, 2).into_iter();
        firsts.extend(crashes.map(|first| (flow, first)));
    }
    random.shuffle(&mut firsts);
    if let Some((nth, of)) = share {
        firsts = firsts.into_iter().skip(nth - 1).step_by(of).collect();
    }
    let (mut pairs, mut crashed) = (0, 0);
    for (flow, first) in firsts {
        let mut seconds = crashes_of(&run(flow, &[first]).trace, 2);
        if share.is_none() {
            random.shuffle(&mut seconds);
            seconds.truncate(4);
        }
        for second in seconds {
            pairs += 1;
            crashed += usize::from(run(flow, &[first, second]).crashed);
        }
        if share.is_none() && pairs >= PAIRS {
            break;
        }
    }
    println!("{crashed} pairs of crashes, seed {seed}");
    assert!(crashed * 10 > pairs * 9, "{crashed} of {pairs} came");
}

/// Which of how many equal shares of all pairs; `None`: some few of them.
fn share_of_pairs() -> Option<(usize, usize)> {
    let share = std::env::var("TOWLINE_FAILPOINT_PAIRS").ok()?;
    if share == "all" {
        return Some((1, 1));
    }
    let (nth, of) = share.split_once('/').expect("`all`, or such as `1/2`");
    let (nth, of): (usize, usize) = (nth.parse().unwrap(), of.parse().unwrap());
    assert!((1..=of).contains(&nth), "there is no share {share}");
    Some((nth, of))
}

#[test]
fn t29_an_upload_that_a_crash_left_without_a_name_is_found_and_used() {
    assert_eq!(creates(&run(&flows::LOST_CREATE, &[])), 1);
}

#[test]
fn t29_an_upload_that_may_be_somebody_elses_is_neither_used_nor_aborted() {
    let beside = run(&flows::LOST_CREATE_BESIDE_A_STRANGERS, &[]);
    assert_eq!(creates(&beside), 2);
    let not_ours = run(&flows::NO_CREATE_BUT_A_STRANGERS, &[]);
    assert_eq!(creates(&not_ours), 1);
}

/// How often an upload was asked for.
fn creates(run: &Run) -> usize {
    let asked = run.requests.iter().map(|request| request.operation);
    asked
        .filter(|it| *it == Operation::CreateMultipartUpload)
        .count()
}

/// Runs a flow with crashes after those it is about; tells where, if something
/// is wrong.
fn run(flow: &'static Flow, crashes: &[Crash]) -> Run {
    let all = [flow.after, crashes].concat();
    let ran = catch_unwind(AssertUnwindSafe(|| life::run(flow, &all)));
    ran.unwrap_or_else(|failed| {
        eprintln!("in {:?}, crashed at {all:?}", flow.name);
        resume_unwind(failed)
    })
}
