//! Copies of bytes and readers beside the state, so that their uploads go on in
//! a later process.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt};
use towline_core::{LocalFailure, Phase, Query, Record, State, StoreError, TransferId};

use crate::building::Body;
use crate::{Error, SubmitError, TransferObserver, TransferRequest, TransferUtility};

/// The directory of the copies, within that of the state.
const DIR: &str = "spool";
/// Bytes that are copied at a time.
const PIECE: usize = 256 << 10;

impl TransferUtility {
    pub(crate) async fn upload_spooled(
        &self,
        mut request: TransferRequest,
        body: Body,
    ) -> Result<TransferObserver, Error> {
        let settled = request.settle(self, false)?; // before a byte is copied
        let mut reader: Pin<Box<dyn AsyncRead + Send>> = match body {
            Body::Bytes(bytes) => Box::pin(std::io::Cursor::new(bytes)),
            Body::Reader(reading) => reading.reader,
            Body::File => return Err(SubmitError::no_path().into()),
        };
        let dir = self.state_dir().to_owned();
        let length = request.length;
        // On the utility's own threads: the caller's are not to wait for a disk.
        let copying = async move {
            let copy = Copy::make(&dir)?;
            let copied = copy.fill(&mut reader).await;
            Ok::<_, std::io::Error>((copy, copied))
        };
        let runtime = self.engine().runtime().ok_or(Error::Closed)?;
        let copied = runtime.spawn(copying).await.map_err(|_| Error::Closed)?;
        let spool = self.state_dir().join(DIR);
        let (copy, copied) = copied.map_err(|error| failed(error, &spool))?;
        let fits = copied.and_then(|copied| match length {
            Some(length) if length != copied => Err(std::io::Error::other(format!(
                "the stream has {copied} bytes, not the {length} announced"
            ))),
            _ => Ok(()),
        });
        if let Err(error) = fits {
            copy.remove();
            return Err(failed(error, &spool));
        }
        request.options.object.content_type = settled.spec.options.object.content_type;
        request.be_of_file(&copy.path);
        let submitted = self.submit_one(request).await;
        match &submitted {
            Ok(observer) if observer.transfer().path == copy.path => {
                self.remove_when_done(observer.clone(), copy);
            }
            // Refused, or one that is there already and has a copy of its own.
            _ => copy.remove(),
        }
        submitted
    }

    /// Removes what an earlier process left of copies that nobody needs.
    pub(crate) async fn sweep_spool(&self) -> Result<(), Error> {
        for copy in self.copies() {
            match self.upload_of(&copy).await? {
                None => copy.remove(),
                Some(upload) if is_over(&upload) => copy.remove(),
                Some(upload) => {
                    let observer = self.observe(upload.id).await?;
                    self.remove_when_done(observer, copy);
                }
            }
        }
        Ok(())
    }

    /// Removes the copies of uploads that are over, also where nobody has come to
    /// that yet. What has no upload may be about to get one.
    pub(crate) async fn remove_copies_of_the_ended(&self) -> Result<(), Error> {
        for copy in self.copies() {
            if self.upload_of(&copy).await?.is_some_and(|it| is_over(&it)) {
                copy.remove();
            }
        }
        Ok(())
    }

    fn copies(&self) -> Vec<Copy> {
        let Ok(entries) = std::fs::read_dir(self.state_dir().join(DIR)) else {
            return Vec::new(); // there was never one
        };
        let copies = entries.filter_map(|entry| Some(entry.ok()?.path()));
        copies.map(|path| Copy { path }).collect()
    }

    async fn upload_of(&self, copy: &Copy) -> Result<Option<Record>, Error> {
        let query = Query {
            path: Some(copy.path.clone()),
            newest_first: true,
            limit: 1,
            ..Query::default()
        };
        Ok(self.store().find(query).await?.transfers.pop())
    }

    /// Where copies are kept until they are uploaded. What lies there without a
    /// transfer is removed when the state is opened.
    pub fn spool_dir(&self) -> PathBuf {
        self.state_dir().join(DIR)
    }

    /// Removes the copy that a transfer uploads, in
    /// [`spool_dir`](Self::spool_dir), once it is completed or canceled, or its
    /// record is removed. Does nothing for one that uploads another file.
    pub async fn remove_copy_when_done(&self, id: TransferId) -> Result<(), Error> {
        let observer = self.observe(id).await?;
        let path = observer.transfer().path;
        if path.parent() == Some(&self.spool_dir()) {
            self.remove_when_done(observer, Copy { path });
        }
        Ok(())
    }

    /// A failed one keeps its copy, for a retry.
    fn remove_when_done(&self, observer: TransferObserver, copy: Copy) {
        let watch = async move {
            let ended = observer.ended().await;
            if ended.is_some_and(|state| matches!(state, State::Completed | State::Canceled)) {
                copy.remove();
            }
        };
        if self.engine().spawn(watch).is_err() {
            tracing::debug!("the utility is closed; the copy is swept at the next opening");
        }
    }

    /// The copy goes with the record of its upload.
    pub(crate) fn forget_copy(&self, path: &Path) {
        if self.is_copy(path) {
            let path = path.to_owned();
            Copy { path }.remove();
        }
    }

    /// Whether it is a copy of ours, of bytes that are in no other file.
    pub(crate) fn is_copy(&self, path: &Path) -> bool {
        path.parent() == Some(&self.state_dir().join(DIR))
    }
}

/// Its copy is not needed any more.
fn is_over(upload: &Record) -> bool {
    matches!(upload.phase, Phase::Completed | Phase::Canceled)
}

struct Copy {
    path: PathBuf,
}

impl Copy {
    /// An empty file of its own, readable by this user alone.
    fn make(state_dir: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let dir = state_dir.join(DIR);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut number = since.unwrap_or_default().as_nanos();
        loop {
            let path = dir.join(format!("{number:x}"));
            let mut open = std::fs::OpenOptions::new();
            match open.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(_) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of a reader, durably; gives the number of bytes.
    async fn fill(&self, reader: &mut Pin<Box<dyn AsyncRead + Send>>) -> std::io::Result<u64> {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.path)?;
        let mut piece = vec![0; PIECE];
        let mut copied = 0;
        loop {
            let read = reader.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            tokio::task::block_in_place(|| file.write_all(&piece[..read]))?;
            copied += read as u64;
        }
        tokio::task::block_in_place(|| {
            file.sync_all()?;
            // Its name, and that of the directory of copies, which may be new.
            let above = self.path.ancestors().skip(1).take(2);
            above
                .into_iter()
                .try_for_each(|dir| std::fs::File::open(dir)?.sync_all())
        })?;
        Ok(copied)
    }

    fn remove(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "a copy is left behind");
            }
            _ => {}
        }
    }
}

/// The copy could not be written, or the stream not be read.
fn failed(error: std::io::Error, spool: &Path) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        let path = spool.to_owned();
        return StoreError::NoSpace { path }.into();
    }
    SubmitError::Source(LocalFailure::SourceUnreadable {
        path: "the stream".into(),
        why: error.to_string(),
        missing: false,
    })
    .into()
}
