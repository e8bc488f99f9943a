//! Open multipart uploads: their parts come and go until one is completed or aborted.

use std::sync::Arc;

use s3s::{S3Error, S3Result, s3_error};

use super::{
    BucketIndex, Content, Part, Seconds, Storage, Upload, Version, WriteCondition, ordered_id,
};
use crate::checksum::{Algorithm, Kind};
use crate::storage::Headers;

/// What a client says when it opens an upload.
#[derive(Debug)]
pub(crate) struct NewUpload {
    pub(crate) key: String,
    pub(crate) initiator: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    pub(crate) declared: bool,
    pub(crate) headers: Headers,
}

/// An open upload, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenUpload {
    /// The key it is for.
    pub key: String,
    /// S3's name for it.
    pub upload_id: String,
    /// The numbers of the parts it has, in order.
    pub parts: Vec<u32>,
}

impl Storage {
    pub(crate) fn create_upload(&self, bucket: &str, new: NewUpload) -> S3Result<Upload> {
        let mut index = self.index();
        index.bucket(bucket)?;
        let sequence = index.next_sequence();
        let upload = Upload {
            id: ordered_id(sequence),
            key: new.key,
            initiated: Seconds::now(),
            initiator: new.initiator,
            algorithm: new.algorithm,
            kind: new.kind,
            declared: new.declared,
            headers: new.headers,
            parts: Default::default(),
        };
        self.write(|directory| directory.save_upload(bucket, &upload))?;
        let place = (upload.key.clone(), upload.id.clone());
        index
            .bucket_mut(bucket)?
            .uploads
            .insert(place, upload.clone());
        Ok(upload)
    }

    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        Ok(self.index().bucket(bucket)?.upload(key, id)?.clone())
    }

    /// An upload without its parts, of which there may be 10,000.
    pub(crate) fn upload_head(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        Ok(self.index().bucket(bucket)?.upload(key, id)?.head())
    }

    /// All uploads of a bucket, by key and id, without their parts.
    pub(crate) fn upload_heads(&self, bucket: &str) -> S3Result<Vec<Upload>> {
        Ok(self
            .index()
            .bucket(bucket)?
            .uploads
            .values()
            .map(Upload::head)
            .collect())
    }

    /// Adds a part, or replaces the one of the same number.
    pub(crate) fn put_part(&self, bucket: &str, key: &str, id: &str, part: Part) -> S3Result<()> {
        let mut index = self.index();
        let upload = index
            .bucket_mut(bucket)?
            .uploads
            .get_mut(&(key.to_owned(), id.to_owned()))
            .ok_or_else(no_such_upload)?;
        self.write(|directory| directory.save_part(bucket, id, &part))?;
        part.blob.keep();
        if let Some(replaced) = upload.parts.insert(part.number, part) {
            replaced.blob.discard();
        }
        Ok(())
    }

    /// Makes an object of an upload, in one step: `assemble` looks at the
    /// upload as it is then, and says what the object is, or why not.
    pub(crate) fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        condition: &WriteCondition,
        assemble: impl FnOnce(&Upload) -> S3Result<Content>,
    ) -> S3Result<Arc<Version>> {
        let mut index = self.index();
        let content = assemble(index.bucket(bucket)?.upload(key, id)?)?;
        index.bucket(bucket)?.check(key, condition)?;
        let sequence = index.next_sequence();
        let bucket_index = index.bucket_mut(bucket)?;
        let version = self.push_version(
            bucket_index,
            sequence,
            key,
            Some(content),
            Some(id.to_owned()),
        )?;
        let upload = self.remove_upload(bucket_index, key, id)?;
        upload.discard();
        // What went into the object stays; `discard` was for the parts left out.
        if let Some(content) = &version.content {
            content.parts.iter().for_each(|part| part.blob.keep());
        }
        Ok(version)
    }

    pub(crate) fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let mut index = self.index();
        self.remove_upload(index.bucket_mut(bucket)?, key, id)?
            .discard();
        Ok(())
    }

    /// The open uploads of a bucket, as tests see them.
    pub(crate) fn open_uploads(&self, bucket: &str) -> Vec<OpenUpload> {
        let index = self.index();
        let uploads = index
            .buckets
            .get(bucket)
            .map(|bucket| bucket.uploads.values());
        let seen = |upload: &Upload| OpenUpload {
            key: upload.key.clone(),
            upload_id: upload.id.clone(),
            parts: upload.parts.keys().copied().collect(),
        };
        uploads.into_iter().flatten().map(seen).collect()
    }

    fn remove_upload(&self, bucket: &mut BucketIndex, key: &str, id: &str) -> S3Result<Upload> {
        bucket.upload(key, id)?;
        self.write(|directory| directory.remove_upload(&bucket.bucket.name, id))?;
        let place = (key.to_owned(), id.to_owned());
        bucket.uploads.remove(&place).ok_or_else(no_such_upload)
    }
}

impl BucketIndex {
    fn upload(&self, key: &str, id: &str) -> S3Result<&Upload> {
        let place = (key.to_owned(), id.to_owned());
        self.uploads.get(&place).ok_or_else(no_such_upload)
    }
}

impl Upload {
    fn head(&self) -> Self {
        Self {
            id: self.id.clone(),
            key: self.key.clone(),
            initiator: self.initiator.clone(),
            headers: self.headers.clone(),
            parts: Default::default(),
            ..*self
        }
    }

    /// Gives up the bytes of its parts.
    pub(super) fn discard(&self) {
        self.parts.values().for_each(|part| part.blob.discard());
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
