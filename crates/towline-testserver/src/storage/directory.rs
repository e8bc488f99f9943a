//! What directory mode keeps between runs: one JSON file per bucket, version, upload and part.
//!
//! ```text
//! blobs/<id>                                    the bytes of one PUT or part
//! buckets/<name in hex>/bucket.json
//! buckets/<name in hex>/versions/<sequence>.json
//! buckets/<name in hex>/uploads/<id>/upload.json
//! buckets/<name in hex>/uploads/<id>/<part number>.json
//! ```
//!
//! A file is replaced by renaming a finished one over it, and bytes are whole
//! before a file names them, so the server may be killed at any moment. There
//! is no sync: power loss may take what was stored last.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blobs::Blob;
use super::model::{Bucket, NULL_VERSION, Part, Upload, Version};

/// The metadata files of one storage.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

/// One bucket as it was found.
#[derive(Debug)]
pub(crate) struct LoadedBucket {
    pub(crate) bucket: Bucket,
    /// In order of creation.
    pub(crate) versions: Vec<Version>,
    pub(crate) uploads: Vec<Upload>,
}

impl Directory {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let directory = Self {
            root: root.to_owned(),
        };
        fs::create_dir_all(directory.blobs())?;
        fs::create_dir_all(directory.buckets())?;
        Ok(directory)
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Reads everything, ends what a killed run left half done, and removes
    /// the bytes that nothing names.
    pub(crate) fn load(&self) -> io::Result<Vec<LoadedBucket>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(self.buckets())? {
            let path = entry?.path();
            // Without its file, a bucket is half made or half removed.
            if path.join("bucket.json").exists() {
                buckets.push(self.load_bucket(&path)?);
            } else {
                fs::remove_dir_all(&path)?;
            }
        }
        self.remove_unnamed_blobs(&buckets)?;
        Ok(buckets)
    }

    fn load_bucket(&self, path: &Path) -> io::Result<LoadedBucket> {
        let bucket: Bucket = read(&path.join("bucket.json"))?;
        let mut versions = BTreeMap::new();
        for file in json_files(&path.join("versions"))? {
            let mut version: Version = read(&file)?;
            if let Some(content) = &mut version.content {
                content.parts.iter_mut().for_each(|part| self.place(part));
            }
            versions.insert(version.sequence, version);
        }
        let versions = self.drop_replaced(&bucket.name, versions.into_values().collect())?;
        let mut uploads = Vec::new();
        for entry in fs::read_dir(path.join("uploads"))? {
            let path = entry?.path();
            let completed = |version: &Version| {
                version.upload_id.as_deref() == path.file_name().and_then(|name| name.to_str())
            };
            if !path.join("upload.json").exists() || versions.iter().any(completed) {
                fs::remove_dir_all(&path)?;
                continue;
            }
            uploads.push(self.load_upload(&path)?);
        }
        Ok(LoadedBucket {
            bucket,
            versions,
            uploads,
        })
    }

    fn load_upload(&self, path: &Path) -> io::Result<Upload> {
        let mut upload: Upload = read(&path.join("upload.json"))?;
        for file in json_files(path)? {
            if file.ends_with("upload.json") {
                continue;
            }
            let mut part: Part = read(&file)?;
            self.place(&mut part);
            upload.parts.insert(part.number, part);
        }
        Ok(upload)
    }

    /// A null version replaces the one before it; a killed run may have left both.
    fn drop_replaced(&self, bucket: &str, versions: Vec<Version>) -> io::Result<Vec<Version>> {
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for version in versions.into_iter().rev() {
            if version.id == NULL_VERSION && !seen.insert(version.key.clone()) {
                self.remove_version(bucket, version.sequence)?;
            } else {
                kept.push(version);
            }
        }
        kept.reverse();
        Ok(kept)
    }

    fn remove_unnamed_blobs(&self, buckets: &[LoadedBucket]) -> io::Result<()> {
        let of_versions = buckets
            .iter()
            .flat_map(|bucket| &bucket.versions)
            .filter_map(|version| version.content.as_ref())
            .flat_map(|content| &content.parts);
        let of_uploads = buckets
            .iter()
            .flat_map(|bucket| &bucket.uploads)
            .flat_map(|upload| upload.parts.values());
        let named: HashSet<&str> = of_versions
            .chain(of_uploads)
            .map(|part| part.blob_id.as_str())
            .collect();
        for entry in fs::read_dir(self.blobs())? {
            let entry = entry?;
            if !entry
                .file_name()
                .to_str()
                .is_some_and(|name| named.contains(name))
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn place(&self, part: &mut Part) {
        part.blob = Arc::new(Blob::kept_file(self.blobs().join(&part.blob_id)));
    }

    pub(crate) fn save_bucket(&self, bucket: &Bucket) -> io::Result<()> {
        let path = self.bucket(&bucket.name);
        fs::create_dir_all(path.join("versions"))?;
        fs::create_dir_all(path.join("uploads"))?;
        write(&path.join("bucket.json"), bucket)
    }

    pub(crate) fn remove_bucket(&self, bucket: &str) -> io::Result<()> {
        let path = self.bucket(bucket);
        fs::remove_file(path.join("bucket.json"))?;
        fs::remove_dir_all(path)
    }

    pub(crate) fn save_version(&self, bucket: &str, version: &Version) -> io::Result<()> {
        write(&self.version(bucket, version.sequence), version)
    }

    pub(crate) fn remove_version(&self, bucket: &str, sequence: u64) -> io::Result<()> {
        fs::remove_file(self.version(bucket, sequence))
    }

    pub(crate) fn save_upload(&self, bucket: &str, upload: &Upload) -> io::Result<()> {
        let path = self.upload(bucket, &upload.id);
        fs::create_dir_all(&path)?;
        write(&path.join("upload.json"), upload)
    }

    pub(crate) fn save_part(&self, bucket: &str, upload_id: &str, part: &Part) -> io::Result<()> {
        let path = self.upload(bucket, upload_id);
        write(&path.join(format!("{:05}.json", part.number)), part)
    }

    pub(crate) fn remove_upload(&self, bucket: &str, upload_id: &str) -> io::Result<()> {
        let path = self.upload(bucket, upload_id);
        fs::remove_file(path.join("upload.json"))?;
        fs::remove_dir_all(path)
    }

    fn buckets(&self) -> PathBuf {
        self.root.join("buckets")
    }

    fn bucket(&self, name: &str) -> PathBuf {
        self.buckets().join(hex::encode(name))
    }

    fn version(&self, bucket: &str, sequence: u64) -> PathBuf {
        self.bucket(bucket)
            .join("versions")
            .join(format!("{sequence:020}.json"))
    }

    /// Upload ids are our own, so they are safe in a path.
    fn upload(&self, bucket: &str, upload_id: &str) -> PathBuf {
        self.bucket(bucket).join("uploads").join(upload_id)
    }
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, serde_json::to_vec(value)?)?;
    fs::rename(unfinished, path)
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: {error}", path.display()),
        )
    })
}

fn json_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(files)
}
