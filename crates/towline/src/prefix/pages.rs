//! The objects below a prefix, page by page, as requests for their files.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use towline_core::{GroupId, ListedObject, Phase, Record, Timestamp};
use towline_engine::{KeyNames, KeyPlace, check_beneath, folds_names, make_beneath};

use super::objects::ObjectPages;
use crate::group::{ListingRequest, Place, unusable};
use crate::{Error, TransferRequest, TransferUtility, place};

/// The longest path that system calls take, in bytes; one is for its end.
const PATH_MAX: usize = 4096;

/// The downloads of a prefix, page by page.
#[derive(Debug)]
pub(crate) struct PrefixListing {
    objects: ObjectPages,
    dir: PathBuf,
    like: TransferRequest,
    names: KeyNames,
}

/// What an object of a prefix stands for.
#[derive(Debug)]
pub(crate) enum Listed {
    File(Box<TransferRequest>, ListedObject),
    /// It is there then.
    Directory(String),
    NoFile {
        key: String,
        /// A stable name of the reason.
        code: &'static str,
        /// The reason in words.
        why: String,
    },
}

impl PrefixListing {
    /// From the start, or behind a place.
    pub(crate) fn of(
        group: GroupId,
        asked: ListingRequest,
        behind: Option<Place>,
    ) -> Result<Self, Error> {
        let folds = folds_names(&asked.dir).map_err(|error| unusable(&asked.dir, &error))?;
        let like = asked.like;
        let access = like.options.access.clone();
        let mut objects = ObjectPages::of(group, &like.bucket, &asked.prefix, access);
        if let Some(connection) = &like.connection {
            objects = objects.connection(connection.clone());
        }
        let mut names = KeyNames::new(folds);
        if let Some(Place { after, files }) = behind {
            names = KeyNames::behind(objects.below(&after), &files);
            objects = objects.behind(after);
        }
        Ok(Self {
            objects,
            dir: asked.dir,
            like,
            names,
        })
    }

    /// Where the listing may go on in another process; `None` where it has to begin
    /// anew, since the store lists in another order, or the file system takes names
    /// for one another and all of them have to be known.
    pub(crate) fn place(&self) -> Option<Place> {
        let after = self.objects.after()?;
        (!self.names.compares()).then(|| Place {
            after: after.to_owned(),
            files: self.names.open_files(),
        })
    }

    /// Whether the last page was given.
    pub(crate) fn is_done(&self) -> bool {
        self.objects.is_done()
    }

    /// The next page; `None` behind the last.
    pub(crate) async fn next(
        &mut self,
        utility: &TransferUtility,
    ) -> Result<Option<Vec<Listed>>, Error> {
        let Some(objects) = self.objects.next(utility).await? else {
            return Ok(None);
        };
        let listed = |object: ListedObject| match self.request(&object) {
            Ok(Some(request)) => Listed::File(Box::new(request), object),
            Ok(None) => Listed::Directory(object.key),
            Err((code, why)) => Listed::NoFile {
                key: object.key,
                code,
                why,
            },
        };
        Ok(Some(objects.into_iter().map(listed).collect()))
    }

    /// The request for an object; `None` where it is a directory, which is there
    /// then.
    fn request(
        &mut self,
        object: &ListedObject,
    ) -> Result<Option<TransferRequest>, (&'static str, String)> {
        place::key(&object.key).map_err(|error| (error.code(), error.to_string()))?;
        let below = self.objects.below(&object.key);
        let place = self.names.place(below, object.size);
        let unusable = |error: &dyn std::fmt::Display| ("TargetUnwritable", error.to_string());
        let path = match place.map_err(|error| ("TargetClash", error.to_string()))? {
            KeyPlace::File(path) => self.dir.join(path),
            KeyPlace::Directory(path) => {
                make_beneath(&self.dir, &path).map_err(|error| unusable(&error))?;
                return Ok(None);
            }
        };
        // What is there is looked at together with the rest of the request.
        fits(&path).map_err(|why| ("TargetUnwritable", why))?;
        Ok(Some(TransferRequest {
            key: object.key.clone(),
            path,
            listed: Some(object.into()),
            ..self.like.clone()
        }))
    }
}

pub(crate) fn has_done(record: &Record, request: &TransferRequest, object: &ListedObject) -> bool {
    let Some(proof) = record
        .proof
        .as_ref()
        .filter(|_| record.phase == Phase::Completed)
    else {
        return false;
    };
    let same = record.spec.object.key.as_str() == request.key
        && record.spec.object.bucket.as_str() == request.bucket
        && record.spec.group == request.group
        && proof.etag.is_some()
        && proof.etag == object.etag
        && proof.renamed.is_none();
    same && is_as_left(&request.path, object.size, object.last_modified)
}

/// The file has the object's length and time, which S3 tells in whole seconds.
fn is_as_left(path: &Path, size: u64, modified: Option<Timestamp>) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| {
        let seconds = modified.map(|at| at.as_millis().div_euclid(1000));
        meta.is_file() && meta.len() == size && seconds == Some(meta.mtime())
    })
}

/// Whether a file can be put at a path, of which `depth` components name a chosen
/// directory, or why not.
pub(crate) fn usable(path: &Path, depth: u32) -> Result<(), String> {
    fits(path)?;
    check_beneath(path, depth).map_err(|error| error.to_string())
}

fn fits(path: &Path) -> Result<(), String> {
    match path.as_os_str().len() < PATH_MAX {
        true => Ok(()),
        false => Err(format!("its path is longer than {PATH_MAX} bytes")),
    }
}

/// How many components name a directory.
pub(crate) fn depth_of(dir: &Path) -> u32 {
    let named = dir.components().filter(|c| *c != Component::RootDir);
    u32::try_from(named.count()).unwrap_or(u32::MAX)
}

/// Makes a directory that was chosen, and those above it that are missing.
pub(crate) fn make_durable(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    std::fs::create_dir_all(dir)?;
    for dir in missing.into_iter().filter_map(Path::parent) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
