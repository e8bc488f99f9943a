//! What moves, and what is shown of it.

use std::collections::BTreeMap;

use towline_core::{Operation, Phase, Record, Remote, State};

use crate::simulation::Committed;
use crate::simulation::world::{Facts, Shown};

/// A part that is recorded is not sent or fetched again, as long as it is.
pub(super) fn nothing_recorded_moves_again(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let moves = facts.requests.iter().enumerate().filter(|(_, request)| {
        matches!(
            request.operation,
            Operation::UploadPart | Operation::UploadPartCopy | Operation::GetObject
        )
    });
    for (number, request) in moves {
        let of_key = |c: &&Committed| {
            c.at < request.place && c.record.spec.object.key.as_str() == request.key
        };
        let Some(last) = facts.commits.iter().rfind(of_key) else {
            continue;
        };
        let (Some(plan), Record { remote, .. }) = (last.record.plan, &last.record) else {
            continue;
        };
        let again = last.parts.iter().find(|part| match remote {
            Some(Remote::Upload(id)) => {
                request.upload.as_ref() == Some(id) && request.part == Some(part.number.get())
            }
            Some(Remote::Object(..)) => {
                let covers = plan.range(part.number);
                // A single byte is asked for where HEAD tells too little.
                let asked = request.range.clone().filter(|range| *range != (0..1));
                asked.is_some_and(|asked| {
                    asked.start < covers.end && covers.start < asked.end && !covers.is_empty()
                })
            }
            None => false,
        });
        if let Some(part) = again {
            let (id, part) = (last.id, part.number);
            wrong.push(format!(
                "part {part} of transfer {id} was recorded, and request {number} moves it again"
            ));
        }
    }
    wrong
}

/// Within a generation bytes do not go down, but for a pause; all of them are
/// shown only when it is done.
pub(super) fn progress_only_grows(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<usize, &Shown> = BTreeMap::new();
    for shown in &facts.shown {
        let id = shown.id;
        if let Some(before) = last.insert(shown.watcher, shown) {
            let back = (shown.generation, shown.bytes) < (before.generation, before.bytes);
            let rested = |phase: Phase| phase == Phase::Paused || phase.is_final();
            let mut between = facts
                .commits
                .iter()
                .filter(|c| c.id == id && c.at < shown.at);
            let paused = rested(before.phase)
                || rested(shown.phase)
                || between.any(|c| c.at + 40 > before.at && rested(c.record.phase));
            if back && !paused {
                wrong.push(format!(
                    "transfer {id} goes back: {before:?}, then {shown:?}"
                ));
            }
        }
        if let Some(total) = shown.total {
            let done = shown.state == State::Completed; // durable, not only decided
            if shown.bytes > total || (total > 0 && done != (shown.bytes == total)) {
                wrong.push(format!("transfer {id} shows what is not so: {shown:?}"));
            }
        }
    }
    wrong
}
