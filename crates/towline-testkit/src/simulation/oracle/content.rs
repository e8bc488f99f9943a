//! What objects and files hold.

use bytes::Bytes;
use towline_core::{Direction, Outcome, Phase, Proof, Record, Verified, WhenSourceChanges};

use crate::simulation::world::{Facts, Job, is_temporary};

/// What is called completed has the bytes of a version of its source, on the disk
/// itself and not only in its cache; and it is said what proved it.
pub(super) fn done_is_true(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for committed in &facts.commits {
        let record = &committed.record;
        let now = committed.changes.iter().any(|change| {
            matches!(
                change,
                towline_core::Change::Phase {
                    phase: Phase::Completed,
                    ..
                }
            )
        });
        if !now || record.outcome != Some(Outcome::Transferred) {
            continue;
        }
        let (id, at) = (record.id, committed.at);
        let Some(proof) = &record.proof else {
            wrong.push(format!(
                "transfer {id} is completed at {at}, proven by nothing"
            ));
            continue;
        };
        if record.spec.direction == Direction::Copy
            && let Some(what) = is_no_copy(facts, record, proof)
        {
            wrong.push(format!(
                "transfer {id} is completed at {at}, and {what}: {proof:?}"
            ));
        }
        if record.spec.direction == Direction::Upload {
            let of = |etag: &str| facts.versions.iter().find(|version| version.etag == etag);
            let version = proof.etag.as_deref().and_then(of);
            let mut jobs = facts.jobs.iter();
            let job = jobs.find(|job| job.path == record.spec.path);
            let is_one = |bytes| job.is_some_and(|job| is_version(facts, job, bytes));
            if !version.is_some_and(|version| is_one(&version.bytes)) {
                let what = "its object is no version of its source";
                wrong.push(format!(
                    "transfer {id} is completed at {at}, and {what}: {proof:?}"
                ));
            }
        }
    }
    for landed in &facts.landed {
        let id = landed.record.id;
        let of_key = |key: &str| facts.sources.get(key).into_iter().flatten();
        let is_one = |bytes: &Option<Vec<u8>>| {
            let mut versions = of_key(landed.record.spec.object.key.as_str());
            bytes
                .as_ref()
                .is_some_and(|bytes| versions.any(|version| version == bytes))
        };
        if !is_one(&landed.now) {
            wrong.push(format!(
                "transfer {id} was completed, and its file is no version of its object"
            ));
        } else if landed.record.outcome == Some(Outcome::Transferred) && !is_one(&landed.synced) {
            wrong.push(format!(
                "transfer {id} was completed, and its file was not on the disk"
            ));
        }
    }
    wrong
}

/// Why the object that is called a copy is none of the version that was copied.
fn is_no_copy(facts: &Facts, record: &Record, proof: &Proof) -> Option<&'static str> {
    let of = |etag: &Option<String>| {
        let mut versions = facts.versions.iter();
        let etag = etag.as_deref()?;
        versions.find(|version| version.etag == etag)
    };
    let key = record.spec.object.key.as_str();
    let Some(copy) = of(&proof.etag).filter(|copy| copy.key == key) else {
        return Some("there never was such an object");
    };
    let origin = record.origin.as_ref();
    let Some(origin) = origin.and_then(|origin| of(&origin.etag)) else {
        return Some("what was copied is not known");
    };
    if copy.bytes != origin.bytes {
        return Some("its object is not the version that was copied");
    }
    (copy.by.is_none() && !facts.clock_jumped).then_some("its object stood there before")
}

/// Objects and files are versions of their sources, or what stood there before.
pub(super) fn nothing_is_torn(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for version in facts.versions.iter().filter(|version| version.by.is_some()) {
        let mut jobs = facts.jobs.iter().filter(|job| job.key == version.key);
        if !jobs.any(|job| is_version(facts, job, &version.bytes)) {
            let (key, by) = (&version.key, version.by);
            wrong.push(format!("object {key} is torn, by request {by:?}"));
        }
    }
    let targets = facts
        .named
        .iter()
        .filter(|named| !is_temporary(&named.path));
    for named in targets {
        let of = |job: &&Job| {
            let same = job.path.file_stem().is_some_and(|stem| {
                let name = named.path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&*stem.to_string_lossy())
            });
            job.direction == Direction::Download && same
        };
        let Some(job) = facts.jobs.iter().find(of) else {
            continue; // a source
        };
        let before = facts.before.get(&job.path).and_then(Option::as_ref);
        let before = before.is_some_and(|before| *before == named.bytes);
        let bytes = Bytes::from(named.bytes.clone());
        if !before && !is_version(facts, job, &bytes) {
            let (path, at, len) = (named.path.display(), named.at, bytes.len());
            wrong.push(format!("{path} is torn at {at}: {len} bytes"));
        }
    }
    for (path, before) in &facts.before {
        if before.is_some() && !facts.files.contains_key(path) {
            wrong.push(format!("what stood at {} is gone", path.display()));
        }
    }
    wrong
}

fn is_version(facts: &Facts, job: &Job, bytes: &Bytes) -> bool {
    let Some(versions) = facts.sources.get(&job.source()) else {
        return false;
    };
    // Of a file that may grow it is what it has now, in the length that it had.
    let had = versions.iter().any(|version| version.len() == bytes.len());
    let grows = job.options.when_source_changes == WhenSourceChanges::AllowGrowth;
    let is_start = |version: &Bytes| grows && had && version.starts_with(bytes);
    versions
        .iter()
        .any(|version| version == bytes || is_start(version))
}

/// Only targets, and temporary files of their downloads, are ever made; sources
/// are left as they are; and no proof is claimed that nobody gave.
pub(super) fn nothing_from_outside_is_trusted(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in facts.files.keys() {
        let known = facts.jobs.iter().any(|job| {
            let stem = job.path.file_stem().unwrap_or_default().to_string_lossy();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path == job.path || name.starts_with(&format!("{stem} ("))
        });
        if !known && !is_temporary(path) {
            wrong.push(format!("nobody asked for {}", path.display()));
        }
    }
    for job in facts
        .jobs
        .iter()
        .filter(|job| job.direction == Direction::Upload)
    {
        let source = facts.sources.get(&job.path.display().to_string());
        let last = source.and_then(|all| all.last());
        let left = facts.files.get(&job.path);
        if left.is_some() && left != last {
            wrong.push(format!("the source {} was written to", job.path.display()));
        }
    }
    for record in facts.records.values() {
        let proof = record
            .proof
            .as_ref()
            .filter(|proof| proof.verified == Verified::FullObject);
        if proof.is_some_and(|proof| proof.checksum.is_none()) {
            wrong.push(format!(
                "transfer {} is proven by a checksum that is not there",
                record.id
            ));
        }
    }
    wrong
}
