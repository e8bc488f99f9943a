//! Objects in one PUT: rights, checksums, ranges and conditions.

use bytes::Bytes;
use futures_util::TryStreamExt;
use towline_core::{
    Body, ChecksumAlgorithm, ChecksumKind, Failure, GetObject, ListedObject, ObjectHead, Operation,
    PutObject, ReadCondition, S3, S3Error, S3ErrorKind, Stored, Verified, WriteCondition,
};
use towline_engine::{Checks, Fact, Heeds, checksum_of, etag_md5, may_refuse_a_header};

use super::{Answered, CheckResult, Doctor};
use crate::{Error, RequestError};

/// What the probe has.
pub(super) const CONTENT: &[u8; 64] =
    b"Written by `towline doctor` to see what works. It may be deleted";

/// What an answer to a read brought.
struct Read {
    status: u16,
    etag: Option<String>,
    bytes: Vec<u8>,
}

impl Doctor {
    /// Writes the probe; gives whether that works.
    pub(super) async fn put(&mut self) -> Result<bool, Error> {
        let mut refused = Vec::new();
        loop {
            let algorithm = self
                .profile
                .checksum(ChecksumAlgorithm::Crc64Nvme, &refused);
            match self.put_with(algorithm, None).await? {
                Err((error, _)) if self.profile.may_refuse(algorithm, &error) => {
                    refused.push(algorithm);
                }
                Err(error) => {
                    self.works::<()>(Operation::PutObject, Err(error));
                    return Ok(false);
                }
                Ok(stored) => {
                    for algorithm in refused.drain(..) {
                        self.profile
                            .learn(Fact::Checksum(algorithm, Checks::Refused));
                    }
                    self.see_checksum(algorithm, stored.checksum.is_some());
                    self.works(Operation::PutObject, Ok(()));
                    if algorithm != ChecksumAlgorithm::Crc64Nvme || stored.checksum.is_some() {
                        return Ok(true);
                    }
                    // Perhaps it shows an older one; then as transfers would have it.
                    let older = ChecksumAlgorithm::Crc32c;
                    if let Ok(stored) = self.put_with(older, None).await? {
                        self.see_checksum(older, stored.checksum.is_some());
                    }
                }
            }
        }
    }

    pub(super) fn see_checksum(&mut self, algorithm: ChecksumAlgorithm, shown: bool) {
        let checks = if shown { Checks::Shown } else { Checks::Silent };
        if algorithm != ChecksumAlgorithm::Md5 {
            self.profile.learn(Fact::Checksum(algorithm, checks));
        }
    }

    async fn put_with(
        &mut self,
        algorithm: ChecksumAlgorithm,
        condition: Option<WriteCondition>,
    ) -> Result<Answered<Stored>, Error> {
        let request = PutObject {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            checksum: Some(checksum_of(algorithm, CONTENT)),
            condition,
            access: self.access.clone(),
            ..PutObject::default()
        };
        let asked = self
            .try_out(Operation::PutObject, request, |s3, request| async move {
                s3.put_object(request, body()).await
            })
            .await?;
        match &asked {
            Ok(stored) => self.written.push(stored.version_id.clone()),
            // It may be there all the same.
            Err((error, _)) if error.kind != S3ErrorKind::Answer => self.written.push(None),
            Err(_) => {}
        }
        Ok(asked)
    }

    /// HEAD and GET of the probe.
    pub(super) async fn read_probe(&mut self) -> Result<(), Error> {
        let key = self.key.clone();
        if let Some(head) = self.head(&key).await? {
            self.weigh(&head);
        }
        let size = CONTENT.len() as u64;
        if let Some(read) = self.read_range(&key, size).await?
            && read.bytes != CONTENT[8..24]
            && read.bytes != CONTENT[..]
        {
            let detail = "other bytes came back than were stored";
            self.note("content", CheckResult::Failed, detail);
        }
        Ok(())
    }

    /// HEAD and GET of an object of somebody's.
    pub(super) async fn read_what_is_there(
        &mut self,
        object: Option<ListedObject>,
    ) -> Result<(), Error> {
        let Some(object) = object else {
            let detail = "nothing is there to try it on";
            self.note("HeadObject", CheckResult::Skipped, detail);
            self.note("GetObject", CheckResult::Skipped, detail);
            return Ok(());
        };
        if let Some(head) = self.head(&object.key).await? {
            for (sum, _) in &head.checksums {
                self.see_checksum(sum.algorithm(), true);
            }
            self.weigh(&head);
        }
        self.read_range(&object.key, object.size).await?;
        Ok(())
    }

    pub(super) async fn head(&mut self, key: &str) -> Result<Option<ObjectHead>, Error> {
        let request = self.object(key);
        let asked = self
            .try_out(Operation::HeadObject, request, |s3, request| async move {
                s3.head_object(request).await
            })
            .await?;
        Ok(self.works(Operation::HeadObject, asked))
    }

    fn object(&self, key: &str) -> GetObject {
        GetObject {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            access: self.access.clone(),
            ..GetObject::default()
        }
    }

    /// Sixteen bytes of an object, on a condition that holds, then on one that
    /// does not.
    async fn read_range(&mut self, key: &str, size: u64) -> Result<Option<Read>, Error> {
        let range = if size < 24 { 0..1 } else { 8..24 };
        let of_object = GetObject {
            range: Some(range.clone()),
            ..self.object(key)
        };
        let asked = self.read(of_object.clone()).await?;
        let Some(read) = self.works(Operation::GetObject, asked) else {
            return Ok(None);
        };
        let wanted = range.end - range.start;
        if read.status == 206 || (range.start, wanted) != (0, size) {
            let heeded = read.status == 206 && read.bytes.len() as u64 == wanted;
            self.profile.learn(Fact::Ranges(heeded));
        }
        if let Some(etag) = &read.etag {
            let on = |etag: &str| GetObject {
                condition: ReadCondition {
                    if_match: Some(etag.to_owned()),
                    ..ReadCondition::default()
                },
                ..of_object.clone()
            };
            let holds = self.read(on(etag)).await?;
            let fails = self
                .read(on("\"0123456789abcdef0123456789abcdef\""))
                .await?;
            let heeds = match (holds, fails) {
                (Ok(_), Err((error, _))) if error.status == Some(412) => Some(Heeds::Yes),
                (Ok(_), Ok(_)) => Some(Heeds::Ignores),
                (Err((error, _)), _) if may_refuse_a_header(&error) => Some(Heeds::Refuses),
                _ => None,
            };
            if let Some(heeds) = heeds {
                self.profile.learn(Fact::ReadCondition(heeds));
            }
        }
        Ok(Some(read))
    }

    async fn read(&self, request: GetObject) -> Result<Answered<Read>, Error> {
        self.try_out(Operation::GetObject, request, |s3, request| async move {
            let body = s3.get_object(request).await?;
            let mut read = Read {
                status: body.status,
                etag: body.head.etag,
                bytes: Vec::new(),
            };
            // Of a store that ignores ranges no more than is looked at.
            let mut stream = body.stream;
            let broke = |cause: towline_core::StreamError| {
                S3Error::new(
                    Operation::GetObject,
                    S3ErrorKind::Transport,
                    cause.to_string(),
                )
            };
            while read.bytes.len() <= CONTENT.len()
                && let Some(bytes) = stream.try_next().await.map_err(broke)?
            {
                read.bytes.extend_from_slice(&bytes);
            }
            Ok(read)
        })
        .await
    }

    /// Writes once more, only if nothing is there.
    pub(super) async fn write_on_condition(&mut self) -> Result<(), Error> {
        let algorithm = self.profile.checksum(ChecksumAlgorithm::Crc64Nvme, &[]);
        let asked = self
            .put_with(algorithm, Some(WriteCondition::Absent))
            .await?;
        let heeds = match asked {
            Ok(_) => Heeds::Ignores,
            Err((error, _)) if error.status == Some(412) => Heeds::Yes,
            Err((error, _)) if may_refuse_a_header(&error) => Heeds::Refuses,
            Err((error, attempts)) => {
                let told = RequestError::of(Failure::S3(error), attempts);
                self.note("condition", CheckResult::Failed, told.message());
                return Ok(());
            }
        };
        self.profile.learn(Fact::WriteCondition(heeds));
        Ok(())
    }
}

pub(super) fn body() -> Body {
    let bytes = Ok(Bytes::from_static(CONTENT));
    Body {
        len: CONTENT.len() as u64,
        stream: Box::pin(futures_util::stream::iter([bytes])),
    }
}

impl Doctor {
    /// What transfers of such an object are verified by: uploads by the checksum
    /// that they sent, if it is shown, else by the ETag.
    pub(super) fn weigh(&mut self, head: &ObjectHead) {
        let sent = self.profile.checksum(ChecksumAlgorithm::Crc64Nvme, &[]);
        let of = |kind| {
            let mut sums = head.checksums.iter();
            sums.any(|(sum, covers)| *covers == kind && (self.read_only || sum.algorithm() == sent))
        };
        let how = head.encryption.as_deref();
        let opaque = head.customer_key || how.is_some_and(|how| how != "AES256");
        let md5 = head.etag.as_deref().and_then(etag_md5);
        self.verified.push(match md5.filter(|_| !opaque) {
            _ if of(ChecksumKind::FullObject) => Verified::FullObject,
            _ if of(ChecksumKind::Composite) => Verified::Composite,
            Some(_) => Verified::Md5,
            None => Verified::SizeOnly,
        });
    }
}
