//! Images drawn at random: 200 of them, or `TOWLINE_POWER_IMAGES`.

use fastrand::Rng;
use towline_testkit::crash::seed;
use towline_testkit::disk::Fate;

use crate::MIB;
use crate::agent::Settings;
use crate::judge::Failure;
use crate::machine::{Machine, on_a_machine};
use crate::story::Story;
use crate::wanted;

/// The tests below, which share the images.
const TESTS: u64 = 4;

/// Of one recording.
const EACH: u64 = 10;

fn images() -> u64 {
    let told = std::env::var("TOWLINE_POWER_IMAGES").ok();
    let all = told.map_or(200, |all| all.parse::<u64>().expect("a number of images"));
    all.div_ceil(TESTS)
}

/// What happens before the power fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    OneProcess,
    /// A process is killed; the next one is there when the power fails.
    AKill,
}

#[test]
fn t25_t26_t27_what_was_told_survives_power_loss_and_the_rest_is_finished() {
    on_a_machine(async |machine| draw(machine, Before::OneProcess, 1).await);
}

#[test]
fn t25_t26_t27_the_same_with_other_draws() {
    on_a_machine(async |machine| draw(machine, Before::OneProcess, 2).await);
}

#[test]
fn t26_what_a_killed_process_had_not_synced_is_lost_with_the_power_of_the_next() {
    on_a_machine(async |machine| draw(machine, Before::AKill, 3).await);
}

#[test]
fn t26_a_kill_and_then_power_loss_with_other_draws() {
    on_a_machine(async |machine| draw(machine, Before::AKill, 4).await);
}

async fn draw(machine: Machine, before: Before, number: u64) {
    let seed = seed();
    let mut rng = Rng::with_seed(seed ^ number);
    let (mut judged, mut changes) = (0, 0);
    let begun = std::time::Instant::now();
    while judged < images() {
        machine.disk.become_image(Default::default());
        machine.server.restore(&machine.empty);
        let wanted = wanted::draw(&machine, &mut rng).await;
        let mut settings = Settings::default();
        if rng.u8(..3) == 0 {
            settings.sync_every = MIB;
        }
        let mut story = Story::of(&machine, wanted, settings);
        if before == Before::AKill {
            let place = story.draw_place(&mut rng);
            story = story.killed(&machine, place);
        }
        changes += story.recorded.ops.len();
        for _ in 0..EACH.min(images() - judged) {
            let place = story.draw_place(&mut rng);
            let fate = Fate::draw(&mut rng);
            let failure = Failure::draw(&story, place, fate, rng.u64(..), &|_| true);
            failure.check(&machine, seed);
            judged += 1;
        }
    }
    println!(
        "{judged} images, 0 violations; {changes} changes of the disk were recorded; {:?}",
        begun.elapsed()
    );
}
