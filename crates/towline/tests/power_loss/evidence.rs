//! What is known of a power failure, as the crash harness's oracle judges it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use towline::{State, Transfer};
use towline_testkit::crash::{
    Asked, Content, End, Evidence, Fate, Kill, Place, Row, Run, Seen, Signal, Violation,
};
use towline_testserver::Request;

use crate::BUCKET;
use crate::judge::{Failure, broken};
use crate::machine::Machine;
use crate::wanted::{Step, Wanted};

/// How it stands once everything has ended.
pub(crate) struct Finished {
    pub(crate) rows: Vec<Transfer>,
    /// Since the reboot.
    pub(crate) requests: Vec<Request>,
}

/// The process before the power failed, and the one after it.
const BEFORE: usize = 0;

pub(crate) fn of(failure: &Failure<'_>, machine: &Machine, finished: &Finished) -> Evidence {
    let state_dir = machine.state_dir();
    let rows: Vec<Row> = finished.rows.iter().map(|it| row(&state_dir, it)).collect();
    let mut requests = failure.story.requests_at(failure.mark);
    let wanted = failure.story.wanted.iter().filter(|it| {
        let is_there = rows.iter().any(|row| row.key == it.key);
        let removed = it.has(failure.place, Step::RemoveAsked) && !is_there;
        let begun = requests.iter().any(|r| r.key.as_deref() == Some(&it.key));
        !removed && (is_there || begun || it.id_by(failure.place).is_some())
    });
    let mut evidence = Evidence {
        // What moved is judged apart, more closely.
        in_flight: u64::MAX,
        runs: vec![run(&state_dir, true), run(&state_dir, false)],
        ..Evidence::default()
    };
    for it in wanted {
        let row = rows.iter().find(|row| row.key == it.key);
        let asked = asked(failure, it, row);
        let place = asked.destination();
        if let Some(seen) = in_image(failure, machine, it) {
            evidence.seen.push(Seen {
                place: place.clone(),
                content: seen,
            });
        }
        if let Some(left) = there(machine, &place) {
            evidence.left.insert(place, left);
        }
        evidence.told.extend(told(failure, it, &asked, &state_dir));
        evidence.asked.push(asked);
    }
    requests.extend(finished.requests.iter().cloned());
    requests.retain(|r| {
        evidence
            .asked
            .iter()
            .any(|it| r.key.as_deref() == Some(&it.key))
    });
    let open = machine.server.open_uploads(BUCKET).into_iter();
    evidence.open_uploads = open.map(|it| (it.key, it.upload_id)).collect();
    evidence.temporary_files = names(&machine.disk.path("out"))
        .into_iter()
        .filter(|name| name.starts_with(".towline-"))
        .map(|name| machine.disk.path("out").join(name))
        .collect();
    evidence.requests = requests;
    evidence.rows = rows;
    evidence
}

/// Files beside the state that nobody needs once everything has ended.
pub(crate) fn what_lies_around(machine: &Machine) -> Vec<Violation> {
    let known = [
        "spool",
        "towline.db",
        "towline.db-shm",
        "towline.db-wal",
        "towline.lock",
    ];
    let state = machine.state_dir();
    let mut found = names(&state);
    found.retain(|name| !known.contains(&name.as_str()));
    found.extend(names(&state.join("spool")));
    found
        .into_iter()
        .map(|name| broken(5, name, "it lies beside the state, and nobody needs it"))
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn asked(failure: &Failure<'_>, it: &Wanted, row: Option<&Row>) -> Asked {
    let path = match it.path.as_os_str().is_empty() {
        // A copy of the bytes, whose name the library chose.
        true => row.map(|row| row.path.clone()).unwrap_or_default(),
        false => it.path.clone(),
    };
    Asked {
        direction: it.direction,
        key: it.key.clone(),
        path,
        versions: vec![it.content.clone()],
        before: it.before.clone(),
        fate: match it.has(failure.place, Step::CancelAsked) {
            true => Fate::MayBeCanceled,
            false => Fate::Completes,
        },
    }
}

/// What was said of it before the power failed.
fn told(failure: &Failure<'_>, it: &Wanted, asked: &Asked, state: &Path) -> Vec<(usize, Row)> {
    let Some(id) = it.id_by(failure.place) else {
        return Vec::new();
    };
    let completed = it.has(failure.place, Step::Ended(State::Completed));
    let (state_told, moved) = match completed {
        true => ("completed", it.content.size),
        false => ("waiting", 0),
    };
    let row = Row {
        state_dir: state.to_owned(),
        id: id.get(),
        direction: it.direction,
        key: it.key.clone(),
        path: asked.path.clone(),
        state: state_told.into(),
        verified: completed.then(|| "it was".into()),
        error: None,
        generation: 1,
        moved,
        total: completed.then_some(it.content.size),
        upload_id: None,
        temp: None,
        parts: Vec::new(),
    };
    vec![(BEFORE, row)]
}

/// What its place held before anybody opened the image.
fn in_image(failure: &Failure<'_>, machine: &Machine, it: &Wanted) -> Option<Content> {
    let Place::File(path) = it.place() else {
        return None; // S3's objects are never torn by our disk; see `left`
    };
    let path = path.strip_prefix(machine.disk.dir()).unwrap();
    failure.image.tree.file(path).map(Content::of)
}

pub(crate) fn there(machine: &Machine, place: &Place) -> Option<Content> {
    match place {
        Place::Object(key) => {
            let bytes = machine.server.object_bytes(BUCKET, key).ok()?;
            Some(Content::of(&bytes))
        }
        Place::File(path) => Content::of_file(path).unwrap(),
    }
}

fn row(state_dir: &Path, transfer: &Transfer) -> Row {
    let json = serde_json::to_value(transfer).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Row {
        state_dir: state_dir.to_owned(),
        id: transfer.id.get(),
        direction: transfer.direction,
        key: transfer.key.clone(),
        path: transfer.path.clone(),
        state: text(&json["state"]).unwrap(),
        verified: text(&json["verified"]),
        error: json["error"].as_object().map(|_| json["error"].to_string()),
        generation: transfer.generation,
        moved: transfer.bytes_transferred,
        total: transfer.bytes_total,
        upload_id: None,
        temp: None,
        parts: Vec::new(),
    }
}

fn run(state_dir: &Path, killed: bool) -> Run {
    Run {
        task: 0,
        state_dir: state_dir.to_owned(),
        pid: std::process::id(),
        end: if killed { End::Signal(9) } else { End::Code(0) },
        killed: killed.then(|| Kill {
            signal: Signal::Kill,
            trigger: "the power fails".into(),
            took: Duration::ZERO,
        }),
        signalled: killed,
        also_fine: Vec::new(),
        stdout: String::new(),
        stderr: String::new(),
    }
}
