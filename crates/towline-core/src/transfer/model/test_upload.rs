//! Transfers for stories, steered in the words of the field.

use std::collections::BTreeMap;

use super::fixtures::{accepted, file, moment, row, size_of};
use crate::transfer::{Action, Command, Event, Found, Item, Step, Transfer};
use crate::{Failure, ObjectIdentity, PartNumber, PartRow, Phase, Temp};

/// An upload, and what S3 has of it.
pub(super) struct TestUpload {
    pub(super) transfer: Transfer,
    pub(super) at_s3: BTreeMap<PartNumber, PartRow>,
    pub(super) last: Step,
}

impl TestUpload {
    pub(super) fn accepted(parts: u32) -> Self {
        let record = accepted(Some(file(0, parts)), true);
        Self {
            transfer: Transfer::load(record, vec![], 1),
            at_s3: BTreeMap::new(),
            last: Step::default(),
        }
    }

    pub(super) fn starting(parts: u32) -> Self {
        let mut upload = Self::accepted(parts);
        upload.event(Event::Started);
        upload
    }

    pub(super) fn with_parts(parts: u32) -> Self {
        let mut upload = Self::starting(parts);
        upload.event(Event::UploadOpened("u".into()));
        upload
    }

    pub(super) fn complete_but_for_the_end(parts: u32) -> Self {
        let mut upload = Self::with_parts(parts);
        for number in upload.parts_offered() {
            upload.land(number);
        }
        assert_eq!(upload.phase(), Phase::Finishing);
        upload
    }

    pub(super) fn event(&mut self, event: Event) {
        self.last = self.transfer.on_event(event, moment(1));
    }

    pub(super) fn command(&mut self, command: Command) {
        self.last = self.transfer.on_command(command, moment(1)).unwrap();
    }

    pub(super) fn phase(&self) -> Phase {
        self.transfer.record().phase
    }

    pub(super) fn start_part(&mut self) -> u32 {
        self.transfer.take_part().unwrap().get()
    }

    pub(super) fn row(&self, number: u32) -> PartRow {
        let number = PartNumber::new(number).unwrap();
        row(self.transfer.record().plan.unwrap(), number, Some("e"))
    }

    pub(super) fn land(&mut self, number: u32) {
        let row = self.row(number);
        self.at_s3.insert(row.number, row.clone());
        self.event(Event::PartMoved(row));
    }

    pub(super) fn part_fails(&mut self, number: u32, failure: Failure) {
        let part = PartNumber::new(number).unwrap();
        self.event(Event::PartFailed { part, failure });
    }

    pub(super) fn act_fails(&mut self, failure: Failure) {
        self.event(Event::ActFailed(failure));
    }

    pub(super) fn wait(&mut self) {
        self.event(Event::WaitOver(Item::Act));
    }

    pub(super) fn is_asked(&self) {
        assert_eq!(self.last.actions, [Action::Reconcile]);
    }

    pub(super) fn s3_tells(&mut self) {
        let (id, parts) = ("u".into(), self.at_s3.values().cloned().collect());
        self.event(Event::Reconciled(Found::Upload { id, parts }));
    }

    pub(super) fn resume(&mut self) {
        self.command(Command::Resume);
        self.event(Event::Started);
        self.is_asked();
        self.s3_tells();
    }

    pub(super) fn parts_offered(&mut self) -> Vec<u32> {
        let parts = std::iter::from_fn(|| self.transfer.take_part());
        parts.map(PartNumber::get).collect()
    }
}

/// A download whose parts are all there, sealed or about to be.
pub(super) fn sealing_download() -> Transfer {
    let mut download = Transfer::load(accepted(None, false), vec![], 1);
    let (name, boot) = ("t".into(), "b".into());
    let found = Event::ObjectFound {
        identity: ObjectIdentity::default(),
        size: size_of(2),
        temp: Temp { name, boot },
        in_one: false,
    };
    let mut happens = |event| drop(download.on_event(event, moment(1)));
    happens(Event::Started);
    happens(found);
    let plan = download.record().plan.unwrap();
    for number in plan.numbers() {
        let _step = download.on_event(Event::PartMoved(row(plan, number, None)), moment(1));
    }
    assert_eq!(download.record().phase, Phase::Sealing);
    download
}
