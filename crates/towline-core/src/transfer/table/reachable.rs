//! All that can become of a transfer: every event and command that makes sense,
//! in every situation that earlier ones can lead to.

use std::collections::HashSet;
use std::time::Duration;

use super::{STATES, Table};
use crate::transfer::model::fixtures::{
    accepted, accepted_copy, accepted_stream, file, lost, moment, offline, proof, refused, row,
    size_of, source_changed,
};
use crate::transfer::{Command, Event, Found, Item, RESTART_LIMIT, Step, Transfer};
use crate::{
    Direction, Failure, ObjectIdentity, Operation, Outcome, PartNumber, PartPlan, PartRow, Phase,
    Record, Remote, Request, Temp,
};

/// An open plan has 10,000 parts; so many of them show all that can happen.
const STREAM_PARTS: usize = 2;

/// One failure is forgiven, so that both sides of the limit are seen.
const RETRY_LIMIT: u32 = 1;

#[derive(Default)]
pub(super) struct Reachable {
    pub(super) table: Table,
    known: HashSet<String>,
    open: Vec<Transfer>,
}

impl Reachable {
    pub(super) fn explore() -> Self {
        let mut all = Self::default();
        for source in [Some(file(0, 1)), Some(file(0, 2)), None] {
            all.reach(load(accepted(source, true), vec![]));
        }
        all.reach(load(accepted_stream(), vec![]));
        all.reach(load(accepted_copy(), vec![]));
        while let Some(transfer) = all.open.pop() {
            assert!(all.known.len() < 50_000, "there is no end to it");
            all.leave(&transfer);
        }
        all
    }

    fn reach(&mut self, transfer: Transfer) {
        if self.known.insert(situation(&transfer)) {
            self.open.push(transfer);
        }
    }

    /// Everything that may happen next.
    fn leave(&mut self, from: &Transfer) {
        for (name, event) in events(from) {
            let mut to = from.clone();
            let step = to.on_event(event, moment(1));
            if step != Step::default() {
                self.note(from, &name, &to);
            }
            self.reach(to);
        }
        for command in Command::ALL {
            let mut to = from.clone();
            if let Ok(_step) = to.on_command(command, moment(1)) {
                let name = format!("{command:?}");
                let name = name.split('(').next().unwrap_or_default();
                self.note(from, name, &to);
                self.reach(to);
            }
        }
        let mut taken = from.clone();
        let all = from.run.in_flight.len() + from.parts.len() < STREAM_PARTS;
        if all || !is_open(from) {
            taken.take_part();
        }
        self.note_state(from, &taken);
        self.reach(taken);
        let parts = from.parts.values().cloned().collect();
        self.reach(load(from.record.clone(), parts));
    }

    fn note(&mut self, from: &Transfer, on: &str, to: &Transfer) {
        let key = (name(from.record.phase), on.to_string());
        let next = name(to.record.phase);
        self.table.entry(key).or_default().insert(next);
        self.note_state(from, to);
    }

    fn note_state(&mut self, from: &Transfer, to: &Transfer) {
        let (from, to) = (from.status().state, to.status().state);
        if from != to {
            let key = (STATES.to_string(), from.to_string());
            self.table.entry(key).or_default().insert(to.to_string());
        }
    }
}

/// One that looks once for what may come late.
fn load(record: Record, parts: Vec<PartRow>) -> Transfer {
    Transfer::load(record, parts, RETRY_LIMIT).with_late_limit(Duration::from_millis(1))
}

fn name(phase: Phase) -> String {
    match phase {
        Phase::Parked(_) => "Parked".into(),
        phase => format!("{phase:?}"),
    }
}

/// What of a transfer decides how it goes on.
fn situation(transfer: &Transfer) -> String {
    let (record, run) = (&transfer.record, &transfer.run);
    let stored = (
        record.phase,
        record.asked.map(|asked| asked.request),
        record.remote.is_some(),
        record.sealed.is_some(),
        record.plan.map(|plan| plan.parts()),
        record.source.is_some(),
        record.error.is_some(),
    );
    let costly = run
        .strikes
        .iter()
        .map(|(item, strikes)| (*item, strikes.strikes.min(1)));
    let costly: Vec<_> = costly.filter(|(_, costly)| *costly > 0).collect();
    let volatile = (
        (
            run.started,
            run.doubt,
            run.act_backing_off,
            run.looked,
            run.exhausted.is_some(),
            run.late.clone().next_wait().is_some(),
        ),
        (
            &run.in_flight,
            &run.backing_off,
            costly,
            run.restarts.min(RESTART_LIMIT),
        ),
        transfer.parts.keys().collect::<Vec<_>>(),
    );
    let kind = (
        record.spec.direction,
        record.spec.is_stream(),
        is_open(transfer),
    );
    format!("{kind:?} {stored:?} {volatile:?}")
}

/// The act that an engine would be at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Inspect,
    Prepare,
    Reconcile,
    Seal,
    Finish,
    Discard,
}

fn act(transfer: &Transfer) -> Option<Act> {
    let (record, run) = (&transfer.record, &transfer.run);
    if !run.started || run.act_backing_off {
        return None;
    }
    match record.phase {
        phase if !phase.runs() => None,
        Phase::Discarding(_) => Some(Act::Discard),
        _ if run.doubt => Some(Act::Reconcile),
        Phase::Preparing if record.plan.is_none() && is_upload(transfer) => Some(Act::Inspect),
        Phase::Preparing => Some(Act::Prepare),
        Phase::Sealing => Some(Act::Seal),
        Phase::Finishing => Some(Act::Finish),
        _ => None,
    }
}

fn is_open(transfer: &Transfer) -> bool {
    transfer.record.plan.is_some_and(|plan| plan.is_open())
}

fn is_upload(transfer: &Transfer) -> bool {
    transfer.record.spec.direction.makes_object()
}

/// What may happen now, by its name on the page.
fn events(transfer: &Transfer) -> Vec<(String, Event)> {
    let (record, run) = (&transfer.record, &transfer.run);
    let mut events = Vec::new();
    let mut may = |name: &str, event| events.push((name.to_string(), event));
    if !run.started && record.phase != Phase::Paused {
        may("Started", Event::Started);
    }
    if let Phase::Parked(_) = record.phase {
        may("Unparked", Event::Unparked);
    }
    may("Barred", Event::Barred);
    if run.started {
        let failure = offline(Operation::HeadObject);
        may("Unreachable", Event::Unreachable(failure));
    }
    if run.act_backing_off {
        may("WaitOver", Event::WaitOver(Item::Act));
    }
    for part in &run.backing_off {
        may("WaitOver", Event::WaitOver(Item::Part(*part)));
    }
    let asked = record.asked.map(|asked| asked.request);
    if transfer.asked_to_open() {
        may("UploadOpened", Event::UploadOpened("u".into()));
    }
    for part in rows(transfer) {
        let late = run.doubt && record.remote.is_some();
        if transfer.parts.contains_key(&part.number) {
            continue;
        }
        if run.in_flight.contains(&part.number) {
            for failure in failures(part_operation(transfer)) {
                let part = part.number;
                may("PartFailed", Event::PartFailed { part, failure });
            }
            if is_open(transfer) {
                let (part, size) = (part.number, part.len + size_of(1));
                may("StreamEnded", Event::StreamEnded { part, size });
            }
        } else if !late {
            continue;
        }
        match asked {
            Some(Request::Put) => may("Finished", Event::Finished(proof())),
            _ => may("PartMoved", Event::PartMoved(part)),
        }
    }
    let Some(act) = act(transfer) else {
        return events;
    };
    match act {
        Act::Inspect if record.spec.direction == Direction::Copy => {
            may("OriginFound", origin_found(1));
            may("OriginFound", origin_found(2));
        }
        Act::Inspect if record.spec.is_stream() => {
            may("Inspected", Event::Inspected(file(1, 1)));
            let open = PartPlan::open(None, None).unwrap();
            may("StreamBegun", Event::StreamBegun(open));
        }
        Act::Inspect => {
            may("Inspected", Event::Inspected(file(1, 1)));
            may("Inspected", Event::Inspected(file(1, 2)));
        }
        Act::Prepare if is_upload(transfer) => {}
        Act::Prepare => {
            may("ObjectFound", object_found());
            may("Spared", Event::Spared(Outcome::NotModified));
            let (size, proof) = (size_of(1), proof());
            may("Fetched", Event::Fetched { size, proof });
        }
        Act::Reconcile => {
            for (name, found) in found(transfer) {
                may(&format!("Reconciled({name})"), Event::Reconciled(found));
            }
        }
        Act::Seal => may("Sealed", Event::Sealed(file(1, 2).into())),
        Act::Finish => may("Finished", Event::Finished(proof())),
        Act::Discard => {
            may("Discarded", Event::Discarded);
            if asked == Some(Request::Complete) {
                may("Finished", Event::Finished(proof()));
            }
        }
    }
    for failure in failures(operation(act, transfer)) {
        may("ActFailed", Event::ActFailed(failure));
    }
    events
}

/// The object to copy, cut by the part size that was asked for.
fn origin_found(parts: u32) -> Event {
    let (identity, size) = (ObjectIdentity::default(), size_of(parts));
    Event::OriginFound { identity, size }
}

fn object_found() -> Event {
    let (name, boot) = ("t".into(), "b".into());
    Event::ObjectFound {
        identity: ObjectIdentity::default(),
        size: size_of(2),
        temp: Temp { name, boot },
        in_one: false,
    }
}

/// Every part, as it would be recorded.
fn rows(transfer: &Transfer) -> Vec<PartRow> {
    let Some(plan) = transfer.record.plan else {
        return vec![];
    };
    let seen = if plan.is_open() {
        STREAM_PARTS
    } else {
        usize::MAX
    };
    plan.numbers()
        .take(seen)
        .map(|number| row(plan, number, None))
        .collect()
}

/// What may be found of a transfer in doubt.
fn found(transfer: &Transfer) -> Vec<(&'static str, Found)> {
    let record = &transfer.record;
    let upload = |parts| {
        (
            "Upload",
            Found::Upload {
                id: "u".into(),
                parts,
            },
        )
    };
    let landed = || ("Landed", Found::Landed(proof()));
    let conflict = refused(Operation::PutObject, 412, "PreconditionFailed");
    let conflict = ("Conflict", Found::Conflict(conflict));
    match (&record.remote, record.asked.map(|asked| asked.request)) {
        (None, Some(Request::Put)) => vec![("Nothing", Found::Nothing), landed(), conflict],
        (None, Some(_)) => vec![("Nothing", Found::Nothing), upload(vec![])],
        (None, None) => vec![("Nothing", Found::Nothing)],
        (Some(Remote::Upload(_)), asked) => {
            let mut found = vec![upload(vec![]), upload(rows(transfer))];
            if asked == Some(Request::Complete) {
                found.extend([landed(), conflict, ("Unseen", Found::Unseen)]);
            } else {
                found.push(("Gone", Found::Gone));
            }
            found
        }
        (Some(Remote::Object(..)), _) => {
            let temp = |lost| ("Temp", Found::Temp { lost });
            let recorded: Vec<PartNumber> = transfer.parts.keys().copied().collect();
            let mut found = vec![temp(vec![]), ("Gone", Found::Gone)];
            if !recorded.is_empty() {
                found.push(temp(recorded));
            }
            if record.sealed.is_some() {
                found.push(landed());
            }
            found
        }
    }
}

/// One failure for each reaction.
fn failures(operation: Operation) -> Vec<Failure> {
    let mut failures = vec![
        refused(operation, 400, "RequestTimeout"),
        refused(operation, 400, "ExpiredToken"),
        refused(operation, 403, "AccessDenied"),
        refused(operation, 404, "NoSuchBucket"),
        offline(operation),
    ];
    if operation.is_ambiguous_when_lost() {
        failures.push(lost(operation));
    }
    if operation != Operation::AbortMultipartUpload {
        failures.push(source_changed());
    }
    failures
}

fn part_operation(transfer: &Transfer) -> Operation {
    match (is_upload(transfer), &transfer.record.remote) {
        (true, Some(_)) => Operation::UploadPart,
        (true, None) => Operation::PutObject,
        (false, _) => Operation::GetObject,
    }
}

fn operation(act: Act, transfer: &Transfer) -> Operation {
    match act {
        Act::Prepare if is_upload(transfer) => Operation::CreateMultipartUpload,
        Act::Finish if is_upload(transfer) => Operation::CompleteMultipartUpload,
        Act::Discard => Operation::AbortMultipartUpload,
        _ => Operation::HeadObject,
    }
}
