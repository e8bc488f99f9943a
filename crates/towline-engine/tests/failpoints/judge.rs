//! Whether the promises were kept.

use std::fs;

use towline_core::{Direction, Operation, Phase, Record, Verified};
use towline_testkit::simulation::{End as RequestEnd, Request};
use towline_testkit::store_contract::block_on;

use crate::flows::{End, Script};
use crate::world::{ANOTHER, BEFORE, BUCKET, KEY, SOURCE, World, content};

pub(crate) fn judge(world: &World) {
    let record = world.record().expect("it was recorded");
    let phase = record.phase;
    let error = &record.error;
    assert!(world.may_end().contains(&phase), "{phase:?}: {error:?}");
    ends_once(world, phase);
    assert!(
        world.user.known().wrong.is_empty(),
        "{:?}",
        world.user.known().wrong
    );
    nothing_is_left(world);
    match world.flow.direction {
        Direction::Upload => upload(world, &record),
        Direction::Download => download(world, &record),
        Direction::Copy => copy(world, &record),
    }
    confirmed_bytes_only_grow(world, &record);
    if world.flow.may_send_again {
        assert!(record.generation <= 2, "it started over and over");
    } else {
        assert_eq!(record.generation, 1, "it started over: {error:?}");
        nothing_confirmed_moves_again(world, &record);
    }
}

/// Who reads on from a kept cursor is told the end exactly once.
fn ends_once(world: &World, phase: Phase) {
    block_on(world.user.read_changes(&*world.store()));
    let ends = &world.user.known().ends;
    assert_eq!(*ends, [phase], "the ends that were told");
}

fn nothing_is_left(world: &World) {
    let open = world.s3.open_uploads();
    assert_eq!(open, world.flow.stay_open, "uploads are open");
    let files = world.files();
    let temporary: Vec<_> = files
        .iter()
        .filter(|name| name.ends_with(".part"))
        .collect();
    assert!(temporary.is_empty(), "{temporary:?}");
    assert!(world.parts().is_empty(), "a final transfer has parts");
}

fn upload(world: &World, record: &Record) {
    object(world, record);
    let now = fs::read(world.path()).unwrap();
    assert!(now == source(world), "the source was changed");
}

fn copy(world: &World, record: &Record) {
    object(world, record);
    let now = world.s3.object(BUCKET, SOURCE);
    assert!(
        now.is_some_and(|now| now == source(world)),
        "the source was changed"
    );
}

/// What the source has by now.
fn source(world: &World) -> &'static [u8] {
    let rewritten = world.user.has("rewritten");
    content(world.flow.len, if rewritten { 2 } else { 1 })
}

fn object(world: &World, record: &Record) {
    let object = world.s3.object(BUCKET, KEY);
    let versions = world.s3.times_stored(KEY);
    match (record.phase, world.flow.ends) {
        (Phase::Completed, _) => {
            let version = match (world.flow.script, record.generation) {
                (Script::Rewrite, 2) => 2,
                _ => 1,
            };
            let right = content(world.flow.len, version);
            assert!(object.is_some_and(|is| is == right), "other bytes");
            assert_eq!(versions, 1, "it was made twice");
            let verified = record.proof.as_ref().map(|proof| proof.verified);
            assert_eq!(verified, Some(Verified::FullObject));
        }
        (_, End::Conflict) => {
            assert_eq!(object.as_deref(), Some(ANOTHER), "it was replaced");
            assert_eq!(versions, 1);
        }
        _ => assert_eq!((object, versions), (None, 0), "{:?}", record.phase),
    }
}

fn download(world: &World, record: &Record) {
    let right = content(world.flow.len, 1);
    if world.flow.is_new && record.phase != Phase::Completed {
        assert!(!world.path().exists(), "the target was made");
        return assert!(world.files().is_empty());
    }
    let there = fs::read(world.path()).unwrap();
    let mut files = vec!["file"];
    match (record.phase, world.flow.ends) {
        (Phase::Completed, End::CompletedBeside) => {
            files.push("file (1)");
            let beside = fs::read(world.path().with_file_name("file (1)")).unwrap();
            assert!(beside == right, "other bytes");
            assert!(there == BEFORE, "the file that was there is another");
            let renamed = record.proof.as_ref().and_then(|proof| proof.renamed);
            assert_eq!(renamed, Some(1));
        }
        (Phase::Completed, _) => assert!(there == right, "other bytes"),
        _ => assert!(there == BEFORE, "the target was touched"),
    }
    assert_eq!(world.files().into_iter().collect::<Vec<_>>(), files);
}

/// In one generation, over all lives.
fn confirmed_bytes_only_grow(world: &World, end: &Record) {
    if world.flow.may_send_again || end.phase == Phase::Canceled || end.phase == Phase::Failed {
        return;
    }
    let lives = world.crashes.iter().filter_map(|at| at.record.as_ref());
    let confirmed = |record: &Record| (record.generation, record.bytes_done);
    let all: Vec<_> = lives.chain([end]).map(confirmed).collect();
    assert!(all.is_sorted(), "{all:?}");
}

/// What S3 has confirmed is not sent again, and what was recorded is not fetched
/// again.
fn nothing_confirmed_moves_again(world: &World, record: &Record) {
    let all = world.history();
    for (place, request) in all.iter().enumerate() {
        let sends = matches!(
            request.operation,
            Operation::PutObject
                | Operation::UploadPart
                | Operation::CopyObject
                | Operation::UploadPartCopy
        );
        if sends && request.end == RequestEnd::Done {
            let same = |other: &&Request| {
                other.operation == request.operation && other.part == request.part
            };
            let again = all[place + 1..].iter().find(same);
            assert!(again.is_none(), "{request:?} and again {again:?}");
        }
    }
    let Some(plan) = record
        .plan
        .filter(|_| world.flow.direction == Direction::Download)
    else {
        return;
    };
    for crash in &world.crashes {
        for part in &crash.parts {
            let recorded = plan.range(part.number);
            let again = all[crash.requests..].iter().find(|request| {
                request.operation == Operation::GetObject
                    && request.range.as_ref().is_some_and(|range| {
                        range.start < recorded.end && recorded.start < range.end
                    })
            });
            assert!(again.is_none(), "{recorded:?} was recorded: {again:?}");
        }
    }
}
