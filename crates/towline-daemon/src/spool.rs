//! Files that a browser sends, kept until they are uploaded: within a quota,
//! and not for ever.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use towline::{Transfer, TransferRequest, TransferUtility};

use crate::Problem;
use crate::secret::Secret;

/// How long a file waits to be submitted.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Files that may come at one time.
const AT_ONCE: usize = 8;

/// The files that came and are not submitted yet, and room for more.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    quota: u64,
    kept: Mutex<Kept>,
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    /// Since when each waits to be submitted.
    waiting: HashMap<PathBuf, Instant>,
    /// Those that are still coming, and how long they will be.
    coming: HashMap<PathBuf, u64>,
}

impl Spool {
    pub(crate) fn new(dir: PathBuf, quota: u64) -> Self {
        Self {
            dir,
            quota,
            kept: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// Whether a path is of a file in here.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.parent() == Some(&*self.dir) && path.file_name().is_some()
    }

    /// Room for a file; it is given back unless the file is
    /// [kept](Coming::keep).
    pub(crate) fn make_room(&self, name: &str, bytes: u64) -> Result<Coming<'_>, Problem> {
        let place = self.places.try_acquire().map_err(|_| {
            let detail = format!("{AT_ONCE} files are coming already; try again in a moment");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", detail)
        })?;
        let path = self.dir.join(file_name(name).map_err(failed)?);
        let mut kept = self.kept();
        let promised: u64 = kept.coming.values().sum();
        let used = self.used(&kept).map_err(failed)?.saturating_add(promised);
        if used.saturating_add(bytes) > self.quota {
            let quota = self.quota;
            let detail = format!(
                "{bytes} bytes more are over the quota of {quota} for files that wait to be \
                 uploaded, of which {used} are used"
            );
            let status = StatusCode::INSUFFICIENT_STORAGE;
            return Err(Problem::new(status, "SpoolFull", detail));
        }
        kept.coming.insert(path.clone(), bytes);
        Ok(Coming {
            spool: self,
            path,
            kept: false,
            _place: place,
        })
    }

    /// Bytes of the files that are there, also of those that are submitted.
    fn used(&self, kept: &Kept) -> std::io::Result<u64> {
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut used = 0_u64;
        for entry in entries {
            let entry = entry?;
            if kept.coming.contains_key(&entry.path()) {
                continue;
            }
            // It may have been removed meanwhile.
            used = used.saturating_add(entry.metadata().map_or(0, |found| found.len()));
        }
        Ok(used)
    }

    /// Takes the files that these requests name as their sources.
    pub(crate) fn claim(&self, requests: &[TransferRequest]) -> Result<Claimed<'_>, Problem> {
        let named = requests.iter().map(|request| &request.path);
        let named: Vec<_> = named.filter(|path| self.holds(path)).cloned().collect();
        let mut kept = self.kept();
        let taken = named
            .into_iter()
            .filter_map(|path| Some((kept.waiting.remove(&path)?, path)));
        let taken: Vec<_> = taken.collect();
        drop(kept);
        Ok(Claimed { spool: self, taken })
    }

    /// Removes what nobody has submitted, from time to time.
    pub(crate) async fn expire(self: std::sync::Arc<Self>) {
        loop {
            tokio::time::sleep(KEPT_FOR / 60).await;
            self.remove_old(Instant::now());
        }
    }

    fn remove_old(&self, now: Instant) {
        let mut kept = self.kept();
        kept.waiting.retain(|path, since| {
            let old = now.duration_since(*since) >= KEPT_FOR;
            if old {
                remove(path);
            }
            !old
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is coming; removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Coming<'a> {
    spool: &'a Spool,
    pub(crate) path: PathBuf,
    kept: bool,
    _place: SemaphorePermit<'a>,
}

impl Coming<'_> {
    /// It is there, durably.
    pub(crate) fn keep(mut self) {
        let mut kept = self.spool.kept();
        kept.waiting.insert(self.path.clone(), Instant::now());
        self.kept = true;
        drop(kept);
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.spool.kept().coming.remove(&self.path);
        if !self.kept {
            remove(&self.path);
        }
    }
}

/// Files that are being submitted; they wait again if that fails.
pub(crate) struct Claimed<'a> {
    spool: &'a Spool,
    taken: Vec<(Instant, PathBuf)>,
}

impl Claimed<'_> {
    /// From now on their transfers say when they can go.
    pub(crate) async fn are_submitted(mut self, utility: &TransferUtility, made: &[Transfer]) {
        let taken = std::mem::take(&mut self.taken);
        for transfer in made {
            if !taken.iter().any(|(_, path)| *path == transfer.path) {
                continue;
            }
            if let Err(error) = utility.remove_copy_when_done(transfer.id).await {
                tracing::debug!(transfer = %transfer.id, %error, "its copy is swept later");
            }
        }
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut kept = self.spool.kept();
        kept.waiting
            .extend(self.taken.drain(..).map(|(since, path)| (path, since)));
    }
}

/// A name of its own, with the extension that tells the content type.
fn file_name(name: &str) -> std::io::Result<String> {
    let random = Secret::random()?;
    let random = &random.expose()[..32];
    let extension = Path::new(name).extension().and_then(|it| it.to_str());
    let plain = |it: &&str| it.len() <= 16 && it.bytes().all(|b| b.is_ascii_alphanumeric());
    Ok(match extension.filter(plain) {
        Some(extension) => format!("{random}.{extension}"),
        None => random.to_owned(),
    })
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file is left behind");
        }
        _ => {}
    }
}

/// The disk below the spool is full, or fails.
pub(crate) fn failed(error: std::io::Error) -> Problem {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let (status, code) = match error.kind() {
        StorageFull | QuotaExceeded => (StatusCode::INSUFFICIENT_STORAGE, "SpoolFull"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "SpoolFailed"),
    };
    Problem::new(status, code, format!("the file cannot be kept: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(coming: &Coming<'_>, bytes: usize) {
        std::fs::write(&coming.path, vec![7; bytes]).unwrap();
    }

    #[test]
    fn files_have_room_within_the_quota_also_while_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().into(), 100);
        let first = spool.make_room("a.JPG", 60).unwrap();
        assert!(first.path.extension().is_some_and(|it| it == "JPG"));
        assert_eq!(spool.make_room("b", 41).unwrap_err().code, "SpoolFull");
        write(&first, 60);
        let (path, second) = (first.path.clone(), spool.make_room("b", 40).unwrap());
        first.keep();
        drop(second); // it was cut off
        assert_eq!(spool.make_room("c", 41).unwrap_err().status, 507);
        drop(spool.make_room("c", 40).unwrap());
        spool.remove_old(Instant::now() + KEPT_FOR / 2);
        assert!(path.exists());
        spool.remove_old(Instant::now() + KEPT_FOR);
        assert!(!path.exists());
        spool.make_room("../../etc/x.../y", 100).map(drop).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_submitted_file_does_not_expire_and_one_that_was_refused_waits_again() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().into(), 100);
        let coming = spool.make_room("a", 1).unwrap();
        write(&coming, 1);
        let path = coming.path.clone();
        coming.keep();
        let request = TransferRequest::upload("bucket", "a", &path);
        let claimed = spool.claim(std::slice::from_ref(&request)).unwrap();
        spool.remove_old(Instant::now() + KEPT_FOR);
        assert!(path.exists());
        drop(claimed);
        spool.remove_old(Instant::now() + KEPT_FOR);
        assert!(!path.exists());
    }

    #[test]
    fn names_from_outside_never_become_paths() {
        for name in [
            "../x",
            "a/b.txt/..",
            "x.y/z",
            "x.\0",
            "x.",
            "",
            "x.a b",
            "x.ä",
        ] {
            let made = file_name(name).unwrap();
            assert!(
                made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'),
                "{name}"
            );
            assert!(!made.contains(".."), "{name}");
        }
    }
}
