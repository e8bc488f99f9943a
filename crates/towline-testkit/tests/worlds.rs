//! Random worlds in simulated time: the real engine, kills, losses of power, faults
//! of S3, network, disk and store, and users who change their minds. T25 to T27,
//! T29 to T34, T49, T53.
//!
//! ```sh
//! cargo nextest run --release -p towline-testkit --test worlds --no-capture
//! TOWLINE_SIM_SEEDS=100000 cargo nextest run …       # more of them
//! TOWLINE_SEED=4711 cargo nextest run … random       # one, with its trace if it fails
//! ```

#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::time::Instant;

use towline_core::{Direction, Phase};
use towline_testkit::simulation::oracle::CHECKS;
use towline_testkit::simulation::world::{self, Broken, Outcome};

/// How many worlds CI lives through.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// What a failed seed leaves: what was broken, how to repeat it, and its trace.
fn tell(seed: u64, outcome: &Outcome) -> String {
    let broken: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    let again = format!(
        "TOWLINE_SEED={seed} cargo nextest run --release -p towline-testkit --test worlds random"
    );
    format!("{}\n{}\nagain: {again}\n", outcome.trace, broken.join("\n"))
}

/// What happened in all of them, so that it is seen that much did.
#[derive(Debug, Default)]
struct Seen {
    processes: usize,
    losses_of_power: usize,
    requests: usize,
    requests_with_faults: usize,
    commits: usize,
    commands: usize,
    completed: usize,
    copied: usize,
    canceled: usize,
    failed: usize,
}

impl Seen {
    fn add(&mut self, outcome: &Outcome) {
        let facts = &outcome.facts;
        self.processes += facts.runs.len();
        self.losses_of_power += outcome.trace.matches("the power is lost").count();
        self.requests += facts.requests.len();
        self.requests_with_faults += facts.requests.iter().filter(|r| r.fault.is_some()).count();
        self.commits += facts.commits.len();
        self.commands += facts.commands.len();
        for record in facts.records.values() {
            match record.phase {
                Phase::Completed if record.spec.direction == Direction::Copy => self.copied += 1,
                Phase::Completed => self.completed += 1,
                Phase::Canceled => self.canceled += 1,
                _ => self.failed += 1,
            }
        }
    }
}

#[test]
fn random_worlds_keep_all_promises() {
    live_through(world::run);
}

#[test]
fn random_worlds_in_which_objects_are_copied_keep_all_promises() {
    live_through(world::run_with_copies);
}

fn live_through(run: impl Fn(u64, Option<Broken>) -> Outcome) {
    let seeds = number("TOWLINE_SIM_SEEDS");
    let (first, seeds) = match number("TOWLINE_SEED") {
        Some(first) => (first, seeds.unwrap_or(1)),
        None => (0, seeds.unwrap_or(SEEDS)),
    };
    let begun = Instant::now();
    let (mut failed, mut lasted, mut seen) = (Vec::new(), 0, Seen::default());
    for seed in first..first + seeds {
        let outcome = run(seed, None);
        seen.add(&outcome);
        lasted += outcome.lasted.as_secs();
        if !outcome.violations.is_empty() {
            if failed.is_empty() {
                println!("{}", tell(seed, &outcome));
            }
            failed.push((seed, outcome.violations[0].to_string()));
        }
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{seeds} worlds in {took:.1} s, {:.0} a second: {lasted} s of simulated time, {seen:?}; \
         {} broke a promise",
        seeds as f64 / took,
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

macro_rules! found {
    ($($name:ident: $seed:literal;)*) => {
        $(#[test]
        fn $name() {
            let outcome = world::run($seed, None);
            assert!(outcome.violations.is_empty(), "{}", tell($seed, &outcome));
        })*
    };
}

// Worlds in which a promise was broken once.
found! {
    an_upload_that_was_begun_while_the_clock_was_wrong_is_ended_after_a_cancel: 6406;
    an_upload_that_was_begun_while_the_clock_was_wrong_is_used_after_a_kill: 7077;
    progress_does_not_go_back_where_a_transfer_makes_room_for_others: 7537;
    an_upload_that_was_begun_by_a_clock_that_another_transfer_set_does_not_stay_open: 2121;
    what_is_removed_goes_on_after_a_clock_was_set_twice: 22852;
    bytes_of_a_small_object_that_is_not_as_it_was_listed_are_not_shown: 57615;
    // And those in which the world or its oracle was wrong.
    what_could_not_be_removed_is_told_by_a_record_that_stays: 5544;
    an_object_that_is_made_late_once_more_had_been_asked_about: 7668;
    it_is_asked_about_by_the_first_byte_where_head_is_refused: 88261;
    an_act_that_waited_since_before_a_lower_limit_asks_later: 34916;
    a_file_that_was_rewritten_and_grew_is_sent_in_the_length_that_it_had: 8565;
}

#[test]
fn a_seed_repeats_its_world_byte_for_byte() {
    for seed in 0..25 {
        let run = [world::run, world::run_with_copies][usize::from(seed % 2 == 1)];
        let (one, other) = (run(seed, None), run(seed, None));
        let differs = one
            .trace
            .lines()
            .zip(other.trace.lines())
            .find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
    assert_ne!(world::run(1, None).trace, world::run(2, None).trace);
}

/// Lives through broken worlds until the check that is named finds what is wrong.
fn is_caught(broken: Broken, by: &str, run: impl Fn(u64, Option<Broken>) -> Outcome) {
    assert!(
        CHECKS.iter().any(|(name, ..)| *name == by),
        "{by} is no check"
    );
    let found = (0..300).any(|seed| {
        let outcome = run(seed, Some(broken));
        outcome
            .violations
            .iter()
            .any(|violation| violation.whose == by)
    });
    assert!(found, "{broken:?} is not caught by {by}");
}

macro_rules! caught {
    ($($name:ident: $broken:ident, $by:literal;)*) => {
        $(#[test]
        fn $name() {
            is_caught(Broken::$broken, $by, world::run);
        })*
    };
}

caught! {
    acts_before_their_store_are_caught: ActsBeforeItsStore, "accepted_is_durable";
    dropped_submits_are_caught: DropsSubmits, "accepted_is_durable";
    a_skipped_fingerprint_is_caught: SkipsTheFingerprint, "nothing_is_torn";
    ignored_syncs_are_caught: IgnoresSyncs, "done_is_true";
    a_rename_that_did_nothing_is_caught: RenamesInWords, "done_is_true";
    uploads_that_are_never_aborted_are_caught: NeverAborts, "no_orphans_stay";
    temporary_files_that_stay_are_caught: KeepsTemporaryFiles, "no_orphans_stay";
    parts_that_are_forgotten_and_sent_again_are_caught: ForgetsParts, "nothing_recorded_moves_again";
    bytes_that_nothing_proves_are_caught: BelievesBytes, "done_is_true";
    progress_that_goes_back_is_caught: ShowsLess, "progress_only_grows";
    ends_that_nobody_hears_of_are_caught: HidesEnds, "everything_ends_and_is_told";
    transfers_that_nobody_takes_up_are_caught: ForgetsTheUnfinished, "everything_ends_and_is_told";
    too_much_at_one_time_is_caught: ExceedsLimits, "what_is_in_use_is_bounded";
    two_owners_are_caught: TwoOwners, "one_owner_at_a_time";
    what_is_sent_again_unasked_is_caught: SendsAgainUnasked, "what_is_lost_is_asked_about";
    files_that_nobody_wanted_are_caught: LittersTheDisk, "nothing_from_outside_is_trusted";
}

#[test]
fn copies_of_what_is_there_at_the_moment_are_caught() {
    is_caught(
        Broken::CopiesWhatever,
        "done_is_true",
        world::run_with_copies,
    );
}
