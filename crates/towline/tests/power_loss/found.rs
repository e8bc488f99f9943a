//! What the library lacked under the model, each as a test of its own.

use towline::State;
use towline_testkit::disk::{Fate, Op};

use crate::agent::Settings;
use crate::judge::Failure;
use crate::machine::on_a_machine;
use crate::story::Story;
use crate::wanted::{self, Step};
use crate::{KIB, MIB};

/// A process is killed between the rename and the sync of the directory. The next
/// one finds the file in its place, which is not yet durable.
#[test]
fn a_download_that_a_killed_process_renamed_is_called_done_only_once_that_is_durable() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, 6 * MIB).await;
        let story = Story::of(&machine, vec![wanted], Settings::default());
        let is_it = |op: &Op| matches!(op, Op::Rename { to, .. } if to.1 == "target-0");
        let renamed = story.recorded.ops.iter().position(is_it).unwrap();
        let story = story.killed(&machine, renamed + 1);
        let told = story.ended(State::Completed);
        for place in [told, story.recorded.ops.len()] {
            let failure = Failure::draw(&story, place, Fate::Lost, 1, &|_| true);
            failure.check(&machine, 1);
        }
    });
}

/// A process is killed between the write of a submit to the log of the store and its
/// sync. The next one reads it there, and tells of it.
#[test]
fn what_a_killed_process_wrote_to_the_log_is_told_only_once_it_is_durable() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, MIB).await;
        let story = Story::of(&machine, vec![wanted], Settings::default());
        let of_log = |op: &Op| matches!(op, Op::Sync { path, .. } if path.to_string_lossy().ends_with("-wal"));
        let told = submitted(&story);
        let synced = story.recorded.ops[..told].iter().rposition(of_log).unwrap();
        let story = story.killed(&machine, synced);
        let told = submitted(&story);
        let failure = Failure::draw(&story, told, Fate::Lost, 1, &|_| true);
        failure.check(&machine, 1);
        // Where the log is not synced, it is found.
        let failure = Failure::draw(&story, told, Fate::Lost, 1, &|op| !of_log(op));
        assert_ne!(failure.judge(&machine), []);
    });
}

/// When the first transfer was told to be recorded.
fn submitted(story: &Story) -> usize {
    let steps = &story.wanted[0].steps;
    let submitted = |(_, step): &&(usize, Step)| matches!(step, Step::Submitted(_));
    steps.iter().find(submitted).unwrap().0
}

/// The directory of copies is made with the first of them.
#[test]
fn a_copy_of_bytes_survives_power_loss_with_its_directory() {
    on_a_machine(async |machine| {
        let wanted = wanted::spooled_upload(&machine, 300 * KIB);
        let story = Story::of(&machine, vec![wanted], Settings::default());
        let told = submitted(&story);
        let failure = Failure::draw(&story, told, Fate::Lost, 1, &|_| true);
        failure.check(&machine, 1);
    });
}

/// Long before it has got as many bytes as are synced at a time.
#[test]
fn a_slow_download_is_synced_after_5_s_and_loses_no_more_than_that() {
    on_a_machine(async |machine| {
        let wanted = wanted::large_download(&machine, 25 * MIB).await;
        machine.server.faults().bandwidth(5 * MIB / 2);
        let settings = Settings {
            parts_per_transfer: 1,
            ..Settings::default()
        };
        let story = Story::of(&machine, vec![wanted], settings);
        let is_it = |op: &Op| {
            matches!(op, Op::Sync { path, data_only: true, .. }
                if path.to_string_lossy().ends_with(".part"))
        };
        assert!(story.recorded.ops.iter().any(is_it));
    });
}
