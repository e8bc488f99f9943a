//! What S3 and the disk really have, for a single transfer: a reference that
//! keeps versions of content instead of bytes and never misses a request.

use std::collections::BTreeMap;

use super::fixtures;
use crate::{Failure, FileIdentity, Fingerprint, Found, Operation, PartNumber, Record, Remote};
use crate::{PartRow, Request};

/// Each part of a file or object, by the version of the source it is of.
pub(super) type Content = BTreeMap<PartNumber, u32>;

/// The outside of one transfer.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Parts of version 0 of the source; others have more or fewer.
    first_parts: u32,
    /// Which version the source has now: a file here, or an object at S3.
    pub(super) version: u32,
    /// Uploads: only where no object is yet.
    if_absent: bool,
    /// Uploads: the object at the key.
    pub(super) object: Option<Content>,
    /// Multipart uploads that are open, with the ETag and version of each part.
    pub(super) uploads: BTreeMap<String, BTreeMap<PartNumber, (String, u32)>>,
    /// Downloads: the temporary file.
    pub(super) temp: Option<Content>,
    /// Downloads: the final file.
    pub(super) target: Option<Content>,
    /// Whether power loss would cost bytes of the temporary file.
    synced: bool,
    /// Requests that were cut off and may be applied yet.
    pub(super) late: Vec<Sent>,
    vanished: bool,
    names: u32,
}

/// A request with an effect at S3.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Create,
    Put {
        version: u32,
    },
    Part {
        upload: String,
        number: PartNumber,
        version: u32,
    },
    Complete {
        upload: String,
        parts: Vec<(PartNumber, String)>,
    },
}

impl World {
    pub(super) fn new(first_parts: u32, taken: bool) -> Self {
        let foreign = Content::from([(PartNumber::FIRST, u32::MAX)]);
        Self {
            first_parts,
            if_absent: taken,
            object: taken.then_some(foreign),
            ..Self::default()
        }
    }

    /// The source, or the object to download, in its present version.
    pub(super) fn source(&self) -> Fingerprint {
        fixtures::file(self.version, self.parts_of(self.version))
    }

    fn parts_of(&self, version: u32) -> u32 {
        (self.first_parts - 1 + version) % 6 + 1
    }

    /// All bytes of one version.
    pub(super) fn whole(&self, version: u32) -> Content {
        let numbers = (0..self.parts_of(version)).map(PartNumber::from_index);
        numbers.map(|number| (number, version)).collect()
    }

    /// Whether nothing of the transfer is left that it would have to remove.
    pub(super) fn is_clean(&self) -> bool {
        self.uploads.is_empty() && self.temp.is_none()
    }

    /// S3 acts on a request. Gives the upload's name, or the part's ETag.
    pub(super) fn apply(&mut self, sent: Sent) -> Result<String, Failure> {
        self.names += 1;
        let name = format!("{}", self.names);
        match sent {
            Sent::Create => drop(self.uploads.insert(name.clone(), BTreeMap::new())),
            Sent::Put { version } => {
                self.may_replace(Operation::PutObject)?;
                self.object = Some(self.whole(version));
            }
            // The ETag is new each time, as it is with encryption.
            Sent::Part {
                upload,
                number,
                version,
            } => {
                let open = self.open(&upload, Operation::UploadPart)?;
                open.insert(number, (name.clone(), version));
            }
            Sent::Complete { upload, parts } => {
                let open = self
                    .open(&upload, Operation::CompleteMultipartUpload)?
                    .clone();
                let known = |(number, etag): &(PartNumber, String)| {
                    open.get(number).is_some_and(|(there, _)| there == etag)
                };
                if !parts.iter().all(known) {
                    let operation = Operation::CompleteMultipartUpload;
                    return Err(fixtures::refused(operation, 400, "InvalidPart"));
                }
                self.may_replace(Operation::CompleteMultipartUpload)?;
                let numbers = parts.into_iter().map(|(number, _)| number);
                self.object = Some(numbers.map(|number| (number, open[&number].1)).collect());
                self.uploads.remove(&upload);
            }
        }
        Ok(name)
    }

    fn open(
        &mut self,
        upload: &str,
        operation: Operation,
    ) -> Result<&mut BTreeMap<PartNumber, (String, u32)>, Failure> {
        let gone = || fixtures::refused(operation, 404, "NoSuchUpload");
        self.uploads.get_mut(upload).ok_or_else(gone)
    }

    fn may_replace(&self, operation: Operation) -> Result<(), Failure> {
        if self.if_absent && self.object.is_some() {
            return Err(fixtures::refused(operation, 412, "PreconditionFailed"));
        }
        Ok(())
    }

    /// Downloads: a part is written into the temporary file.
    pub(super) fn write(&mut self, number: PartNumber, version: u32) {
        self.temp.get_or_insert_default().insert(number, version);
        self.synced = false;
    }

    /// Downloads: everything is on the disk now. The file is told by the
    /// version of its content, as by its inode.
    pub(super) fn sync(&mut self, version: u32) -> FileIdentity {
        self.synced = true;
        self.source_of(version).into()
    }

    fn source_of(&self, version: u32) -> Fingerprint {
        fixtures::file(version, self.parts_of(version))
    }

    /// Downloads: all bytes are there and right. Unless somebody meddled with
    /// the file, nothing else may be sealed.
    pub(super) fn prove(&self, version: u32) -> Result<(), Failure> {
        if self.temp == Some(self.whole(version)) {
            return Ok(());
        }
        assert!(self.vanished, "torn: {:?}", self.temp);
        Err(fixtures::temp_gone())
    }

    pub(super) fn rename(&mut self) -> Result<(), Failure> {
        self.target = Some(self.temp.take().ok_or_else(fixtures::temp_gone)?);
        Ok(())
    }

    /// The machine lost power: bytes that were not synced are gone.
    pub(super) fn lose_power(&mut self) {
        if !self.synced
            && let Some(temp) = &mut self.temp
        {
            temp.clear();
        }
    }

    /// Somebody else cleans up.
    pub(super) fn vanish(&mut self) {
        self.uploads.clear();
        self.temp = None;
        self.vanished = true;
    }

    /// Whether the object, or the final file, is whole and of this version.
    pub(super) fn has_landed(&self, version: u32) -> bool {
        let whole = Some(self.whole(version));
        self.object == whole || self.target == whole
    }

    /// What an honest engine finds when it asks about a transfer in doubt.
    pub(super) fn look(&self, record: &Record, parts: &BTreeMap<PartNumber, PartRow>) -> Found {
        let asked = record.asked.map(|asked| asked.request);
        let writes = matches!(asked, Some(Request::Put | Request::Complete));
        let version = version_of(record);
        let open = match &record.remote {
            Some(Remote::Object(..)) => return self.look_at_disk(record, parts),
            Some(Remote::Upload(id)) => self.uploads.get_key_value(id),
            None if asked == Some(Request::Create) => self
                .uploads
                .first_key_value()
                .filter(|(_, parts)| parts.is_empty()),
            None => None,
        };
        if writes && open.is_none() && version.is_some_and(|version| self.has_landed(version)) {
            return Found::Landed(fixtures::proof());
        }
        if writes && self.may_replace(Operation::PutObject).is_err() {
            let failure = fixtures::refused(Operation::PutObject, 412, "PreconditionFailed");
            return Found::Conflict(failure);
        }
        match (open, record.plan) {
            (Some((id, stored)), Some(plan)) => {
                let ours = stored.iter().filter(|(_, (_, of))| Some(*of) == version);
                let row = |(number, (etag, _)): (&PartNumber, &(String, u32))| {
                    fixtures::row(plan, *number, Some(etag))
                };
                Found::Upload {
                    id: id.clone(),
                    parts: ours.map(row).collect(),
                }
            }
            _ if asked == Some(Request::Complete) => Found::Unseen,
            _ if record.remote.is_some() => Found::Gone,
            _ => Found::Nothing,
        }
    }

    fn look_at_disk(&self, record: &Record, parts: &BTreeMap<PartNumber, PartRow>) -> Found {
        let version = version_of(record);
        match &self.temp {
            Some(temp) => {
                let there = |number: &PartNumber| temp.get(number).copied() == version;
                Found::Temp {
                    lost: parts.keys().copied().filter(|n| !there(n)).collect(),
                }
            }
            None if record.sealed.is_some() && version.is_some_and(|v| self.has_landed(v)) => {
                Found::Landed(fixtures::proof())
            }
            None if parts.is_empty() => Found::Temp { lost: vec![] },
            None => Found::Gone,
        }
    }
}

/// Which version of the source a generation moves, by what is recorded of it.
pub(super) fn version_of(record: &Record) -> Option<u32> {
    match (&record.remote, &record.source) {
        (Some(Remote::Object(identity, _)), _) => identity.etag.as_ref()?.parse().ok(),
        (_, Some(source)) => u32::try_from(source.modified_ns).ok(),
        _ => None,
    }
}

/// The part list of a Complete.
pub(super) fn listed(parts: &BTreeMap<PartNumber, PartRow>) -> Vec<(PartNumber, String)> {
    let row = |row: &PartRow| (row.number, row.etag.clone().unwrap_or_default());
    parts.values().map(row).collect()
}
