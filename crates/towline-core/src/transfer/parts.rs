//! Which parts are where: handed out, kept, found again after a doubt.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Found, Item, Step, Transfer};
use crate::{
    After, Change, ErrorRecord, Failure, LocalFailure, Now, ObjectIdentity, Outcome, PartNumber,
    PartPlan, PartRow, Phase, PlanError, Remote, Temp,
};

/// What a killed process or a broken connection had sent may arrive so much later
/// than the first question of whoever looks for it.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);

impl Transfer {
    /// Takes the next part that nobody has, lowest number first; `None` when
    /// there is none now.
    pub fn take_part(&mut self) -> Option<PartNumber> {
        // Thousands of parts are not looked at again for each that is taken.
        while self
            .parts
            .contains_key(&PartNumber::from_index(self.run.moved))
        {
            self.run.moved += 1;
        }
        let next = self.next_part()?;
        self.run.in_flight.insert(next);
        Some(next)
    }

    /// The part that [`take_part`](Self::take_part) would take.
    pub fn next_part(&self) -> Option<PartNumber> {
        if self.record.phase != Phase::Moving || self.run.doubt || !self.run.started {
            return None;
        }
        let plan = self.record.plan?;
        plan.numbers_from(self.run.moved).find(|number| {
            !self.parts.contains_key(number)
                && !self.run.in_flight.contains(number)
                && !self.run.backing_off.contains(number)
        })
    }

    fn remove_part(&mut self, number: PartNumber) -> Option<PartRow> {
        self.run.moved = self.run.moved.min(number.index());
        self.parts.remove(&number)
    }

    /// The parts that are where they belong, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &PartRow> {
        self.parts.values()
    }

    pub(super) fn object_found(
        &mut self,
        step: &mut Step,
        identity: ObjectIdentity,
        plan: Result<PartPlan, PlanError>,
        temp: Temp,
        now: Now,
    ) {
        match plan {
            Ok(plan) => {
                self.change(step, Change::Planned { plan, source: None });
                self.change(step, Change::Remote(Remote::Object(identity, temp)));
                self.succeeded(Item::Act);
                self.proceed(step, now);
            }
            Err(error) => self.unplannable(step, error, now),
        }
    }

    pub(super) fn origin_found(
        &mut self,
        step: &mut Step,
        identity: ObjectIdentity,
        size: u64,
        now: Now,
    ) {
        match PartPlan::for_copy(size, &self.record.spec.options) {
            Ok(plan) => {
                self.change(step, Change::Planned { plan, source: None });
                self.change(step, Change::Origin(identity));
                self.succeeded(Item::Act);
                self.proceed(step, now);
            }
            Err(error) => self.unplannable(step, error, now),
        }
    }

    pub(super) fn keep_part(&mut self, step: &mut Step, row: PartRow, now: Now) {
        self.run.in_flight.remove(&row.number);
        self.succeeded(Item::Part(row.number));
        if !self.is_planned(&row) || self.parts.contains_key(&row.number) {
            return;
        }
        self.parts.insert(row.number, row.clone());
        self.change(step, Change::Parts(vec![row]));
        if self.record.phase != Phase::Moving || self.run.doubt {
            return;
        }
        let all = |plan: PartPlan| !plan.is_open() && self.parts.len() == plan.parts() as usize;
        if self.record.plan.is_some_and(all) {
            self.proceed(step, now);
        } else {
            step.act(Action::OfferParts);
        }
    }

    /// The length of a stream is known now: its last part may be taken, if it
    /// has one that is not moved yet.
    pub(super) fn stream_ended(&mut self, step: &mut Step, part: PartNumber, size: u64, now: Now) {
        self.run.in_flight.remove(&part);
        let open = self.record.plan.filter(PartPlan::is_open);
        if let Some(plan) = open.and_then(|plan| plan.ended(size)) {
            self.change(step, Change::Planned { plan, source: None });
        }
        if !self.run.doubt {
            self.proceed(step, now);
        }
    }

    fn is_planned(&self, row: &PartRow) -> bool {
        self.record
            .plan
            .is_some_and(|plan| row.number.get() <= plan.parts() && row.len == plan.len(row.number))
    }

    pub(super) fn reconciled(&mut self, step: &mut Step, found: Found, now: Now) {
        if !self.run.doubt {
            return;
        }
        if let Found::Unseen = found
            && let Some(wait) = self.run.late.next_wait()
        {
            return self.look_again(step, wait / 2, wait);
        }
        if let Found::Nothing = found
            && self.is_first_look()
        {
            return self.look_again(step, ARRIVES_WITHIN, ARRIVES_WITHIN);
        }
        self.run.doubt = false;
        self.run.looked = false;
        let exhausted = self.run.exhausted.take();
        match found {
            Found::Nothing => {
                if self.record.asked.is_some() {
                    self.change(step, Change::Asked(None));
                }
                self.try_again(step, exhausted, now);
            }
            Found::Upload { id, parts } => {
                self.run.late.look_from_the_start();
                let open = Remote::Upload(id);
                let known = self.record.remote.as_ref() == Some(&open);
                if !known {
                    self.change(step, Change::Remote(open));
                } else if self.record.asked.is_some() {
                    self.change(step, Change::Asked(None));
                }
                self.replace_parts(step, parts);
                // One that was not known is what the last attempt had opened.
                self.try_again(step, exhausted.filter(|_| known), now);
            }
            // A sealed file that lacks bytes is not the one that was proven.
            Found::Temp { lost } if self.record.sealed.is_none() || lost.is_empty() => {
                let lost = lost
                    .iter()
                    .filter_map(|number| self.remove_part(*number))
                    .collect();
                self.drop_rows(step, lost);
                self.proceed(step, now);
            }
            Found::Landed(proof) => self.complete(step, proof, now),
            Found::Gone | Found::Unseen | Found::Temp { .. } => {
                let failure: Failure = match &self.record.remote {
                    Some(Remote::Upload(id)) => {
                        let mut gone = crate::S3Error::new(
                            crate::Operation::ListParts,
                            crate::S3ErrorKind::Answer,
                            format!("the upload {id} is gone"),
                        );
                        gone.status = Some(404);
                        gone.code = Some("NoSuchUpload".into());
                        gone.into()
                    }
                    _ => {
                        let path = self.record.spec.path.display().to_string();
                        LocalFailure::TempGone { path }.into()
                    }
                };
                self.restart(step, ErrorRecord::of(&failure, 1), now);
            }
            Found::Conflict(failure) => {
                let lost = std::mem::take(&mut self.parts).into_values().collect();
                self.drop_rows(step, lost);
                let conflict = Change::Ended {
                    outcome: Outcome::Conflict,
                    proof: None,
                };
                self.change(step, conflict);
                self.fail(step, ErrorRecord::of(&failure, 1), now);
            }
        }
    }

    /// Asks once more after a while. What is in doubt stays so.
    fn look_again(&mut self, step: &mut Step, at_least: Duration, up_to: Duration) {
        self.run.act_backing_off = true;
        step.act(Action::Wait {
            item: Item::Act,
            up_to,
            at_least,
        });
    }

    /// Nothing is left of it, as far as S3 shows.
    pub(super) fn nothing_is_left(&mut self, step: &mut Step, after: After, now: Now) {
        if self.is_first_look() {
            return self.look_again(step, ARRIVES_WITHIN, ARRIVES_WITHIN);
        }
        self.run.looked = false;
        self.discarded(step, after, now);
    }

    /// Whether it was looked for the upload of a lost Create, and once only.
    fn is_first_look(&mut self) -> bool {
        self.asked_to_open() && !std::mem::replace(&mut self.run.looked, true)
    }

    /// The request in question had no effect: once more, unless that was the
    /// last attempt.
    fn try_again(&mut self, step: &mut Step, exhausted: Option<ErrorRecord>, now: Now) {
        match exhausted {
            Some(error) => self.give_up(step, error, now),
            None => self.proceed(step, now),
        }
    }

    /// What S3 lists is the truth; the recorded rows are a cache of it.
    fn replace_parts(&mut self, step: &mut Step, listed: Vec<PartRow>) {
        let mut listed: BTreeMap<PartNumber, PartRow> =
            listed.into_iter().map(|row| (row.number, row)).collect();
        listed.retain(|_, row| self.is_planned(row));
        let stale = |row: &PartRow| listed.get(&row.number).is_none_or(|there| there != row);
        let lost: Vec<PartRow> = self
            .parts
            .values()
            .filter(|row| stale(row))
            .cloned()
            .collect();
        for row in &lost {
            self.remove_part(row.number);
        }
        self.drop_rows(step, lost);
        listed.retain(|number, _| !self.parts.contains_key(number));
        if !listed.is_empty() {
            let new: Vec<PartRow> = listed.values().cloned().collect();
            self.parts.append(&mut listed);
            self.change(step, Change::Parts(new));
        }
    }

    fn drop_rows(&mut self, step: &mut Step, lost: Vec<PartRow>) {
        if !lost.is_empty() {
            self.change(step, Change::PartsLost(lost));
        }
    }
}
