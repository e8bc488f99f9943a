//! Promises 1, 4 and 5: what was accepted stays, ends well and once, and leaves
//! nothing behind.

use towline_core::Direction;
use towline_testserver::{Operation, Request};

use super::Violation;
use crate::crash::evidence::{Asked, Evidence, Fate, Row};
use crate::crash::process::End;

/// Promise 1: a transfer that was once recorded, told of or begun is still
/// there, as what it was, and one that was completed still is.
pub(super) fn accepted_survives(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    let surveyed = evidence.surveys.iter().flat_map(|survey| &survey.rows);
    let told = evidence.told.iter().map(|(_, row)| row);
    for row in surveyed.chain(told) {
        let Some(asked) = evidence.asked.iter().find(|asked| row.is_of(asked)) else {
            continue;
        };
        let left = evidence
            .rows
            .iter()
            .find(|left| (&left.state_dir, left.id) == (&row.state_dir, row.id));
        match left {
            None if asked.fate == Fate::MayBeRemoved => {}
            None => {
                let what = format!("transfer {} was {} and is gone", row.id, row.state);
                broken.push(asked.broken(1, what));
            }
            Some(left) if !left.is_of(asked) => {
                let what = format!("transfer {} is now of something else: {left:?}", row.id);
                broken.push(asked.broken(1, what));
            }
            Some(left) if row.state == "completed" && left.state != "completed" => {
                let what = format!("transfer {} was completed and is {}", row.id, left.state);
                broken.push(asked.broken(1, what));
            }
            Some(_) => {}
        }
    }
    let kept = |asked: &&Asked| asked.fate != Fate::MayBeRemoved;
    for asked in evidence.asked.iter().filter(kept) {
        let mut requests = evidence.requests.iter();
        let begun = requests.find(|request| request.key.as_deref() == Some(&asked.key));
        if let (Some(request), None) = (begun, evidence.rows_of(asked).next()) {
            let (sequence, operation) = (request.sequence, request.operation);
            let what = format!("request {sequence} ({operation}) was sent; no store knows it");
            broken.push(asked.broken(1, what));
        }
    }
    broken
}

/// Promise 4: what is sound completes, its process says so, and it makes no
/// second version without having asked what became of the first.
pub(super) fn nothing_is_lost_or_failed_falsely(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    for asked in evidence.asked.iter().filter(|asked| asked.is_sound()) {
        let told = evidence.told.iter().map(|(_, row)| row);
        let rows = told.filter(|row| row.is_of(asked));
        let rows: Vec<&Row> = rows.chain(evidence.rows_of(asked)).collect();
        for row in rows.iter().filter(|row| row.state == "failed") {
            let error = row.error.as_deref().unwrap_or("no error");
            let what = format!("transfer {} failed, and all was sound: {error}", row.id);
            broken.push(asked.broken(4, what));
        }
        let states: Vec<&str> = evidence
            .rows_of(asked)
            .map(|row| row.state.as_str())
            .collect();
        let ended = match asked.fate {
            Fate::Completes | Fate::MayFail => states.contains(&"completed"),
            Fate::MayBeCanceled | Fate::MayBeRemoved => states
                .iter()
                .all(|state| matches!(*state, "completed" | "canceled")),
        };
        if !ended {
            broken.push(asked.broken(4, format!("it never completed; states: {states:?}")));
        }
    }
    if evidence.asked.iter().all(Asked::is_sound) {
        let alone = evidence.runs.iter().filter(|run| run.killed.is_none());
        for run in alone {
            let fine =
                matches!(run.end, End::Code(code) if code == 0 || run.also_fine.contains(&code));
            if !fine {
                broken.push(Violation {
                    promise: 4,
                    whose: format!("process {} of task {}", run.pid, run.task),
                    what: format!(
                        "left alone, it ended with {:?}: {}",
                        run.end,
                        run.stderr.trim()
                    ),
                });
            }
        }
    }
    let mut keys = Vec::new();
    for asked in &evidence.asked {
        // How many there were is known as long as their records are.
        let known = asked.fate != Fate::MayBeRemoved;
        if known && asked.direction == Direction::Upload && !keys.contains(&&asked.key) {
            keys.push(&asked.key);
            broken.extend(made_twice(evidence, asked));
        }
    }
    broken
}

/// More versions of an object than its transfers have generations.
///
/// Not counted are those that had to be made anew as far as anyone could know:
/// S3 was asked after the one before, and said that there was none yet. What a
/// killed process had sent may arrive after that.
fn made_twice(evidence: &Evidence, asked: &Asked) -> Option<Violation> {
    let of_key = |r: &&Request| r.key.as_deref() == Some(&asked.key);
    let makes = |request: &Request| {
        let operation = request.operation;
        (operation == Operation::PutObject || operation == Operation::CompleteMultipartUpload)
            && request.status == Some(200)
    };
    let (mut made, mut explained) = (Vec::new(), 0);
    let mut last: Option<&Request> = None;
    let mut told_absent = false;
    for request in evidence.requests.iter().filter(of_key) {
        if makes(request) {
            explained += u64::from(told_absent);
            made.push(request.sequence);
            (last, told_absent) = (Some(request), false);
        } else if let Some(last) = last {
            told_absent |= match request.operation {
                Operation::HeadObject => request.status == Some(404),
                Operation::ListParts => {
                    request.status == Some(200) && request.upload_id == last.upload_id
                }
                _ => false,
            };
        }
    }
    let rows = evidence.rows.iter();
    let uploads = rows.filter(|row| row.direction == Direction::Upload && row.key == asked.key);
    let wanted: u64 = uploads.map(|row| u64::from(row.generation)).sum();
    (made.len() as u64 > wanted.max(1) + explained).then(|| {
        let what = format!(
            "requests {made:?} each made a version; transfers and their generations want {wanted}"
        );
        asked.broken(4, what)
    })
}

/// Promise 5: every open upload and temporary file belongs to a live transfer.
pub(super) fn no_orphans_stay(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    let live = || evidence.rows.iter().filter(|row| row.is_live());
    for (key, id) in &evidence.open_uploads {
        // One that was opened as the process died may be in no row yet.
        let has = |row: &Row| row.upload_id.as_ref().is_none_or(|held| held == id);
        if !live().any(|row| row.direction == Direction::Upload && &row.key == key && has(row)) {
            broken.push(Violation {
                promise: 5,
                whose: format!("object {key}"),
                what: format!("upload {id} is open, and no live transfer holds it"),
            });
        }
    }
    for path in &evidence.temporary_files {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if !live().any(|row| row.temp == name && row.path.parent() == path.parent()) {
            broken.push(Violation {
                promise: 5,
                whose: format!("file {}", path.display()),
                what: "it is temporary, and no live transfer holds it".into(),
            });
        }
    }
    broken
}
