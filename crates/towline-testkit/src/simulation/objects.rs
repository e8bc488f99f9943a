//! What a simulated store holds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, CompletedPart, CopySource, ListedPart, ListedUpload,
    ObjectHead, Stored, Timestamp,
};

use super::call::Refusal;

/// Objects and open uploads, by bucket and key.
#[derive(Default)]
pub(super) struct Objects {
    last: u64,
    /// Whose request it is that is answered now.
    pub(super) asked_by: Option<usize>,
    pub(super) rules: ObjectRules,
    /// Uploads that it says are gone.
    pub(super) said_gone: BTreeSet<String>,
    /// Every object there has been, in the order in which they were stored.
    pub(super) versions: Vec<Version>,
    /// Every upload that was opened: its key, and by which request.
    pub(super) opened: Vec<(String, String, Option<usize>)>,
    pub(super) objects: BTreeMap<(String, String), Object>,
    pub(super) uploads: BTreeMap<String, Open>,
}

/// One object.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    pub(super) stored: Timestamp,
}

/// How a store lies for good.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectRules {
    /// Uploads are aborted in words only.
    pub keeps_uploads: bool,
    /// Nothing shows a checksum.
    pub shows_no_checksums: bool,
    /// Whoever asks for an object is told, before anybody is asked, that it is not there.
    pub denies_objects: bool,
    /// The host of this bucket has no address.
    pub unknown_bucket: Option<&'static str>,
    /// It copies what is there now, whatever the condition.
    pub copies_whatever: bool,
}

/// An object as it was stored.
#[derive(Clone, Debug)]
pub struct Version {
    /// Of which key.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// By which request of the history; `None` by somebody else.
    pub by: Option<usize>,
}

/// An open upload.
pub(super) struct Open {
    pub(super) at: (String, String),
    pub(super) since: Timestamp,
    pub(super) parts: BTreeMap<u32, Part>,
}

/// One part of it.
pub(super) struct Part {
    etag: String,
    bytes: Bytes,
}

impl Objects {
    /// ETags and upload ids: opaque, and never the same twice.
    fn name(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}-{}", self.last)
    }

    pub(super) fn put(
        &mut self,
        at: (String, String),
        bytes: Bytes,
        now: Timestamp,
        if_absent: bool,
    ) -> Result<Stored, Refusal> {
        if if_absent && self.objects.contains_key(&at) {
            return Err(Refusal::new(412, "PreconditionFailed"));
        }
        let etag = format!("\"{}\"", self.name("object"));
        let object = Object {
            bytes,
            etag,
            stored: now,
        };
        let stored = Stored {
            etag: Some(object.etag.clone()),
            version_id: None,
            checksum: Some((sum(&object.bytes), ChecksumKind::FullObject)),
        };
        self.versions.push(Version {
            key: at.1.clone(),
            etag: object.etag.clone(),
            bytes: object.bytes.clone(),
            by: self.asked_by,
        });
        self.objects.insert(at, object);
        Ok(stored)
    }

    pub(super) fn open(&mut self, at: (String, String), now: Timestamp) -> String {
        let id = self.name("upload");
        let open = Open {
            at,
            since: now,
            parts: BTreeMap::new(),
        };
        self.opened
            .push((open.at.1.clone(), id.clone(), self.asked_by));
        self.uploads.insert(id.clone(), open);
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> Result<&mut Open, Refusal> {
        let gone = || Refusal::new(404, "NoSuchUpload");
        if self.said_gone.contains(id) {
            return Err(gone());
        }
        self.uploads.get_mut(id).ok_or_else(gone)
    }

    pub(super) fn put_part(
        &mut self,
        id: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, Refusal> {
        let etag = format!("\"{}\"", self.name("part"));
        let part = Part {
            etag: etag.clone(),
            bytes,
        };
        self.upload(id)?.parts.insert(number, part);
        Ok(etag)
    }

    pub(super) fn complete(
        &mut self,
        id: &str,
        asked: &[CompletedPart],
        size: u64,
        whole: Option<Checksum>,
        now: Timestamp,
        if_absent: bool,
    ) -> Result<Stored, Refusal> {
        let open = self.upload(id)?;
        let mut bytes = Vec::new();
        for part in asked {
            let there = open.parts.get(&part.number);
            let there = there.filter(|there| there.etag == part.etag);
            let there = there.ok_or_else(|| Refusal::new(400, "InvalidPart"))?;
            bytes.extend_from_slice(&there.bytes);
        }
        if bytes.len() as u64 != size || whole.is_some_and(|whole| !fits(&whole, &bytes)) {
            return Err(Refusal::new(400, "BadDigest"));
        }
        let at = open.at.clone();
        let stored = self.put(at, bytes.into(), now, if_absent)?;
        self.uploads.remove(id);
        Ok(stored)
    }

    pub(super) fn listed_parts(&mut self, id: &str) -> Result<Vec<ListedPart>, Refusal> {
        let parts = self.upload(id)?.parts.iter();
        let listed = parts.map(|(number, part)| ListedPart {
            number: *number,
            etag: part.etag.clone(),
            size: part.bytes.len() as u64,
            checksum: Some(sum(&part.bytes)),
        });
        Ok(listed.collect())
    }

    pub(super) fn listed_uploads(&self, bucket: &str, prefix: &str) -> Vec<ListedUpload> {
        let open = self
            .uploads
            .iter()
            .filter(|(id, _)| !self.said_gone.contains(*id));
        let its = open.filter(|(_, open)| open.at.0 == bucket && open.at.1.starts_with(prefix));
        its.map(|(id, open)| ListedUpload {
            key: open.at.1.clone(),
            upload_id: id.clone(),
            initiated: Some(open.since),
            initiator: None,
        })
        .collect()
    }

    pub(super) fn abort(&mut self, id: &str) -> Result<(), Refusal> {
        self.upload(id)?;
        match self.rules.keeps_uploads {
            true => drop(self.said_gone.insert(id.to_owned())),
            false => drop(self.uploads.remove(id)),
        }
        Ok(())
    }

    pub(super) fn head(
        &self,
        at: &(String, String),
        now: Timestamp,
    ) -> Result<ObjectHead, Refusal> {
        let mut head = self.object(at)?.head(now);
        if self.rules.shows_no_checksums {
            head.checksums.clear();
        }
        Ok(head)
    }

    /// The bytes of what is copied, if it is what it should be.
    pub(super) fn source(&self, source: &CopySource) -> Result<Bytes, Refusal> {
        let object = self.object(&(source.bucket.clone(), source.key.clone()))?;
        match &source.if_match {
            Some(etag) if *etag != object.etag && !self.rules.copies_whatever => {
                Err(Refusal::new(412, "PreconditionFailed"))
            }
            _ => Ok(object.bytes.clone()),
        }
    }

    pub(super) fn object(&self, at: &(String, String)) -> Result<&Object, Refusal> {
        let missing = || Refusal::new(404, "NoSuchKey");
        self.objects.get(at).ok_or_else(missing)
    }
}

impl Object {
    pub(super) fn head(&self, now: Timestamp) -> ObjectHead {
        ObjectHead {
            told_at: Some(now),
            etag: Some(self.etag.clone()),
            size: Some(self.bytes.len() as u64),
            last_modified: Some(self.stored),
            checksums: vec![(sum(&self.bytes), ChecksumKind::FullObject)],
            ..ObjectHead::default()
        }
    }
}

/// The checksum that the store keeps.
pub(super) fn sum(bytes: &[u8]) -> Checksum {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    Checksum::from_crc(ChecksumAlgorithm::Crc64Nvme, crc).expect("it is a CRC")
}

/// Whether the bytes have the checksum that was sent. The store knows one kind.
pub(super) fn fits(sent: &Checksum, bytes: &[u8]) -> bool {
    sent.algorithm() == ChecksumAlgorithm::Crc64Nvme && *sent == sum(bytes)
}
