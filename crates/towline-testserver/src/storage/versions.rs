//! Object versions: storing, finding and deleting them, by the rules of versioning.

use std::io;
use std::sync::Arc;

use s3s::{S3Result, s3_error};

use super::{
    BucketIndex, Content, Headers, NULL_VERSION, Seconds, Storage, Version, Versioning, ordered_id,
};

/// What must be true of the current object for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteCondition {
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match`, without quotes.
    Etag(String),
}

/// What a delete did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deleted {
    /// Whether a delete marker was made, or was what got deleted.
    pub(crate) marker: bool,
    pub(crate) version_id: Option<String>,
}

/// A version of an object, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredVersion {
    /// `null` where the bucket was not versioned.
    pub version_id: String,
    /// Whether it is a delete marker; then the rest is empty.
    pub delete_marker: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag, without quotes.
    pub etag: String,
    /// The multipart upload that made it.
    pub upload_id: Option<String>,
}

/// Why the bytes of an object cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no current version of it.
    #[error("{bucket}/{key} does not exist")]
    Missing {
        /// The bucket asked for.
        bucket: String,
        /// The key asked for.
        key: String,
    },
    /// Its file cannot be read.
    #[error("the bytes of {bucket}/{key} cannot be read")]
    Io {
        /// The bucket asked for.
        bucket: String,
        /// The key asked for.
        key: String,
        /// What the file system said.
        source: io::Error,
    },
}

impl Storage {
    /// Makes a new current version, if `condition` holds.
    pub(crate) fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        condition: &WriteCondition,
    ) -> S3Result<Arc<Version>> {
        let mut index = self.index();
        index.bucket(bucket)?.check(key, condition)?;
        let sequence = index.next_sequence();
        self.push_version(
            index.bucket_mut(bucket)?,
            sequence,
            key,
            Some(content),
            None,
        )
    }

    /// The version asked for, or the current one. It may be a delete marker.
    pub(crate) fn version(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> S3Result<Arc<Version>> {
        let index = self.index();
        let versions = index.bucket(bucket)?.objects.get(key);
        let found = match id {
            None => versions.and_then(|versions| versions.last()),
            Some(id) => {
                versions.and_then(|versions| versions.iter().find(|version| version.id == id))
            }
        };
        found.cloned().ok_or_else(|| match id {
            None => s3_error!(NoSuchKey, "The specified key does not exist."),
            Some(_) => s3_error!(NoSuchVersion, "The specified version does not exist."),
        })
    }

    /// Changes what is said of a version that is no delete marker; it stays the same version.
    pub(crate) fn change_headers(
        &self,
        bucket: &str,
        key: &str,
        version: &Version,
        change: impl FnOnce(&mut Headers),
    ) -> S3Result<()> {
        let mut index = self.index();
        let versions = index.bucket_mut(bucket)?.objects.get_mut(key);
        let stored = versions
            .and_then(|versions| {
                versions
                    .iter_mut()
                    .find(|stored| stored.sequence == version.sequence)
            })
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
        let mut changed = Version::clone(stored);
        if let Some(content) = &mut changed.content {
            change(&mut content.headers);
        }
        self.write(|directory| directory.save_version(bucket, &changed))?;
        *stored = Arc::new(changed);
        Ok(())
    }

    /// Deletes the version asked for, or puts a delete marker on top, or
    /// deletes the object of a bucket without versions. Nothing to delete is
    /// no error.
    pub(crate) fn delete_object(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> S3Result<Deleted> {
        let mut index = self.index();
        let versioning = index.bucket(bucket)?.bucket.versioning;
        match (id, versioning) {
            (Some(id), _) => {
                let removed = self.remove_version(index.bucket_mut(bucket)?, key, id)?;
                Ok(Deleted {
                    marker: removed.is_some_and(|version| version.content.is_none()),
                    version_id: Some(id.to_owned()),
                })
            }
            (None, Versioning::Off) => {
                self.remove_version(index.bucket_mut(bucket)?, key, NULL_VERSION)?;
                Ok(Deleted::default())
            }
            (None, Versioning::Enabled | Versioning::Suspended) => {
                let sequence = index.next_sequence();
                let marker =
                    self.push_version(index.bucket_mut(bucket)?, sequence, key, None, None)?;
                Ok(Deleted {
                    marker: true,
                    version_id: Some(marker.id.clone()),
                })
            }
        }
    }

    /// Every version of a key, oldest first.
    pub(crate) fn versions(&self, bucket: &str, key: &str) -> Vec<StoredVersion> {
        let index = self.index();
        let versions = index
            .buckets
            .get(bucket)
            .and_then(|bucket| bucket.objects.get(key));
        versions
            .into_iter()
            .flatten()
            .map(|version| StoredVersion::of(version))
            .collect()
    }

    /// The bytes of the current version.
    pub(crate) fn object_bytes(&self, bucket: &str, key: &str) -> Result<Vec<u8>, ReadError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let version = self.version(&bucket, &key, None).ok();
        let Some(content) = version
            .as_ref()
            .and_then(|version| version.content.as_ref())
        else {
            return Err(ReadError::Missing { bucket, key });
        };
        content
            .parts
            .iter()
            .map(|part| part.blob.to_vec())
            .collect::<io::Result<Vec<_>>>()
            .map(|parts| parts.concat())
            .map_err(|source| ReadError::Io {
                bucket,
                key,
                source,
            })
    }

    /// Puts a version on top. A null version takes the place of the one before it.
    pub(super) fn push_version(
        &self,
        bucket: &mut BucketIndex,
        sequence: u64,
        key: &str,
        content: Option<Content>,
        upload_id: Option<String>,
    ) -> S3Result<Arc<Version>> {
        let versioned = bucket.bucket.versioning == Versioning::Enabled;
        let version = Arc::new(Version {
            sequence,
            key: key.to_owned(),
            id: if versioned {
                ordered_id(sequence)
            } else {
                NULL_VERSION.to_owned()
            },
            modified: Seconds::now(),
            upload_id,
            content,
        });
        self.write(|directory| directory.save_version(&bucket.bucket.name, &version))?;
        if let Some(content) = &version.content {
            content.parts.iter().for_each(|part| part.blob.keep());
        }
        if !versioned {
            self.remove_version(bucket, key, NULL_VERSION)?;
        }
        let versions = bucket.objects.entry(key.to_owned()).or_default();
        versions.push(Arc::clone(&version));
        Ok(version)
    }

    fn remove_version(
        &self,
        bucket: &mut BucketIndex,
        key: &str,
        id: &str,
    ) -> S3Result<Option<Arc<Version>>> {
        let Some(versions) = bucket.objects.get_mut(key) else {
            return Ok(None);
        };
        let Some(at) = versions.iter().position(|version| version.id == id) else {
            return Ok(None);
        };
        self.write(|directory| {
            directory.remove_version(&bucket.bucket.name, versions[at].sequence)
        })?;
        let removed = versions.remove(at);
        if versions.is_empty() {
            bucket.objects.remove(key);
        }
        if let Some(content) = &removed.content {
            content.parts.iter().for_each(|part| part.blob.discard());
        }
        Ok(Some(removed))
    }
}

impl BucketIndex {
    /// Whether a write may happen.
    pub(super) fn check(&self, key: &str, condition: &WriteCondition) -> S3Result<()> {
        let current = self
            .objects
            .get(key)
            .and_then(|versions| versions.last())
            .and_then(|version| version.content.as_ref());
        match (condition, current) {
            (WriteCondition::None, _) | (WriteCondition::Absent, None) => Ok(()),
            (WriteCondition::Etag(etag), Some(content)) if *etag == content.etag => Ok(()),
            (WriteCondition::Etag(_), None) => {
                Err(s3_error!(NoSuchKey, "The specified key does not exist."))
            }
            _ => Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )),
        }
    }
}

impl StoredVersion {
    fn of(version: &Version) -> Self {
        let content = version.content.as_ref();
        Self {
            version_id: version.id.clone(),
            delete_marker: content.is_none(),
            size: content.map_or(0, |content| content.size),
            etag: content
                .map(|content| content.etag.clone())
                .unwrap_or_default(),
            upload_id: version.upload_id.clone(),
        }
    }
}
