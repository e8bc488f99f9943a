//! The judge is judged: disks that do not sync what they say they have synced, as
//! a library would look that forgot to. Each is found, by the promise it breaks.

use std::collections::BTreeSet;
use std::path::Path;
use towline::State;
use towline_testkit::disk::{Fate, Op};

use crate::MIB;
use crate::agent::Settings;
use crate::judge::Failure;
use crate::machine::{Machine, on_a_machine};
use crate::moved::too_much_unsynced;
use crate::story::Story;
use crate::wanted::{self, Wanted};

/// The size of what is moved.
const SIZE: u64 = 6 * MIB;

/// The promises that are broken where all that was not synced is lost, once it was
/// told that the first one is completed.
fn broken_by(machine: Machine, wanted: Wanted, lies: fn(&Op) -> bool) -> BTreeSet<u8> {
    let story = Story::of(&machine, vec![wanted], Settings::default());
    let place = story.ended(State::Completed);
    let honest = |op: &Op| !lies(op);
    let fine = Failure::draw(&story, place, Fate::Lost, 1, &|_| true);
    assert_eq!(fine.judge(&machine), [], "on an honest disk");
    let failure = Failure::draw(&story, place, Fate::Lost, 1, &honest);
    let broken = failure.judge(&machine);
    println!("{broken:#?}");
    broken.iter().map(|it| it.promise).collect()
}

fn is_file(op: &Op, named: impl FnOnce(&str) -> bool) -> bool {
    matches!(op, Op::Sync { path, .. } if named(&path.to_string_lossy()))
}

fn is_dir(op: &Op, named: &str) -> bool {
    matches!(op, Op::SyncDir { path, .. } if path == Path::new(named))
}

#[test]
fn a_temporary_file_that_is_not_synced_is_found_as_a_torn_file_that_is_called_done() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let lies = |op: &Op| is_file(op, |name| name.ends_with(".part"));
        assert_eq!(broken_by(machine, wanted, lies), [2, 3].into());
    });
}

#[test]
fn a_target_s_directory_that_is_not_synced_is_found_as_a_file_that_is_called_done_and_is_not_there()
{
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let lies = |op: &Op| is_dir(op, "out");
        assert_eq!(broken_by(machine, wanted, lies), [2].into());
    });
}

#[test]
fn a_log_of_the_store_that_is_not_synced_is_found_as_a_lost_submit() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let lies = |op: &Op| is_file(op, |name| name.ends_with("-wal"));
        let broken = broken_by(machine, wanted, lies);
        assert!(broken.contains(&1), "{broken:?}");
    });
}

#[test]
fn a_directory_of_the_state_that_is_not_synced_is_found_as_a_lost_store() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let lies = |op: &Op| is_dir(op, "home/app/state");
        let broken = broken_by(machine, wanted, lies);
        assert!(broken.contains(&1), "{broken:?}");
    });
}

#[test]
fn directories_above_the_state_that_are_not_synced_are_found_as_a_lost_store() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let lies = |op: &Op| is_dir(op, "home") || is_dir(op, "");
        let broken = broken_by(machine, wanted, lies);
        assert!(broken.contains(&1), "{broken:?}");
    });
}

#[test]
fn a_disk_that_syncs_nothing_is_found() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, SIZE).await;
        let broken = broken_by(machine, wanted, |_| true);
        assert!(broken.contains(&1) && broken.contains(&2), "{broken:?}");
    });
}

#[test]
fn a_removed_temporary_file_that_may_come_back_is_found_as_an_orphan() {
    on_a_machine(async |machine| {
        let wanted = wanted::canceled_download(&machine, SIZE).await;
        let story = Story::of(&machine, vec![wanted], Settings::default());
        machine.server.faults().bandwidth(0);
        let place = story.ended(State::Canceled);
        let honest = |op: &Op| !is_dir(op, "out");
        let mut orphans = 0;
        for seed in 0..100 {
            let failure = Failure::draw(&story, place, Fate::Drawn, seed, &honest);
            let dir = failure.image.tree.names(Path::new("out"));
            if dir.iter().any(|name| name.starts_with(".towline-")) {
                let broken = failure.judge(&machine);
                assert!(broken.iter().any(|it| it.promise == 5), "{broken:?}");
                orphans += 1;
            }
            let fine = Failure::draw(&story, place, Fate::Drawn, seed, &|_| true);
            let dir = fine.image.tree.names(Path::new("out"));
            assert!(
                !dir.iter().any(|name| name.starts_with(".towline-")),
                "{dir:?}"
            );
            if orphans == 3 {
                return;
            }
        }
        panic!("{orphans} orphans in 100 images");
    });
}

#[test]
fn t27_power_loss_costs_a_long_download_no_more_than_its_unsynced_window_and_else_it_is_found() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, 25 * MIB).await;
        let settings = Settings {
            sync_every: MIB,
            ..Settings::default()
        };
        let story = Story::of(&machine, vec![wanted], settings);
        assert_eq!(too_much_unsynced(&story, &|_| true), []);
        for lies in [
            |op: &Op| is_file(op, |name| name.ends_with(".part")),
            |op: &Op| is_dir(op, "out"),
        ] {
            let found = too_much_unsynced(&story, &|op| !lies(op));
            assert!(!found.is_empty());
        }
    });
}
