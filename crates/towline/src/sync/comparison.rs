//! Files and objects side by side in the order of their keys, and a decision for
//! each.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use towline_core::{Direction, GroupId, ListedObject, ObjectKey};
use towline_engine::{KeyNames, KeyPlace, path_of};

use super::compare::{Look, Looks, Side, ends, looks, side};
use super::listing::Listing;
use super::walk::{Found, LocalFile, Missed, Names, NoFile, Walk, without_slash};
use super::{
    MTIME_METADATA, SyncDecision, SyncDeletion, SyncFilter, SyncLeftOut, SyncOptions, SyncReason,
    properties,
};
use crate::group::Place;
use crate::prefix::usable;
use crate::{Error, TransferRequest, TransferUtility, VerifyResult};

/// So many files are looked for at a time.
const FILES: usize = 1000;

/// A directory and a prefix, compared step by step. A page of the listing and a
/// thousand files are in memory at a time, and what is left of the directories on
/// the way to them.
///
/// Whoever drops one of its steps before that is done cannot go on with it.
#[derive(Debug)]
pub(crate) struct Comparison {
    parts: Parts,
    filter: Arc<SyncFilter>,
    /// Taken while it goes on elsewhere; `None` for good behind its last file.
    walk: Option<Walk>,
    walked: bool,
    files: VecDeque<Found>,
    listing: Listing,
    objects: VecDeque<ListedObject>,
    names: KeyNames,
    /// The last key that was given a name, below the prefix.
    last_object: String,
    /// What was left out at the source and may hold what comes next; each begins
    /// with the one before.
    left_out: Vec<String>,
    /// The directory of a download is there, so what is in it is looked at.
    has_dir: bool,
    /// Which directory it was at first: a file system that goes away while it is
    /// walked leaves an empty one.
    top: Option<(u64, u64)>,
    is_complete: bool,
    saw_source: bool,
    /// The greatest key so far of what was looked at, below the prefix.
    last: Option<String>,
    /// What was looked at last had one.
    last_had_key: bool,
    /// What the source had so far, and what was left out.
    found: u64,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Looked {
    Decided(SyncDecision),
    /// Nothing is to be told of it.
    Nothing,
    /// There is nothing more.
    End,
}

/// What is compared, and how.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) prefix: String,
    pub(crate) dir: PathBuf,
    pub(crate) like: TransferRequest,
    pub(crate) how: SyncOptions,
    pub(crate) delete: bool,
    pub(crate) folds: bool,
    /// For which it compares, with what was handed over for it.
    pub(crate) group: Option<GroupId>,
}

impl Comparison {
    pub(crate) fn of(parts: Parts) -> Self {
        let filter = Arc::new(parts.how.filter.clone());
        let is_upload = parts.like.direction == Direction::Upload;
        let has_dir = is_upload || parts.dir.is_dir();
        let names = match is_upload {
            true => Names::KeysOrThemselves,
            false => Names::Keys,
        };
        Self {
            walk: has_dir.then(|| Walk::new(&parts.dir, filter.clone(), names)),
            walked: !has_dir,
            files: VecDeque::new(),
            listing: Listing::default(),
            objects: VecDeque::new(),
            names: KeyNames::new(parts.folds),
            last_object: String::new(),
            left_out: Vec::new(),
            has_dir,
            top: top(&parts.dir),
            is_complete: true,
            saw_source: false,
            last: None,
            last_had_key: false,
            found: 0,
            filter,
            parts,
        }
    }

    /// Goes on behind a place.
    pub(crate) fn behind(mut self, place: Place) -> Self {
        let Place { after, files } = place;
        self.names = KeyNames::behind(&after, &files);
        self.last_object.clone_from(&after);
        self.listing = Listing::behind(format!("{}{after}", self.parts.prefix));
        self.walk = self.walk.map(|walk| walk.behind(after.clone()));
        self.last = Some(after);
        self
    }

    /// Whether all that comes next lies behind one key, so that it may go on there. A
    /// walk takes one that is empty or ends in `/` for a directory.
    pub(crate) async fn may_stop(&mut self, utility: &TransferUtility) -> Result<bool, Error> {
        self.fill_files(utility).await?;
        let is_file = |key: &&str| !key.is_empty() && !key.ends_with('/');
        let last = self.last.as_deref().filter(|_| self.last_had_key);
        let Some(after) = last.filter(is_file) else {
            return Ok(false);
        };
        // An object that is not listed yet lies behind the last one that was.
        let file = self.files.front().and_then(Found::key);
        let object = self.objects.front().map(|object| self.below(object));
        let is_behind = |key: Option<&str>| key.is_none_or(|key| key > after);
        Ok(is_behind(file) && is_behind(object))
    }

    /// Where it goes on in another process, where it may stop; `None` where all names
    /// have to be known, since the file system takes names for one another.
    pub(crate) fn place(&self) -> Option<Place> {
        let after = self.last.clone().filter(|_| !self.names.compares())?;
        // They are beginnings of the last object's key, and the last key may be a file's.
        let begins = |len: &usize| after.get(..*len) == self.last_object.get(..*len);
        let files = self.names.open_files().into_iter().filter(begins).collect();
        Some(Place { after, files })
    }

    /// How much the source had so far, and how much was left out.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// Whether all that was to be read so far was read.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the source had anything so far that its name does not leave out.
    pub(super) fn saw_source(&self) -> bool {
        self.saw_source
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What comes next, also where nothing is to be told of it.
    pub(crate) async fn look(&mut self, utility: &TransferUtility) -> Result<Looked, Error> {
        self.fill_files(utility).await?;
        self.fill_objects(utility).await?;
        // What has no key comes first in its directory.
        let file = self.files.front().map(|found| match found {
            Found::LeftOut(Missed { key: None, dir, .. }) => (dir.as_str(), false),
            found => (found.key().unwrap_or_default(), true),
        });
        let object = self.objects.front().map(|object| self.below(object));
        let (side, has_key) = match file {
            Some((dir, false)) if object.is_none_or(|key| key > dir) => (Side::File, false),
            Some((_, false)) => (Side::Object, true),
            file => (side(file.map(|(key, _)| key), object), true),
        };
        let key = match side {
            Side::Object => object,
            _ => file.map(|(key, _)| key),
        };
        self.last_had_key = has_key;
        if has_key && key > self.last.as_deref() {
            self.last = key.map(str::to_owned);
        }
        let decision = match side {
            Side::Neither => return Ok(Looked::End),
            Side::Object => self.objects.pop_front().map(|it| self.object_alone(it)),
            Side::File => self.files.pop_front().map(|found| match found {
                Found::File(file) => self.file_alone(file),
                Found::LeftOut(missed) => self.missed(missed),
            }),
            Side::Both => match self.files.pop_front() {
                // The object comes next, alone.
                Some(Found::LeftOut(missed)) => Some(self.missed(missed)),
                Some(Found::File(file)) => match self.objects.pop_front() {
                    Some(object) => Some(self.both(utility, file, object).await?),
                    None => None,
                },
                None => None,
            },
        };
        let decision = decision.flatten();
        Ok(decision.map_or(Looked::Nothing, Looked::Decided))
    }

    /// What follows the prefix in a key; a listing of other keys is refused.
    fn below<'a>(&self, object: &'a ListedObject) -> &'a str {
        object
            .key
            .get(self.parts.prefix.len()..)
            .unwrap_or_default()
    }

    /// Has the next file, where there is one.
    async fn fill_files(&mut self, utility: &TransferUtility) -> Result<(), Error> {
        while self.files.is_empty() && !self.walked {
            let mut walk = self.walk.take().ok_or(Error::Closed)?;
            let look = move || {
                let found: Vec<Found> = walk.by_ref().take(FILES).collect();
                (found, walk)
            };
            let (found, walk) = blocking(utility, look).await?;
            self.walked = found.len() < FILES;
            if self.walked && top(&self.parts.dir) != self.top {
                self.is_complete = false;
            }
            self.walk = Some(walk);
            self.files = found.into();
        }
        Ok(())
    }

    /// Has the next object, where there is one.
    async fn fill_objects(&mut self, utility: &TransferUtility) -> Result<(), Error> {
        while self.objects.is_empty() {
            let parts = &self.parts;
            let page = self
                .listing
                .next(utility, &parts.prefix, &parts.like, parts.group);
            let Some(page) = page.await? else {
                return Ok(());
            };
            for object in page {
                if self.filter.takes(self.below(&object)) {
                    self.objects.push_back(object);
                }
            }
        }
        Ok(())
    }

    fn is_upload(&self) -> bool {
        self.parts.like.direction == Direction::Upload
    }

    fn file_alone(&mut self, file: LocalFile) -> Option<SyncDecision> {
        let (size, modified) = (file.identity.size, Some(file.modified()));
        if self.is_upload() {
            self.see_source();
            let taken = self.filter.takes_one(size, modified);
            return taken.then(|| self.upload(file, SyncReason::New));
        }
        if !self.parts.delete || !self.filter.takes_one(size, modified) {
            return None;
        }
        Some(SyncDecision::Delete(SyncDeletion {
            key: format!("{}{}", self.parts.prefix, file.key),
            path: file.path,
            bytes: size,
            etag: None,
            seen: Some(file.identity),
        }))
    }

    fn object_alone(&mut self, object: ListedObject) -> Option<SyncDecision> {
        let stands_for_directory = object.size == 0 && object.key.ends_with('/');
        if !self.is_upload() {
            if stands_for_directory {
                return None;
            }
            self.see_source();
            let taken = self.filter.takes_one(object.size, object.last_modified);
            return taken.then(|| self.download(&object, SyncReason::New));
        }
        if !self.parts.delete
            || stands_for_directory
            || !self.filter.takes_one(object.size, object.last_modified)
        {
            return None;
        }
        let below = self.below(&object);
        let path = self.parts.dir.join(path_of(below));
        while self
            .left_out
            .pop_if(|left_out| !below.starts_with(left_out.as_str()))
            .is_some()
        {}
        let holds = |left_out: &String| {
            let rest = &below[left_out.len()..];
            rest.is_empty() || rest.starts_with('/') || left_out.is_empty()
        };
        if self.left_out.iter().any(holds) {
            return Some(SyncDecision::LeftOut(SyncLeftOut {
                key: Some(object.key),
                path: Some(path),
                code: "BelowLeftOut".into(),
                why: "it is not deleted: its place at the source was left out".into(),
                is_error: false,
            }));
        }
        Some(SyncDecision::Delete(SyncDeletion {
            key: object.key,
            path,
            bytes: object.size,
            etag: object.etag,
            seen: None,
        }))
    }

    async fn both(
        &mut self,
        utility: &TransferUtility,
        file: LocalFile,
        object: ListedObject,
    ) -> Result<Option<SyncDecision>, Error> {
        let stands_for_directory = object.size == 0 && object.key.ends_with('/');
        if self.is_upload() || !stands_for_directory {
            self.see_source();
        }
        let look_of_file = Look {
            size: file.identity.size,
            modified: Some(file.modified()),
        };
        let look_of_object = Look {
            size: object.size,
            modified: object.last_modified,
        };
        let direction = self.parts.like.direction;
        let (from, to) = ends(direction, look_of_file, look_of_object);
        if !self.filter.takes_one(from.size, from.modified) {
            return Ok(None);
        }
        // Also of what stays: it has its name, and no other key can.
        let place = match direction {
            Direction::Upload | Direction::Copy => None,
            Direction::Download if stands_for_directory => return Ok(None),
            Direction::Download => Some(self.target_of(&object)),
        };
        let looks = looks(self.parts.how.compare, from, to);
        let reason = match self.reason(utility, looks, &file, &object).await {
            Ok(reason) => reason,
            Err(Error::Closed) => return Err(Error::Closed),
            // A group waits, and compares it again.
            Err(Error::Request(error)) if error.passes() && self.parts.group.is_some() => {
                return Err(error.into());
            }
            Err(error) => {
                self.is_complete = false;
                let (code, why) = (error.code(), error.to_string());
                return Ok(Some(SyncLeftOut::by_error(
                    object.key, file.path, code, why,
                )));
            }
        };
        Ok(Some(match (reason, place) {
            (None, _) => SyncDecision::Same {
                key: object.key,
                path: file.path,
                bytes: object.size,
            },
            (Some(reason), None) => self.upload(file, reason),
            (Some(reason), Some(place)) => self.download_to(place, &object, reason),
        }))
    }

    /// Why it is to be transferred, by what the looks tell and what S3 is asked for.
    async fn reason(
        &self,
        utility: &TransferUtility,
        looks: Looks,
        file: &LocalFile,
        object: &ListedObject,
    ) -> Result<Option<SyncReason>, Error> {
        match looks {
            Looks::Differ(reason) => return Ok(Some(reason)),
            Looks::Alike if self.differ(utility, file, object).await? => {
                return Ok(Some(SyncReason::Content));
            }
            Looks::Alike | Looks::Same => {}
        }
        let asked = self.parts.how.properties;
        let differ = asked && properties::differ(utility, &self.parts, &object.key).await?;
        Ok(differ.then_some(SyncReason::Properties))
    }

    /// Whether the bytes differ, or cannot be shown to be equal.
    async fn differ(
        &self,
        utility: &TransferUtility,
        file: &LocalFile,
        object: &ListedObject,
    ) -> Result<bool, Error> {
        let like = &self.parts.like;
        let mut verify = utility
            .verify(&file.path, like.bucket.as_str(), object.key.as_str())
            .access(like.options.access.clone());
        if let Some(connection) = &like.connection {
            verify = match self.parts.group {
                Some(group) => verify.of_group(group, connection.clone()),
                None => verify.connection(connection.clone()),
            };
        }
        Ok(verify.await?.result != VerifyResult::Equal)
    }

    fn upload(&self, file: LocalFile, reason: SyncReason) -> SyncDecision {
        let key = format!("{}{}", self.parts.prefix, file.key);
        if let Err(error) = ObjectKey::new(key.as_str()) {
            let error = crate::SubmitError::from(error);
            return SyncLeftOut::by_error(key, file.path, error.code(), error.to_string());
        }
        let mut request = TransferRequest {
            key,
            path: file.path,
            ..self.parts.like.clone()
        };
        if self.parts.how.record_mtime {
            let metadata = &mut request.options.object.metadata;
            metadata.insert(MTIME_METADATA.into(), decimal(file.identity.modified_ns));
        }
        SyncDecision::Upload {
            request: Box::new(request),
            bytes: file.identity.size,
            reason,
        }
    }

    fn download(&mut self, object: &ListedObject, reason: SyncReason) -> SyncDecision {
        let place = self.target_of(object);
        self.download_to(place, object, reason)
    }

    fn target_of(&mut self, object: &ListedObject) -> Result<PathBuf, String> {
        let below = object
            .key
            .get(self.parts.prefix.len()..)
            .unwrap_or_default();
        below.clone_into(&mut self.last_object);
        match self.names.place(below, object.size) {
            Ok(KeyPlace::File(path) | KeyPlace::Directory(path)) => Ok(self.parts.dir.join(path)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn download_to(
        &self,
        place: Result<PathBuf, String>,
        object: &ListedObject,
        reason: SyncReason,
    ) -> SyncDecision {
        let key = object.key.clone();
        let path = match place {
            Ok(path) => path,
            Err(why) => {
                let path = self.parts.dir.join(path_of(self.below(object)));
                return SyncLeftOut::by_error(key, path, "TargetClash", why);
            }
        };
        let depth = self.parts.like.options.root_depth.unwrap_or_default();
        if self.has_dir
            && let Err(why) = usable(&path, depth)
        {
            return SyncLeftOut::by_error(key, path, "TargetUnwritable", why);
        }
        SyncDecision::Download {
            request: Box::new(TransferRequest {
                key,
                path,
                listed: (reason == SyncReason::New).then(|| object.into()),
                ..self.parts.like.clone()
            }),
            bytes: object.size,
            reason,
        }
    }

    fn see_source(&mut self) {
        self.saw_source = true;
        self.found += 1;
    }

    /// What a walk came by and is no file; at the destination only what is not
    /// known is told.
    fn missed(&mut self, missed: Missed) -> Option<SyncDecision> {
        let unreadable = matches!(missed.why, NoFile::Unreadable(_));
        self.is_complete &= !unreadable;
        if !self.is_upload() && !unreadable {
            return None;
        }
        self.found += 1;
        let is_error = missed.why.is_error();
        let (code, why) = missed.why.told();
        let key = missed.key.map(|below| {
            let name = without_slash(&below).to_owned();
            while self
                .left_out
                .pop_if(|left_out| !name.starts_with(left_out.as_str()))
                .is_some()
            {}
            self.left_out.push(name);
            format!("{}{below}", self.parts.prefix)
        });
        Some(SyncDecision::LeftOut(SyncLeftOut {
            key,
            path: Some(missed.path),
            code: code.into(),
            why,
            is_error,
        }))
    }
}

/// Device and inode of a directory.
fn top(dir: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(dir).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Does blocking work where the transfers run: whoever waits needs no runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    utility: &TransferUtility,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let runtime = utility.engine().runtime().ok_or(Error::Closed)?;
    match runtime.spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Closed), // it was closed meanwhile
        },
    }
}

/// Nanoseconds as seconds with nine decimals.
fn decimal(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (secs, nanos) = (
        nanos.unsigned_abs() / 1_000_000_000,
        nanos.unsigned_abs() % 1_000_000_000,
    );
    format!("{sign}{secs}.{nanos:09}")
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn times_are_seconds_with_nine_decimals() {
        assert_eq!(decimal(0), "0.000000000");
        assert_eq!(decimal(1_700_000_000_000_000_001), "1700000000.000000001");
        assert_eq!(decimal(-500_000_000), "-0.500000000");
    }
}
