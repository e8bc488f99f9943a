//! What must hold after every step of every history.

use std::collections::BTreeMap;

use super::world::{World, version_of};
use crate::transfer::table;
use crate::transfer::{Command, Step, Transfer};
use crate::{After, Change, PartNumber, PartPlan, PartRow, Phase, Record, State};

type Stored = (Record, BTreeMap<PartNumber, PartRow>);

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Checks {
    /// The fold of all changes.
    folded: Stored,
    /// The plan of this generation.
    plan: Option<PartPlan>,
    before: Option<(Record, State)>,
}

/// Applies a change as a store does.
pub(super) fn apply((record, parts): &mut Stored, change: &Change) {
    record.apply(change);
    match change {
        Change::Parts(rows) => {
            for row in rows {
                let old = parts.insert(row.number, row.clone());
                assert_eq!(old, None, "recorded twice");
            }
        }
        Change::PartsLost(rows) => {
            for row in rows {
                let old = parts.remove(&row.number);
                assert_eq!(old.as_ref(), Some(row), "lost, but not recorded so");
            }
        }
        change if change.drops_parts() => parts.clear(),
        _ => {}
    }
}

/// A command is refused only where it would mean nothing.
pub(super) fn may_refuse(command: Command, record: &Record) {
    let holds = record.remote.is_some() || record.asked.is_some();
    let fits = match (command, record.phase) {
        (Command::Pause | Command::Resume, phase) => !phase.is_final(),
        (Command::Cancel, Phase::Failed) => holds,
        (_, phase) => phase != Phase::Completed,
    };
    assert!(!fits, "{command:?} was refused in {:?}", record.phase);
}

impl Checks {
    pub(super) fn new(record: Record) -> Self {
        Self {
            folded: (record, BTreeMap::new()),
            plan: None,
            before: None,
        }
    }

    pub(super) fn before(&mut self, transfer: &Transfer) {
        self.before = Some((transfer.record().clone(), transfer.status().state));
    }

    pub(super) fn after_command(&mut self, transfer: &Transfer, step: &Step) {
        let (before, _) = self.before.clone().unwrap();
        self.after(transfer, step);
        assert!(!lowers(&before, transfer.record()) || is_discarded(step));
        if transfer.record().phase == Phase::Canceled && before.phase != Phase::Canceled {
            let held = before.remote.is_some() || before.asked.is_some();
            assert!(!held, "canceled before anything was discarded");
        }
        if let Phase::Discarding(After::Cancel | After::Fail) = before.phase {
            let next = [before.phase, Phase::Discarding(After::Cancel)];
            assert!(next.contains(&transfer.record().phase), "no way back");
        }
    }

    pub(super) fn after_event(
        &mut self,
        transfer: &Transfer,
        step: &Step,
        cause: &str,
        world: &World,
    ) {
        let (before, _) = self.before.clone().unwrap();
        self.after(transfer, step);
        let record = transfer.record();
        if before.phase.is_final() {
            assert!(step.is_empty(), "{cause} led out of {:?}", before.phase);
            return;
        }
        if lowers(&before, record) && !is_discarded(step) {
            let lost = step
                .changes
                .iter()
                .any(|c| matches!(c, Change::PartsLost(_)));
            assert!(
                lost && cause.starts_with("Reconciled"),
                "{cause} lost progress"
            );
        }
        let discarding = matches!(before.phase, Phase::Discarding(_));
        match record.phase {
            Phase::Completed => {
                let version = version_of(record).unwrap();
                assert!(
                    world.has_landed(version),
                    "completed, and not there: {world:#?}"
                );
            }
            Phase::Canceled => assert_eq!(before.phase, Phase::Discarding(After::Cancel)),
            Phase::Failed => assert!(record.error.is_some(), "failed without saying why"),
            _ => {}
        }
        if discarding && cause != "Discarded" && !cause.starts_with("Finished") {
            let kept = [before.phase, Phase::Failed].contains(&record.phase);
            assert!(kept, "{cause} led out of {:?}", before.phase);
        }
        let holds = record.remote.is_some() || record.asked.is_some();
        if record.phase.is_final() && !holds {
            assert!(world.is_clean(), "left behind: {world:#?}");
        }
        assert!(world.uploads.len() <= 1, "two open uploads: {world:#?}");
    }

    fn after(&mut self, transfer: &Transfer, step: &Step) {
        let (before, state) = self.before.take().unwrap();
        for change in &step.changes {
            apply(&mut self.folded, change);
        }
        self.equal(transfer);
        let record = transfer.record();
        if record.generation != before.generation {
            assert_eq!(record.generation, before.generation + 1);
            self.plan = None;
        }
        if self.plan.is_some() {
            assert_eq!(record.plan, self.plan, "the plan changed");
        }
        self.plan = record.plan;
        let now = transfer.status().state;
        let documented = state == now || table::is_documented(state, now);
        assert!(documented, "{state} became {now}, which is not documented");
    }

    fn equal(&self, transfer: &Transfer) {
        let (record, parts) = &self.folded;
        assert_eq!(transfer.record(), record);
        assert!(transfer.parts().eq(parts.values()));
        let total = record.plan.map_or(u64::MAX, |plan| plan.size());
        assert!(record.bytes_done <= total, "more than all");
        if record.phase != Phase::Completed {
            let sum: u64 = parts.values().map(|row| row.len).sum();
            assert_eq!(record.bytes_done, sum);
        }
    }

    /// What was committed is what the transfer believes.
    pub(super) fn durable(&self, transfer: &Transfer, durable: &Stored) {
        assert_eq!(durable, &self.folded);
        self.equal(transfer);
    }

    /// Forgets what was never committed.
    pub(super) fn reload(&mut self, record: &Record, parts: &BTreeMap<PartNumber, PartRow>) {
        self.folded = (record.clone(), parts.clone());
        self.plan = record.plan;
    }
}

/// Whether progress went down within a generation.
fn lowers(before: &Record, after: &Record) -> bool {
    before.generation == after.generation && after.bytes_done < before.bytes_done
}

fn is_discarded(step: &Step) -> bool {
    step.changes.contains(&Change::Discarded)
}
