//! Random histories of a transfer against a small honest world, and what must
//! hold after each step of them. `TOWLINE_MODEL_CASES` sets how many are tried.

mod acts;
mod checks;
mod engine;
pub(super) mod fixtures;
mod histories;
mod stories;
mod test_upload;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::acts::{Applied, How};
use self::engine::Engine;
use self::histories::{Op, Start, everything, outages, start};
use super::Command;
use crate::{Direction, Phase};

const CASES: u32 = 10_000;

const RETRY_LIMIT: u32 = 3;

/// Rounds that suffice to end any transfer once nothing fails any more.
const ROUNDS_TO_THE_END: usize = 200;

/// Plays a history; then nothing fails any more, and it has to end.
fn play(start: Start, history: &[Op], retry_limit: u32) -> Phase {
    let mut engine = Engine::new(start, retry_limit);
    for op in history {
        perform(&mut engine, *op);
    }
    let calm = [
        Op::Do(Command::Resume),
        Op::Flush,
        Op::Start,
        Op::Flush,
        Op::Land(0, true),
        Op::Take,
        Op::End(0, How::Succeeds),
        Op::EndWait(0),
        Op::Unpark,
    ];
    for _ in 0..ROUNDS_TO_THE_END {
        for op in calm {
            perform(&mut engine, op);
        }
        engine.flush();
        let phase = engine.transfer.record().phase;
        if phase.is_final() {
            return phase;
        }
    }
    panic!("it does not end: {:#?}", engine.transfer);
}

fn perform(engine: &mut Engine, op: Op) {
    match op {
        Op::Start => engine.start(),
        Op::Flush => engine.flush(),
        Op::Take => engine.take(),
        Op::End(nth, how) => engine.end(nth, how),
        Op::EndWait(nth) => engine.end_wait(nth),
        Op::Unpark => engine.unpark(),
        Op::Cut => engine.cut(),
        Op::Bar => engine.bar(),
        Op::Do(command) => engine.command(command),
        Op::Crash(how, power_loss) => engine.crash(how, power_loss),
        Op::Land(nth, applied) => engine.land(nth, applied),
        Op::SourceChanges => engine.world.version += 1,
        Op::Vanishes => engine.world.vanish(),
    }
    engine.assert_not_stuck();
}

const ALGORITHM: RngAlgorithm = RngAlgorithm::ChaCha;

fn random_seed() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    std::array::from_fn(|i| RandomState::new().hash_one(i) as u8)
}

fn every(history: impl Strategy<Value = Op>, holds: fn(Start, &[Op]) -> bool) {
    // The same histories on every run, so that a red run means a changed program;
    // TOWLINE_MODEL_CASES=100000 searches among new ones.
    let (cases, rng) = match std::env::var("TOWLINE_MODEL_CASES") {
        Ok(cases) => (
            cases.parse().unwrap(),
            TestRng::from_seed(ALGORITHM, &random_seed()),
        ),
        Err(_) => (CASES, TestRng::deterministic_rng(ALGORITHM)),
    };
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let histories = (start(), prop::collection::vec(history, 0..120));
    let outcome = TestRunner::new_with_rng(config, rng).run(&histories, |(start, history)| {
        prop_assert!(holds(start, &history));
        Ok(())
    });
    outcome.unwrap_or_else(|shrunk| panic!("{shrunk}"));
}

#[test]
fn every_history_keeps_the_promises_and_ends() {
    every(everything(), |start, history| {
        play(start, history, RETRY_LIMIT).is_final()
    });
}

#[test]
fn a_transfer_that_only_meets_outages_and_crashes_completes() {
    every(outages(), |start, history| {
        start.taken || play(start, history, u32::MAX) == Phase::Completed
    });
}

/// Found by [`every_history_keeps_the_promises_and_ends`], and shrunk.
#[test]
fn a_put_that_a_crash_left_in_doubt_is_asked_about_again_after_a_pause() {
    let one_part = Start {
        direction: Direction::Upload,
        parts: 1,
        taken: false,
    };
    let history = [
        Op::Start,
        Op::Flush,
        Op::Crash(How::Succeeds, false),
        Op::Start,
        Op::Flush,
        Op::Do(Command::Pause),
        Op::Do(Command::Resume),
        Op::Start,
        Op::End(0, How::Succeeds),
        Op::Flush,
        Op::Flush,
        Op::End(0, How::Lost(Applied::Yes)),
        Op::Flush,
    ];
    let end = play(one_part, &history, RETRY_LIMIT);
    assert_eq!(end, Phase::Completed);
}
