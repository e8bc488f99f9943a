//! The storage: an index in memory, its bytes in memory or in files.
//!
//! Everything that changes the index goes through here, under one lock, and in
//! directory mode is written to its file before it counts.

mod blobs;
mod directory;
mod model;
mod options;
mod uploads;
mod versions;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::{S3Error, S3Result, s3_error};

pub(crate) use blobs::{BlobWriter, Blobs};
use directory::Directory;
pub(crate) use model::{Bucket, Content, NULL_VERSION, Part, Seconds, Upload, Version, Versioning};
pub(crate) use options::{Acl, Encryption, Grant, Grantee, Headers};
pub use options::{OWNER_CANONICAL_ID, OWNER_ID};
pub(crate) use uploads::NewUpload;
pub use uploads::OpenUpload;
pub(crate) use versions::WriteCondition;
pub use versions::{ReadError, StoredVersion};

/// Buckets, objects and uploads of one server.
#[derive(Debug)]
pub(crate) struct Storage {
    blobs: Blobs,
    /// Only in directory mode.
    directory: Option<Directory>,
    index: Mutex<Index>,
}

/// All that a server in memory held at one moment; its bytes are shared with it.
#[derive(Clone, Debug)]
pub struct Snapshot(Index);

#[derive(Clone, Debug, Default)]
struct Index {
    /// The last sequence number given out, to versions and uploads alike.
    sequence: u64,
    buckets: BTreeMap<String, BucketIndex>,
}

#[derive(Clone, Debug)]
struct BucketIndex {
    bucket: Bucket,
    /// The versions of each key, oldest first; never an empty list.
    objects: BTreeMap<String, Vec<Arc<Version>>>,
    /// By key and id, the order in which S3 lists them.
    uploads: BTreeMap<(String, String), Upload>,
}

impl Storage {
    pub(crate) fn in_memory() -> Self {
        Self {
            blobs: Blobs::Memory,
            directory: None,
            index: Mutex::default(),
        }
    }

    /// Continues what an earlier run left in `root`, or starts empty.
    pub(crate) fn in_directory(root: &Path) -> io::Result<Self> {
        let directory = Directory::open(root)?;
        let mut index = Index::default();
        for loaded in directory.load()? {
            let mut bucket = BucketIndex::new(loaded.bucket);
            for version in loaded.versions {
                index.sequence = index.sequence.max(version.sequence);
                bucket
                    .objects
                    .entry(version.key.clone())
                    .or_default()
                    .push(Arc::new(version));
            }
            for upload in loaded.uploads {
                index.sequence = index.sequence.max(sequence_of(&upload.id));
                bucket
                    .uploads
                    .insert((upload.key.clone(), upload.id.clone()), upload);
            }
            index.buckets.insert(bucket.bucket.name.clone(), bucket);
        }
        Ok(Self {
            blobs: Blobs::Directory(directory.blobs()),
            directory: Some(directory),
            index: Mutex::new(index),
        })
    }

    /// `None` in directory mode, whose files come and go.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let in_memory = self.directory.is_none();
        in_memory.then(|| Snapshot(self.index().clone()))
    }

    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        *self.index() = snapshot.0.clone();
    }

    /// A place for bytes that arrive.
    pub(crate) async fn new_blob(&self) -> S3Result<BlobWriter> {
        self.blobs.create().await.map_err(S3Error::internal_error)
    }

    pub(crate) fn create_bucket(&self, name: &str) -> S3Result<()> {
        let mut index = self.index();
        if index.buckets.contains_key(name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        let bucket = Bucket {
            name: name.to_owned(),
            created: Seconds::now(),
            versioning: Versioning::Off,
            requester_pays: false,
            lifecycle: None,
        };
        self.write(|directory| directory.save_bucket(&bucket))?;
        index
            .buckets
            .insert(name.to_owned(), BucketIndex::new(bucket));
        Ok(())
    }

    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut index = self.index();
        if !index.bucket(name)?.objects.is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty"
            ));
        }
        self.write(|directory| directory.remove_bucket(name))?;
        if let Some(bucket) = index.buckets.remove(name) {
            bucket.uploads.values().for_each(Upload::discard);
        }
        Ok(())
    }

    pub(crate) fn buckets(&self) -> Vec<Bucket> {
        self.index()
            .buckets
            .values()
            .map(|bucket| bucket.bucket.clone())
            .collect()
    }

    pub(crate) fn bucket(&self, name: &str) -> S3Result<Bucket> {
        Ok(self.index().bucket(name)?.bucket.clone())
    }

    /// Changes what is set of a bucket.
    pub(crate) fn change_bucket(
        &self,
        name: &str,
        change: impl FnOnce(&mut Bucket),
    ) -> S3Result<()> {
        let mut index = self.index();
        let bucket = &mut index.bucket_mut(name)?.bucket;
        let mut changed = bucket.clone();
        change(&mut changed);
        self.write(|directory| directory.save_bucket(&changed))?;
        *bucket = changed;
        Ok(())
    }

    /// The current version of every key from `start` on, delete markers left
    /// out, as long as `take` says so.
    pub(crate) fn scan(
        &self,
        bucket: &str,
        start: &str,
        mut take: impl FnMut(&Version, &Content) -> bool,
    ) -> S3Result<()> {
        let index = self.index();
        let objects = index.bucket(bucket)?.objects.range(start.to_owned()..);
        for version in objects.filter_map(|(_, versions)| versions.last()) {
            if let Some(content) = &version.content
                && !take(version, content)
            {
                break;
            }
        }
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the files of directory mode; in memory there are none.
    fn write(&self, change: impl FnOnce(&Directory) -> io::Result<()>) -> S3Result<()> {
        self.directory
            .as_ref()
            .map_or(Ok(()), change)
            .map_err(S3Error::internal_error)
    }
}

impl Index {
    fn bucket(&self, name: &str) -> S3Result<&BucketIndex> {
        self.buckets.get(name).ok_or_else(no_such_bucket)
    }

    fn bucket_mut(&mut self, name: &str) -> S3Result<&mut BucketIndex> {
        self.buckets.get_mut(name).ok_or_else(no_such_bucket)
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl BucketIndex {
    fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

/// 32 hexadecimal digits that no one else has drawn.
pub(crate) fn unique_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// An id that sorts by the sequence number in front of it.
fn ordered_id(sequence: u64) -> String {
    format!("{sequence:016x}{}", unique_id())
}

fn sequence_of(ordered_id: &str) -> u64 {
    ordered_id
        .get(..16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}
