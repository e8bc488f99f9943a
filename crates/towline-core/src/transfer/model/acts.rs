//! The acts of the engine in miniature, and how they end.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::fixtures::{self, lost, offline, refused};
use super::world::{Sent, listed, version_of};
use crate::transfer::Event;
use crate::{
    Direction, Failure, ObjectIdentity, Operation, PartNumber, PartRow, Record, Remote, Request,
    Temp,
};

/// How an act ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Succeeds,
    /// The answer is lost.
    Lost(Applied),
    Refused(Refusal),
}

/// What becomes of a request whose answer is lost.
#[derive(Clone, Copy, Debug)]
pub(super) enum Applied {
    Yes,
    No,
    Late,
}

/// One failure of each class.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    InternalError,
    SlowDown,
    Offline,
    ExpiredToken,
    Skewed,
    Denied,
    NoSuchBucket,
    NoSuchUpload,
    Conflict,
    DiskFull,
    WrongBytes,
}

/// What the engine is at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    Part(PartNumber),
    Act(Act),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Inspect,
    Prepare,
    Reconcile,
    Seal,
    Finish,
    Discard,
}

impl Engine {
    /// Does it to the world, and tells what a worker would report.
    pub(super) fn perform(&mut self, what: What, how: How) -> Event {
        let (record, parts) = self.durable.clone();
        let upload = record.spec.direction == Direction::Upload;
        let failed = match how {
            How::Refused(refusal) => Some(failure(refusal, operation(what, &record), upload)),
            _ => None,
        };
        let stale = version_of(&record).is_some_and(|version| version != self.world.version);
        match what {
            What::Part(part) => {
                let moved = match failed {
                    Some(failure) => Err(failure),
                    None if stale => Err(fixtures::source_changed()),
                    None if upload => self.send_part(&record, part, how),
                    None => {
                        self.world.write(part, self.world.version);
                        Ok(None)
                    }
                };
                match (moved, record.plan) {
                    (Ok(etag), Some(plan)) if record.remote.is_some() => {
                        Event::PartMoved(fixtures::row(plan, part, etag.as_deref()))
                    }
                    (Ok(_), _) => Event::Finished(fixtures::proof()),
                    (Err(failure), _) => Event::PartFailed { part, failure },
                }
            }
            What::Act(act) => {
                let done = match failed {
                    Some(failure) => Err(failure),
                    None => self.act(act, &record, &parts, how),
                };
                done.unwrap_or_else(Event::ActFailed)
            }
        }
    }

    fn send_part(
        &mut self,
        record: &Record,
        number: PartNumber,
        how: How,
    ) -> Result<Option<String>, Failure> {
        let version = self.world.version;
        let (sent, operation) = match &record.remote {
            Some(Remote::Upload(id)) => {
                let upload = id.clone();
                (
                    Sent::Part {
                        upload,
                        number,
                        version,
                    },
                    Operation::UploadPart,
                )
            }
            _ => (Sent::Put { version }, Operation::PutObject),
        };
        self.send(sent, operation, how).map(Some)
    }

    fn send(&mut self, sent: Sent, operation: Operation, how: How) -> Result<String, Failure> {
        match how {
            How::Lost(applied) => {
                match applied {
                    // Whatever came of it, its answer is lost.
                    Applied::Yes => drop(self.world.apply(sent)),
                    // Create has no late twin: nothing could tell whose it is.
                    Applied::Late if operation != Operation::CreateMultipartUpload => {
                        self.world.late.push(sent);
                    }
                    Applied::Late | Applied::No => {}
                }
                Err(lost(operation))
            }
            _ => self.world.apply(sent),
        }
    }

    fn act(
        &mut self,
        act: Act,
        record: &Record,
        parts: &BTreeMap<PartNumber, PartRow>,
        how: How,
    ) -> Result<Event, Failure> {
        let upload = record.spec.direction == Direction::Upload;
        let version = version_of(record);
        match act {
            Act::Inspect => Ok(Event::Inspected(self.world.source())),
            Act::Prepare if upload => {
                let opened = self.send(Sent::Create, Operation::CreateMultipartUpload, how)?;
                Ok(Event::UploadOpened(opened))
            }
            Act::Prepare => {
                let identity = ObjectIdentity {
                    etag: Some(self.world.version.to_string()),
                    ..ObjectIdentity::default()
                };
                let temp = Temp {
                    name: "t".into(),
                    boot: "b".into(),
                };
                Ok(Event::ObjectFound {
                    identity,
                    size: self.world.source().size,
                    temp,
                    in_one: false,
                })
            }
            Act::Reconcile => match how {
                How::Lost(_) => Err(lost(Operation::ListParts)),
                _ => Ok(Event::Reconciled(self.world.look(record, parts))),
            },
            Act::Seal => {
                let version = version.unwrap();
                self.world.prove(version)?;
                Ok(Event::Sealed(self.world.sync(version)))
            }
            Act::Finish if upload => {
                if version != Some(self.world.version) {
                    return Err(fixtures::source_changed());
                }
                let Some(Remote::Upload(id)) = &record.remote else {
                    panic!("no upload")
                };
                let sent = Sent::Complete {
                    upload: id.clone(),
                    parts: listed(parts),
                };
                self.send(sent, Operation::CompleteMultipartUpload, how)?;
                Ok(Event::Finished(fixtures::proof()))
            }
            Act::Finish => {
                self.world.rename()?;
                Ok(Event::Finished(fixtures::proof()))
            }
            Act::Discard => self.discard(record, how),
        }
    }

    fn discard(&mut self, record: &Record, how: How) -> Result<Event, Failure> {
        if let How::Lost(Applied::No | Applied::Late) = how {
            return Err(lost(Operation::AbortMultipartUpload));
        }
        // It waits out requests that may yet be applied.
        for sent in std::mem::take(&mut self.world.late) {
            drop(self.world.apply(sent));
        }
        let completing = record
            .asked
            .is_some_and(|asked| asked.request == Request::Complete);
        let open = match &record.remote {
            Some(Remote::Upload(id)) => self.world.uploads.remove(id).is_some(),
            _ => {
                self.world.uploads.clear();
                self.world.temp = None;
                true
            }
        };
        let version = version_of(record);
        let landed = completing && version.is_some_and(|version| self.world.has_landed(version));
        match how {
            How::Lost(_) => Err(lost(Operation::AbortMultipartUpload)),
            _ if landed && !open => Ok(Event::Finished(fixtures::proof())),
            _ => Ok(Event::Discarded),
        }
    }
}

fn operation(what: What, record: &Record) -> Operation {
    let upload = record.spec.direction == Direction::Upload;
    match what {
        What::Part(_) if !upload => Operation::GetObject,
        What::Part(_) if record.remote.is_some() => Operation::UploadPart,
        What::Part(_) => Operation::PutObject,
        What::Act(Act::Prepare) if upload => Operation::CreateMultipartUpload,
        What::Act(Act::Finish) if upload => Operation::CompleteMultipartUpload,
        What::Act(Act::Discard) if upload => Operation::AbortMultipartUpload,
        What::Act(Act::Reconcile) if upload => Operation::ListParts,
        What::Act(_) => Operation::HeadObject,
    }
}

fn failure(refusal: Refusal, operation: Operation, upload: bool) -> Failure {
    let multipart = matches!(
        operation,
        Operation::UploadPart | Operation::CompleteMultipartUpload
    );
    match refusal {
        Refusal::SlowDown => refused(operation, 503, "SlowDown"),
        Refusal::Offline => offline(operation),
        Refusal::ExpiredToken => refused(operation, 400, "ExpiredToken"),
        Refusal::Skewed => refused(operation, 403, "RequestTimeTooSkewed"),
        Refusal::Denied => refused(operation, 403, "AccessDenied"),
        Refusal::NoSuchBucket => refused(operation, 404, "NoSuchBucket"),
        Refusal::NoSuchUpload if multipart => refused(operation, 404, "NoSuchUpload"),
        Refusal::Conflict if multipart => refused(operation, 409, "OperationAborted"),
        Refusal::DiskFull if !upload => fixtures::disk_full(),
        Refusal::WrongBytes if !upload => fixtures::wrong_bytes(),
        _ => refused(operation, 500, "InternalError"),
    }
}
