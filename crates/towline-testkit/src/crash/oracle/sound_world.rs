//! A small world in which every promise was kept, for tests to break.

use std::time::Duration;

use serde_json::json;
use towline_core::Direction;
use towline_testserver::Request;

use super::*;
use crate::crash::evidence::{Fate, Seen};
use crate::crash::process::{End, Kill, Run, Signal};

pub(super) const SIZE: u64 = 20;

pub(super) fn source() -> Content {
    Content::of(&[1; SIZE as usize])
}

pub(super) fn other() -> Content {
    Content::of(&[2; SIZE as usize])
}

pub(super) fn row(direction: Direction) -> Row {
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
pub(super) fn half_way(direction: Direction) -> Row {
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

pub(super) fn request(sequence: u64, operation: &str, more: serde_json::Value) -> Request {
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

pub(super) fn part(sequence: u64, number: u32, bytes: u64) -> Request {
    let more = json!({"part_number": number, "upload_id": "upload", "bytes_received": bytes});
    request(sequence, "UploadPart", more)
}

pub(super) fn run(end: End, killed: bool) -> Run {
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
        signalled: killed,
        also_fine: vec![4],
        stdout: String::new(),
        stderr: "some words".into(),
    }
}

/// A transfer that was killed once, half way, and arrived.
pub(super) fn sound(direction: Direction) -> Evidence {
    let asked = Asked {
        direction,
        key: "key".into(),
        path: "dir/file".into(),
        versions: vec![source()],
        before: Some(other()),
        fate: Fate::Completes,
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
            Direction::Copy => Vec::new(),
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
