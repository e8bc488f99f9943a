//! Objects in parts: opened, filled, listed, completed, aborted.

use towline_core::{
    ChecksumAlgorithm, ChecksumKind, CompleteUpload, CompletedPart, CreateUpload, ListedPart,
    Operation, PartStored, S3, S3ErrorKind, UploadPart,
};
use towline_engine::{Fact, checksum_of};

use super::objects::{CONTENT, body};
use super::{Answered, CheckResult, Doctor};
use crate::Error;

impl Doctor {
    /// One upload is completed, another is listed and aborted.
    pub(super) async fn parts(&mut self) -> Result<(), Error> {
        let algorithm = self.profile.checksum(ChecksumAlgorithm::Crc64Nvme, &[]);
        let Some(id) = self.open(algorithm).await? else {
            return Ok(());
        };
        if let Some(part) = self.part(&id, 1, algorithm).await? {
            self.complete(&id, algorithm, part).await?;
        }
        if !self.opened.is_empty() {
            return Ok(()); // what cannot be completed is good enough to be aborted
        }
        let Some(id) = self.open(algorithm).await? else {
            return Ok(());
        };
        self.part(&id, 1, algorithm).await?;
        self.part(&id, 2, algorithm).await?;
        self.list_parts(&id).await?;
        let aborted = self.abort(&id).await?;
        if self
            .works(Operation::AbortMultipartUpload, aborted)
            .is_some()
        {
            self.opened.clear();
            if let Ok(parts) = self.listed(&id, None).await? {
                let detail = format!("{} parts are there after an abort", parts.len());
                self.note("abort", CheckResult::Warning, detail);
                self.opened.push(id);
            }
        }
        Ok(())
    }

    async fn open(&mut self, algorithm: ChecksumAlgorithm) -> Result<Option<String>, Error> {
        let request = CreateUpload {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            checksum: of_object(algorithm),
            access: self.access.clone(),
            ..CreateUpload::default()
        };
        let asked = self
            .try_out(
                Operation::CreateMultipartUpload,
                request,
                |s3, request| async move { s3.create_multipart_upload(request).await },
            )
            .await?;
        let opened = self.works(Operation::CreateMultipartUpload, asked);
        let id = opened.map(|opened| opened.id);
        self.opened.extend(id.clone());
        Ok(id)
    }

    async fn part(
        &mut self,
        id: &str,
        number: u32,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Option<PartStored>, Error> {
        let request = UploadPart {
            upload: self.upload(id),
            number,
            checksum: Some(checksum_of(algorithm, CONTENT).into()),
        };
        let asked = self
            .try_out(Operation::UploadPart, request, |s3, request| async move {
                s3.upload_part(request, body()).await
            })
            .await?;
        let stored = self.works(Operation::UploadPart, asked);
        if let Some(stored) = &stored {
            self.see_checksum(algorithm, stored.checksum.is_some());
        }
        Ok(stored)
    }

    async fn complete(
        &mut self,
        id: &str,
        algorithm: ChecksumAlgorithm,
        part: PartStored,
    ) -> Result<(), Error> {
        let sum = Some(checksum_of(algorithm, CONTENT)).filter(|_| part.checksum.is_some());
        let request = CompleteUpload {
            upload: self.upload(id),
            parts: vec![CompletedPart {
                number: 1,
                etag: part.etag.unwrap_or_default(),
                checksum: sum,
            }],
            size: CONTENT.len() as u64,
            checksum: sum,
            checksum_kind: sum.and_then(|sum| Some(of_object(sum.algorithm())?.1)),
            condition: None,
        };
        let operation = Operation::CompleteMultipartUpload;
        let asked = self
            .try_out(operation, request, |s3, request| async move {
                s3.complete_multipart_upload(request).await
            })
            .await?;
        // Its answer may have been lost, so there may be both.
        let version = asked.as_ref().ok().map(|stored| stored.version_id.clone());
        self.written.push(version.flatten());
        if self.works(operation, asked).is_some() {
            self.opened.retain(|open| open != id);
            let key = self.key.clone();
            if let Some(head) = self.head(&key).await? {
                self.weigh(&head);
            }
        }
        Ok(())
    }

    async fn list_parts(&mut self, id: &str) -> Result<(), Error> {
        let asked = self.listed(id, None).await?;
        let Some(all) = self.works(Operation::ListParts, asked) else {
            return Ok(());
        };
        if all.len() != 2 {
            let detail = format!("it shows {} of 2 parts", all.len());
            self.note("parts", CheckResult::Failed, detail);
            return Ok(());
        }
        // A page that does not go on is no page, and comes as an error.
        match self.listed(id, Some(1)).await? {
            Ok(_) => self.profile.learn(Fact::PagesOfParts(true)),
            Err((error, _)) if error.kind == S3ErrorKind::Malformed => {
                self.profile.learn(Fact::PagesOfParts(false))
            }
            Err(_) => false,
        };
        Ok(())
    }

    async fn listed(
        &self,
        id: &str,
        after: Option<u32>,
    ) -> Result<Answered<Vec<ListedPart>>, Error> {
        let upload = self.upload(id);
        let asked = self
            .try_out(Operation::ListParts, upload, move |s3, upload| async move {
                s3.list_parts(&upload, after).await
            })
            .await?;
        Ok(asked.map(|page| page.parts))
    }
}

fn of_object(algorithm: ChecksumAlgorithm) -> Option<(ChecksumAlgorithm, ChecksumKind)> {
    algorithm.s3_name()?;
    let kind = match algorithm.combines() {
        true => ChecksumKind::FullObject,
        false => ChecksumKind::Composite,
    };
    Some((algorithm, kind))
}
