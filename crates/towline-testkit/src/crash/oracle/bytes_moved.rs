//! Promises 6 and 7: what a kill costs, and what is shown as moved.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use towline_core::Direction;
use towline_testserver::{Operation, Request};

use super::Violation;
use crate::crash::evidence::{Asked, Evidence, Row, Survey};

/// Promise 6: a kill costs at most the bytes in flight, and a part that was
/// recorded is not moved again.
pub(super) fn little_is_sent_again(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    let resent = evidence.resent();
    let most = evidence.signals() * evidence.in_flight;
    if resent > most {
        broken.push(Violation {
            promise: 6,
            whose: "all transfers".into(),
            what: format!(
                "{resent} bytes moved again for {} signals; {} in flight allow {most}",
                evidence.signals(),
                evidence.in_flight
            ),
        });
    }
    for survey in &evidence.surveys {
        for row in survey.rows.iter().filter(|row| row.is_live()) {
            broken.extend(recorded_part_moved(evidence, survey, row));
        }
    }
    broken
}

impl Evidence {
    /// Bytes that moved beyond what the transfers hold now.
    pub fn resent(&self) -> u64 {
        let mut held: BTreeMap<(&str, bool), u64> = BTreeMap::new();
        for asked in &self.asked {
            let upload = asked.direction == Direction::Upload;
            *held.entry((&asked.key, upload)).or_default() += self
                .rows_of(asked)
                .map(|row| held_by(row, asked))
                .sum::<u64>();
        }
        let again = held.into_iter().map(|((key, upload), held)| {
            let of_key = self
                .requests
                .iter()
                .filter(|r| r.key.as_deref() == Some(key));
            let moved: u64 = of_key
                .map(|request| match request.operation {
                    Operation::PutObject | Operation::UploadPart if upload => {
                        request.content_received()
                    }
                    Operation::GetObject if !upload => request.bytes_sent,
                    _ => 0,
                })
                .sum();
            moved.saturating_sub(held)
        });
        again.sum()
    }
}

/// Generations before the last count as whole: why they were given up is not
/// for this promise.
fn held_by(row: &Row, asked: &Asked) -> u64 {
    let largest = asked.versions.iter().map(|version| version.size).max();
    let size = largest.unwrap_or_default();
    let now = if row.state == "completed" {
        size
    } else {
        row.moved
    };
    u64::from(row.generation - 1) * size + now
}

/// A part that was recorded at a survey, and moved after it.
fn recorded_part_moved(evidence: &Evidence, survey: &Survey, row: &Row) -> Option<Violation> {
    let asked = evidence.asked.iter().find(|asked| row.is_of(asked))?;
    // Another transfer or generation of the same moves everything, rightly: also
    // where this one was removed since.
    let mut same = evidence
        .rows
        .iter()
        .filter(|other| other.direction == row.direction && other.key == row.key);
    let only = same.next()?;
    let is_it = only.id == row.id && only.generation == row.generation;
    if same.next().is_some() || !is_it {
        return None;
    }
    let later = evidence.requests.iter().filter(|request| {
        request.sequence > survey.after_request && request.key.as_deref() == Some(&row.key)
    });
    for request in later {
        let part = row
            .parts
            .iter()
            .find(|(number, range)| match row.direction {
                Direction::Copy => false,
                Direction::Upload => {
                    request.operation == Operation::UploadPart
                        && request.upload_id == row.upload_id
                        && request.part_number == Some(*number)
                }
                Direction::Download => {
                    request.operation == Operation::GetObject
                        && !range.is_empty()
                        && asked_range(request)
                            .is_none_or(|r| r.start < range.end && range.start < r.end)
                }
            });
        if let Some((number, _)) = part {
            let (sequence, after) = (request.sequence, survey.after_request);
            let what = format!(
                "part {number} was recorded before request {after} and is moved again by {sequence}"
            );
            return Some(asked.broken(6, what));
        }
    }
    None
}

/// The bytes a request asks for; `None` is all.
fn asked_range(request: &Request) -> Option<Range<u64>> {
    let (first, last) = request
        .range
        .as_deref()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let end = last.parse::<u64>().map_or(u64::MAX, |last| last + 1);
    Some(first.parse().ok()?..end)
}

/// Promise 7: within a generation what is shown only grows, and all of it is
/// shown only when done. The store and each process are judged by themselves:
/// what a process shows of bytes under way dies with it.
pub(super) fn progress_only_grows(evidence: &Evidence) -> Vec<Violation> {
    let surveyed = evidence.surveys.iter().flat_map(|survey| &survey.rows);
    let at_rest = surveyed.chain(&evidence.rows).map(|row| (None, row));
    let told = evidence.told.iter().map(|(run, row)| (Some(*run), row));
    let mut last: BTreeMap<(Option<usize>, &Path, u64), &Row> = BTreeMap::new();
    let mut broken = Vec::new();
    for (by, row) in at_rest.chain(told) {
        let Some(asked) = evidence.asked.iter().find(|asked| row.is_of(asked)) else {
            continue;
        };
        let shown = |row: &Row| {
            let total = row.total.map_or("?".into(), |total| total.to_string());
            let Row {
                id,
                state,
                moved,
                generation,
                ..
            } = row;
            format!("transfer {id} {state}, {moved} of {total} bytes in generation {generation}")
        };
        if let Some(before) = last.insert((by, &row.state_dir, row.id), row) {
            let back = (before.generation, before.moved) > (row.generation, row.moved);
            // What is canceled holds nothing any more.
            if back && row.state != "canceled" {
                let what = format!("{} after {}", shown(row), shown(before));
                broken.push(asked.broken(7, what));
            }
        }
        let wrong = row.total.is_some_and(|total| {
            let all = row.moved >= total && total > 0;
            row.moved > total || all != (row.state == "completed") && total > 0
        });
        if wrong {
            broken.push(asked.broken(7, shown(row)));
        }
    }
    broken
}
