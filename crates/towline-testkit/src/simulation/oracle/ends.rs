//! What becomes of transfers, and what is left behind.

use std::collections::BTreeMap;

use towline_core::{Change, Command, Direction, Phase, State, TransferId, WhenTargetExists};

use crate::simulation::world::{Facts, Job, is_temporary};

/// What was confirmed is there after every crash: submits, and pauses.
pub(super) fn accepted_is_durable(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, job) in facts.jobs.iter().enumerate() {
        let Some(id) = job.id.filter(|_| !job.removed) else {
            continue;
        };
        match facts.records.get(&id) {
            None => wrong.push(format!(
                "job {number} was confirmed as transfer {id}, which is gone"
            )),
            Some(record)
                if record.spec.path != job.path || record.spec.object.key.as_str() != job.key =>
            {
                wrong.push(format!("transfer {id} is now of something else"));
            }
            Some(_) => {}
        }
        for run in &facts.runs {
            let mut before = facts.commands.iter().filter(|asked| asked.job == number);
            let last = before.rfind(|asked| asked.at < run.began);
            let paused = last.is_some_and(|asked| {
                asked.command == Command::Pause && asked.confirmed.is_some_and(|at| at < run.began)
            });
            let phase = phase_at(facts, id, run.began);
            let rests = |phase: Phase| {
                phase.is_final() || matches!(phase, Phase::Paused | Phase::Discarding(_))
            };
            if paused && !phase.is_none_or(rests) {
                wrong.push(format!(
                    "transfer {id} was paused and is {phase:?} at {}",
                    run.began
                ));
            }
        }
    }
    wrong
}

pub(super) fn phase_at(facts: &Facts, id: TransferId, at: u64) -> Option<Phase> {
    let mut its = facts.commits.iter().filter(|c| c.id == id && c.at < at);
    its.next_back().map(|committed| committed.record.phase)
}

/// Once all is well, what can complete completes.
pub(super) fn nothing_fails_falsely(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for job in facts.jobs.iter().filter(|job| !job.removed) {
        let Some(record) = job.id.and_then(|id| facts.records.get(&id)) else {
            continue;
        };
        let canceled = facts
            .commands
            .iter()
            .any(|asked| asked.command == Command::Cancel && facts.jobs[asked.job].id == job.id);
        let fine = match record.phase {
            Phase::Failed => may_fail(facts, job),
            Phase::Canceled => canceled,
            _ => true, // another check tells
        };
        if !fine {
            let (id, phase, error) = (record.id, record.phase, &record.error);
            wrong.push(format!(
                "transfer {id} is {phase:?}, and all was well: {error:?}"
            ));
        }
    }
    wrong
}

/// Whether what is left of the world forbids it.
fn may_fail(facts: &Facts, job: &Job) -> bool {
    let options = &job.options;
    match job.direction {
        Direction::Upload => {
            let others = facts.versions.iter().any(|version| version.key == job.key);
            !facts.files.contains_key(&job.path) || (options.if_absent && others)
        }
        Direction::Copy => {
            // Its own copy is known to it, unless it is of another version by now or
            // nobody can tell how old it is.
            let versions = facts.sources.get(&job.source()).map_or(0, Vec::len);
            let knows = versions == 1 && !facts.clock_jumped;
            let mut there = facts.versions.iter();
            let is_other = |by: Option<usize>| !knows || by.is_none();
            let others = there.any(|it| it.key == job.key && is_other(it.by));
            let gone = facts.missing_objects.contains(&job.source());
            gone || (options.if_absent && others)
        }
        Direction::Download => {
            let before = facts.before.get(&job.path).is_some_and(Option::is_some);
            let gone = facts.missing_objects.contains(&job.key);
            let taken = options.when_target_exists == WhenTargetExists::Fail;
            gone || (taken && (before || facts.files.contains_key(&job.path)))
        }
    }
}

/// No upload stays open and no temporary file stays.
pub(super) fn no_orphans_stay(facts: &Facts) -> Vec<String> {
    let live = |key: &str| {
        facts
            .records
            .values()
            .any(|record| !record.phase.is_final() && record.spec.object.key.as_str() == key)
    };
    let uploads = facts.open_uploads.iter().filter_map(|(id, by)| {
        let request = by.and_then(|by| facts.requests.get(by));
        let key = request.map_or("", |request| request.key.as_str());
        (!live(key)).then(|| format!("upload {id} of {key} is open (request {by:?})"))
    });
    let files = facts.files.keys().filter(|path| is_temporary(path));
    let files = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let holds = |record: &towline_core::Record| match &record.remote {
            Some(towline_core::Remote::Object(_, temp)) => temp.name == name,
            _ => false,
        };
        !facts.records.values().any(holds)
    });
    let files = files.map(|path| format!("{} is left", path.display()));
    uploads.chain(files).collect()
}

/// Whatever was accepted ends once nothing is wrong any more, everybody who
/// follows hears of it, once; and what waits says for what.
pub(super) fn everything_ends_and_is_told(facts: &Facts) -> Vec<String> {
    let mut wrong = facts.stuck.clone();
    let mut ends: BTreeMap<TransferId, usize> = BTreeMap::new();
    for committed in &facts.commits {
        let phases = committed
            .changes
            .iter()
            .filter(|change| matches!(change, Change::Phase { phase, .. } if phase.is_final()));
        *ends.entry(committed.id).or_default() += phases.count();
    }
    for (id, record) in &facts.records {
        let told: Vec<_> = facts.told.iter().filter(|told| told.id == *id).collect();
        let times = told.iter().filter(|told| told.phase.is_final()).count();
        let happened = ends.get(id).copied().unwrap_or_default();
        if times > happened {
            wrong.push(format!(
                "transfer {id} ended {happened} times, and {times} ends were told"
            ));
        }
        let last = told.last().map(|told| told.phase);
        if record.phase.is_final() && last != Some(record.phase) {
            wrong.push(format!(
                "transfer {id} is {:?}; told was {last:?}",
                record.phase
            ));
        }
    }
    for shown in &facts.shown {
        if shown.state == State::Waiting && shown.reason.is_none() {
            wrong.push(format!(
                "transfer {} waits at {}, and says not for what",
                shown.id, shown.at
            ));
        }
    }
    wrong
}
