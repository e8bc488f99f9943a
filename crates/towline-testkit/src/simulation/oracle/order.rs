//! In which order things happen, and how many at one time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use towline_core::Operation;

use crate::simulation::world::{Facts, Limits};
use crate::simulation::{End, Request};

/// An object is not made a second time before it was asked what became of the first.
pub(super) fn what_is_lost_is_asked_about(facts: &Facts) -> Vec<String> {
    let keys: BTreeSet<&str> = facts.requests.iter().map(|r| r.key.as_str()).collect();
    keys.into_iter()
        .filter_map(|key| made_twice(facts, key))
        .collect()
}

fn made_twice(facts: &Facts, key: &str) -> Option<String> {
    let makes = |request: &Request| {
        matches!(
            request.operation,
            Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload
        )
    };
    let (mut made, mut explained) = (0, 0);
    let (mut before, mut told) = (false, false);
    for request in facts.requests.iter().filter(|request| request.key == key) {
        if makes(request) {
            made += u32::from(request.made);
            explained += u32::from(request.made && before && told);
            // One that made nothing leaves what was told before it as it is.
            (before, told) = (before || request.made, told && !request.made);
        } else {
            told |= match request.operation {
                Operation::HeadObject => {
                    matches!(&request.end, End::Refused(404, _)) || request.end == End::Done
                }
                // Its first byte is asked for where HEAD was refused.
                Operation::GetObject => matches!(&request.end, End::Refused(404, _)),
                Operation::ListParts => request.end == End::Done,
                _ => false,
            };
        }
    }
    let of_key = facts
        .jobs
        .iter()
        .filter(|job| job.key == key && job.direction.makes_object());
    let wanted: u32 = of_key
        .filter_map(|job| job.id)
        .filter_map(|id| facts.commits.iter().rfind(|committed| committed.id == id))
        .map(|committed| committed.record.generation)
        .sum();
    (made > wanted.max(1) + explained)
        .then(|| format!("object {key} was made {made} times; {wanted} generations want it, {explained} times it was asked for"))
}

/// A process is over before the next one asks for anything.
pub(super) fn one_owner_at_a_time(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for pair in facts.runs.windows(2) {
        if pair[0].ended.is_none_or(|ended| ended > pair[1].began) {
            wrong.push(format!("two processes at {}", pair[1].began));
        }
    }
    for (number, request) in facts.requests.iter().enumerate() {
        let its = facts.runs.iter().rfind(|run| run.client <= request.client);
        let outside = its.is_none_or(|run| {
            request.place < run.began || run.ended.is_some_and(|ended| request.place > ended)
        });
        if outside {
            wrong.push(format!(
                "request {number} is asked by a process that is over"
            ));
        }
    }
    wrong
}

/// A lower limit ends nothing. An act that was begun before it may wait for
/// memory, for the disk or for a silent request, and ask so much later.
const BEGUN_BEFORE: Duration = Duration::from_secs(60);

/// The limits that the process of a request had within that time.
fn in_force<'a>(facts: &'a Facts, request: &'a Request) -> impl Iterator<Item = &'a Limits> {
    let run = facts.runs.iter().rfind(|run| run.client <= request.client);
    let began = run.map_or(0, |run| run.began);
    let of_run = move |limits: &&Limits| limits.place >= began && limits.place <= request.place;
    let is_old = move |limits: &&Limits| limits.at + BEGUN_BEFORE < request.at;
    let old = facts.limits.iter().filter(of_run).rfind(is_old);
    let later = facts.limits.iter().filter(of_run);
    old.into_iter()
        .chain(later.filter(move |limits| !is_old(limits)))
}

/// Requests, parts and open files are at most as many as allowed.
pub(super) fn what_is_in_use_is_bounded(facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let moves: Vec<&Request> = facts
        .requests
        .iter()
        .filter(|request| {
            matches!(
                request.operation,
                Operation::PutObject
                    | Operation::CopyObject
                    | Operation::UploadPart
                    | Operation::UploadPartCopy
                    | Operation::GetObject
            )
        })
        .collect();
    for (number, request) in moves.iter().enumerate() {
        let under_way = |other: &&&Request| {
            other.client == request.client
                && other.end_place.is_none_or(|ended| ended > request.place)
        };
        let others: Vec<_> = moves[..number].iter().filter(under_way).collect();
        let of_key = others
            .iter()
            .filter(|other| other.key == request.key)
            .count();
        let (mut requests, mut parts) = (0, 0);
        for limits in in_force(facts, request) {
            (requests, parts) = (requests.max(limits.requests), parts.max(limits.parts));
        }
        if others.len() + 1 > requests || of_key + 1 > parts {
            let all = others.len() + 1;
            wrong.push(format!(
                "{all} requests at {}, {} of them for {}; {requests} and {parts} are allowed",
                request.place,
                of_key + 1,
                request.key
            ));
        }
    }
    let (most, left) = facts.open_files;
    let allowed = facts.limits.iter().map(|limits| limits.requests).max();
    let allowed = 3 * allowed.unwrap_or(1) + facts.jobs.len();
    if most > allowed || left > 0 {
        wrong.push(format!(
            "{most} files were open at one time, {left} still are"
        ));
    }
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for request in &facts.requests {
        *asked.entry(&request.key).or_default() += 1;
    }
    for (key, times) in asked.into_iter().filter(|(_, times)| *times > 3000) {
        wrong.push(format!("{times} requests for {key}"));
    }
    wrong
}
