//! For each promise a world in which it is broken, and the oracle says so.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use towline_core::Direction;
use towline_testserver::Request;

use super::*;
use crate::crash::evidence::{Seen, Twins};
use crate::crash::process::{End, Kill, Run, Signal};

const SIZE: u64 = 20;

fn source() -> Content {
    Content::of(&[1; SIZE as usize])
}

fn other() -> Content {
    Content::of(&[2; SIZE as usize])
}

fn row(direction: Direction) -> Row {
    Row {
        state_dir: "state".into(),
        id: 1,
        direction,
        key: "key".into(),
        path: "dir/file".into(),
        state: "completed".into(),
        verified: Some("full-object".into()),
        error: None,
        generation: 1,
        moved: SIZE,
        total: Some(SIZE),
        upload_id: None,
        temp: None,
        parts: Vec::new(),
    }
}

/// The same transfer while it was under way, its first half recorded.
fn half_way(direction: Direction) -> Row {
    Row {
        state: "waiting".into(),
        verified: None,
        moved: 10,
        upload_id: Some("upload".into()),
        temp: Some(".towline-1.part".into()),
        parts: vec![(1, 0..10)],
        ..row(direction)
    }
}

fn request(sequence: u64, operation: &str, more: serde_json::Value) -> Request {
    let mut fields = json!({
        "sequence": sequence, "time_ms": 0, "operation": operation, "bucket": "bucket",
        "key": "key", "bytes_received": 0, "received_whole": true, "status": 200,
        "bytes_sent": 0, "completed": true,
    });
    fields
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

fn part(sequence: u64, number: u32, bytes: u64) -> Request {
    let more = json!({"part_number": number, "upload_id": "upload", "bytes_received": bytes});
    request(sequence, "UploadPart", more)
}

fn run(end: End, killed: bool) -> Run {
    Run {
        task: 0,
        state_dir: "state".into(),
        pid: 4711,
        end,
        killed: killed.then(|| Kill {
            signal: Signal::Kill,
            trigger: "a test".into(),
            took: Duration::ZERO,
        }),
        also_fine: vec![4],
        stdout: String::new(),
        stderr: "some words".into(),
    }
}

/// A transfer that was killed once, half way, and arrived.
fn sound(direction: Direction) -> Evidence {
    let asked = Asked {
        direction,
        key: "key".into(),
        path: "dir/file".into(),
        versions: vec![source()],
        before: Some(other()),
        sound: true,
    };
    let place = asked.destination();
    let get = |sequence, range, sent| {
        request(
            sequence,
            "GetObject",
            json!({"range": range, "bytes_sent": sent}),
        )
    };
    let seen = |content| Seen {
        place: place.clone(),
        content,
    };
    Evidence {
        seed: Some(1),
        in_flight: 5,
        runs: vec![run(End::Signal(9), true), run(End::Code(0), false)],
        requests: match direction {
            Direction::Upload => vec![
                request(1, "CreateMultipartUpload", json!({})),
                part(2, 1, 10),
                part(3, 2, 5), // cut by the kill
                request(4, "ListParts", json!({"upload_id": "upload"})),
                part(5, 2, 10),
                request(6, "CompleteMultipartUpload", json!({"upload_id": "upload"})),
            ],
            Direction::Download => vec![
                request(1, "HeadObject", json!({})),
                get(2, "bytes=0-9", 10),
                get(3, "bytes=10-19", 5), // cut by the kill
                get(5, "bytes=10-19", 10),
            ],
        },
        rows: vec![row(direction)],
        surveys: vec![Survey {
            after_request: 3,
            rows: vec![half_way(direction)],
        }],
        seen: vec![seen(other()), seen(source())],
        left: [(place.clone(), source())].into(),
        told: vec![(1, row(direction))],
        asked: vec![asked],
        ..Evidence::default()
    }
}

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
        world.asked[0].sound = false;
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
    world.asked[0].sound = false;
    assert_eq!(violations(&world), []);
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
    assert_eq!((world.resent(), world.kills() * world.in_flight), (5, 5));
    world.in_flight = 4;
    assert_eq!(bytes_moved::little_is_sent_again(&world).len(), 1);
    breaks(6, "5 bytes moved again for 1 kills", |world| {
        world.in_flight = 4
    });
    breaks(6, "5 bytes moved again for 0 kills", |world| {
        world.runs[0].killed = None
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
