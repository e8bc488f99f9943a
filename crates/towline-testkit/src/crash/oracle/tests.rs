//! For each promise a world in which it is broken, and the oracle says so.

use std::path::PathBuf;

use serde_json::json;
use towline_core::Direction;

use super::sound_world::*;
use super::*;
use crate::crash::evidence::{Fate, Seen, Twins};
use crate::crash::process::End;

const BOTH: [Direction; 2] = [Direction::Upload, Direction::Download];

/// Asserts that a change to a sound world breaks this promise, in these words
/// and in both directions.
fn breaks(promise: u8, words: &str, change: impl Fn(&mut Evidence)) {
    for direction in BOTH {
        breaks_one(direction, promise, words, &change);
    }
}

fn breaks_one(direction: Direction, promise: u8, words: &str, change: impl Fn(&mut Evidence)) {
    let mut world = sound(direction);
    change(&mut world);
    let broken = violations(&world);
    assert!(
        broken
            .iter()
            .any(|v| v.promise == promise && v.what.contains(words)),
        "{direction:?}: no word of {words:?} in {broken:#?}"
    );
    // The function of that promise is the one that says so, and says nothing of others.
    let said = PROMISES[usize::from(promise) - 1](&world);
    assert!(!said.is_empty() && said.iter().all(|v| v.promise == promise));
}

#[test]
fn in_a_sound_world_nothing_is_broken() {
    for direction in BOTH {
        assert_eq!(violations(&sound(direction)), []);
    }
}

#[test]
fn p1_a_transfer_that_was_recorded_and_is_gone_is_noticed() {
    breaks(1, "was waiting and is gone", |world| world.rows[0].id = 2);
    breaks(1, "was completed and is gone", |world| {
        world.surveys.clear();
        world.rows.clear();
    });
    breaks(1, "no store knows it", |world| {
        world.surveys.clear();
        world.told.clear();
        world.rows.clear();
    });
}

#[test]
fn p1_a_transfer_that_became_another_one_or_went_back_is_noticed() {
    breaks(1, "something else", |world| {
        world.rows[0].key = "other".into()
    });
    breaks(1, "was completed and is waiting", |world| {
        world.rows[0].state = "waiting".into();
    });
}

#[test]
fn p2_completed_without_proof_is_noticed_wherever_it_was_said() {
    breaks(2, "verified by nothing", |world| {
        world.rows[0].verified = None
    });
    breaks(2, "verified by nothing", |world| {
        world.told[0].1.verified = None
    });
}

#[test]
fn p2_completed_with_other_bytes_or_none_is_noticed() {
    breaks(2, "no version of its source", |world| {
        let place = world.asked[0].destination();
        world.left.insert(place, other());
    });
    breaks(2, "holds nothing", |world| world.left.clear());
    breaks(2, "no version of its source", |world| {
        // Right in length, wrong in one byte.
        let mut bytes = vec![1; SIZE as usize];
        bytes[19] = 0;
        let place = world.asked[0].destination();
        world.left.insert(place, Content::of(&bytes));
    });
}

#[test]
fn p3_a_moment_with_part_of_the_bytes_is_noticed() {
    breaks(3, "neither a version", |world| {
        let place = world.asked[0].destination();
        let content = Content::of(&[1; 10]);
        world.seen.insert(1, Seen { place, content });
    });
}

#[test]
fn p3_what_a_failed_transfer_did_to_what_stood_there_is_noticed() {
    let failed = |world: &mut Evidence| {
        world.asked[0].fate = Fate::MayFail;
        world.rows[0].state = "failed".into();
        world.told.clear();
    };
    breaks(3, "what stood there before is now", failed);
    breaks(3, "is now nothing", |world| {
        failed(world);
        world.left.clear();
    });
}

#[test]
fn p4_a_false_failure_is_noticed() {
    breaks(4, "no such luck", |world| {
        let row = &mut world.told[0].1;
        (row.state, row.error) = ("failed".into(), Some("no such luck".into()));
    });
    breaks(4, "it never completed", |world| {
        world.rows[0].state = "paused".into()
    });
    breaks(4, "some words", |world| world.runs[1].end = End::Code(1));
    breaks(4, "some words", |world| world.runs[1].end = End::Signal(6));
}

#[test]
fn p4_an_exit_code_that_was_expected_and_a_failure_that_was_allowed_are_no_violations() {
    let mut world = sound(Direction::Upload);
    world.runs[1].end = End::Code(4);
    assert_eq!(violations(&world), []);
    world.runs[1].end = End::Code(1);
    world.asked[0].fate = Fate::MayFail;
    assert_eq!(violations(&world), []);
}

#[test]
fn p4_what_may_be_canceled_or_removed_ends_so_or_completed_and_no_other_way() {
    let end = |fate, state: Option<&str>| {
        let mut world = sound(Direction::Upload);
        world.surveys.clear();
        world.told.clear();
        world.seen.clear();
        world.left = [(world.asked[0].destination(), other())].into();
        world.asked[0].fate = fate;
        match state {
            Some(state) => (world.rows[0].state, world.rows[0].moved) = (state.into(), 0),
            None => world.rows.clear(),
        }
        world.in_flight = 100;
        let broken = violations(&world);
        broken.iter().map(|v| v.promise).collect::<Vec<_>>()
    };
    assert_eq!(end(Fate::MayBeCanceled, Some("canceled")), [] as [u8; 0]);
    assert_eq!(end(Fate::MayBeRemoved, None), [] as [u8; 0]);
    assert_eq!(end(Fate::MayBeCanceled, Some("failed")), [4, 4]);
    assert_eq!(end(Fate::MayBeCanceled, Some("waiting")), [4]);
    assert_eq!(end(Fate::MayBeCanceled, None), [1]);
    assert_eq!(end(Fate::Completes, Some("canceled")), [4]);
}

#[test]
fn p4_a_second_version_that_nobody_asked_about_is_noticed() {
    let again = |status: u16| {
        move |world: &mut Evidence| {
            let head = request(7, "HeadObject", json!({"status": status}));
            world
                .requests
                .extend([head, request(8, "PutObject", json!({}))]);
        }
    };
    breaks_one(
        Direction::Upload,
        4,
        "[6, 8] each made a version",
        again(200),
    );
    breaks_one(
        Direction::Upload,
        4,
        "[6, 8] each made a version",
        |world| {
            world.requests.push(request(8, "PutObject", json!({})));
        },
    );
    // It had asked, and was told that there was none: the first arrived late.
    let mut world = sound(Direction::Upload);
    again(404)(&mut world);
    assert_eq!(violations(&world), []);
    // Wanted twice: another transfer, or another generation.
    let mut world = sound(Direction::Upload);
    again(200)(&mut world);
    world.rows.push(Row {
        id: 2,
        ..row(Direction::Upload)
    });
    assert_eq!(violations(&world), []);
}

#[test]
fn p5_an_open_upload_of_nobody_is_noticed() {
    let orphan = |world: &mut Evidence| world.open_uploads = vec![("key".into(), "old".into())];
    breaks(5, "upload old is open", orphan);
    breaks_one(Direction::Upload, 5, "upload old is open", |world| {
        orphan(world);
        world.rows = vec![half_way(Direction::Upload)]; // holds another one
    });
    let mut world = sound(Direction::Upload);
    world.open_uploads = vec![("key".into(), "upload".into())];
    world.rows = vec![half_way(Direction::Upload)];
    assert_eq!(nothing_lost::no_orphans_stay(&world), []);
}

#[test]
fn p5_a_temporary_file_of_nobody_is_noticed() {
    let lies = |name: &str| vec![PathBuf::from("dir").join(name)];
    breaks(5, "no live transfer holds it", |world| {
        world.temporary_files = lies(".towline-1.part");
    });
    breaks(5, "no live transfer holds it", |world| {
        world.temporary_files = lies(".towline-2.part");
        world.rows = vec![half_way(Direction::Download)];
    });
    let mut world = sound(Direction::Download);
    world.temporary_files = lies(".towline-1.part");
    world.rows = vec![half_way(Direction::Download)];
    assert_eq!(nothing_lost::no_orphans_stay(&world), []);
}

#[test]
fn p6_one_byte_more_than_the_kills_allow_is_noticed() {
    let mut world = sound(Direction::Upload);
    assert_eq!((world.resent(), world.signals() * world.in_flight), (5, 5));
    world.in_flight = 4;
    assert_eq!(bytes_moved::little_is_sent_again(&world).len(), 1);
    breaks(6, "5 bytes moved again for 1 signals", |world| {
        world.in_flight = 4
    });
    breaks(6, "5 bytes moved again for 0 signals", |world| {
        world.runs[0].killed = None;
        world.runs[0].signalled = false;
    });
}

#[test]
fn p6_a_recorded_part_that_moves_again_is_noticed_even_where_bytes_are_left() {
    breaks_one(Direction::Upload, 6, "part 1 was recorded", |world| {
        world.in_flight = 1000;
        world.requests.push(part(7, 1, 10));
    });
    breaks_one(Direction::Download, 6, "part 1 was recorded", |world| {
        world.in_flight = 1000;
        let more = json!({"range": "bytes=9-12", "bytes_sent": 4});
        world.requests.push(request(7, "GetObject", more));
    });
    breaks_one(Direction::Download, 6, "part 1 was recorded", |world| {
        world.in_flight = 1000;
        world
            .requests
            .push(request(7, "GetObject", json!({"bytes_sent": 4})));
    });
}

#[test]
fn p6_what_was_recorded_of_a_transfer_that_was_removed_says_nothing_of_the_next_one() {
    let mut world = sound(Direction::Download);
    let more = json!({"range": "bytes=9-12", "bytes_sent": 4});
    world.in_flight = 1000;
    world.requests.push(request(7, "GetObject", more));
    let moved_again = |world: &Evidence| {
        let said = violations(world);
        said.iter().any(|it| it.what.contains("was recorded"))
    };
    assert!(moved_again(&world));
    world.rows[0].id += 1;
    assert!(!moved_again(&world));
}

#[test]
fn p7_progress_that_goes_back_is_noticed_in_the_store_and_in_what_is_told() {
    let less = |row: &Row| Row {
        moved: row.moved - 1,
        ..row.clone()
    };
    breaks(7, "9 of 20 bytes in generation 1 after", |world| {
        let mut later = world.surveys[0].clone();
        later.rows[0] = less(&later.rows[0]);
        world.surveys.push(later);
    });
    breaks(7, "9 of 20 bytes in generation 1 after", |world| {
        let row = world.surveys[0].rows[0].clone();
        world.told = vec![(0, row.clone()), (0, less(&row))];
    });
    breaks(7, "generation 1 after", |world| {
        world.surveys[0].rows[0].generation = 2
    });
}

#[test]
fn p7_a_new_generation_begins_at_nothing_and_a_new_process_at_what_is_recorded() {
    let mut world = sound(Direction::Upload);
    world.told.insert(
        0,
        (
            0,
            Row {
                moved: 19,
                ..half_way(Direction::Upload)
            },
        ),
    );
    world.told.insert(1, (1, half_way(Direction::Upload)));
    assert_eq!(violations(&world), []);
    world.rows[0].generation = 2;
    world.told[2].1.generation = 2;
    assert_eq!(bytes_moved::progress_only_grows(&world), []);
}

#[test]
fn p7_all_bytes_before_the_end_and_less_at_the_end_are_noticed() {
    breaks(7, "waiting, 20 of 20", |world| {
        world.surveys[0].rows[0].moved = SIZE
    });
    breaks(7, "completed, 19 of 20", |world| {
        world.rows[0].moved = SIZE - 1
    });
    breaks(7, "completed, 21 of 20", |world| {
        world.told[0].1.moved = SIZE + 1
    });
}

#[test]
fn p8_two_owners_and_two_senders_are_noticed() {
    breaks(8, "7 and 8 hold its lock", |world| {
        world.two_owners = vec![("state".into(), 7, 8)];
    });
    breaks(8, "both send part 3", |world| {
        let key = "key".to_owned();
        world.twins = vec![Twins {
            key,
            part: 3,
            requests: (1, 2),
        }];
    });
}
