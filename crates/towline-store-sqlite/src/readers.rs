//! The threads that read a store: one, or a few where a read would wait for another.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use towline_core::StoreError;

use crate::open;
use crate::reader::Session;
use crate::trouble::{Stopped, Trouble};

type Job = Box<dyn FnOnce(&mut Session) + Send>;
type Jobs = Mutex<mpsc::Receiver<Job>>;

/// The reading threads of a store.
#[derive(Debug)]
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    jobs: Option<mpsc::Sender<Job>>,
    /// Gone with the last thread.
    waiting: Weak<Jobs>,
    unanswered: Arc<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    most: usize,
}

impl Readers {
    /// Starts one thread, with a connection of its own to the database at `path`. Others
    /// follow, up to `most`, when a read would wait for another.
    pub(crate) fn start(path: &Arc<PathBuf>, most: usize) -> Result<Self, StoreError> {
        let db = open::reader(path)?;
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        let readers = Self {
            path: Arc::clone(path),
            jobs: Some(jobs),
            waiting: Arc::downgrade(&waiting),
            unanswered: Arc::default(),
            threads: Mutex::default(),
            most,
        };
        let session = Session::new(db, Arc::clone(path));
        let first = named(move || serve(session, &waiting));
        let first = first.map_err(|error| StoreError::Failed(Box::new(error)))?;
        readers.threads().push(first);
        Ok(readers)
    }

    /// Hands a read to the next free thread; its answer comes by the channel.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Session) -> Result<T, Trouble> + Send + 'static,
    ) -> Answer<T> {
        let (answer, answered) = oneshot::channel();
        let unanswered = Arc::clone(&self.unanswered);
        let job: Job = Box::new(move |session| {
            let result = read(session).map_err(|trouble| trouble.into_store_error(session.path()));
            unanswered.fetch_sub(1, Relaxed);
            let _ = answer.send(result);
        });
        let others = self.unanswered.fetch_add(1, Relaxed);
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
        if others > 0 {
            self.start_another();
        }
        Answer(answered)
    }

    /// Where it cannot be had, those that are there do the work.
    fn start_another(&self) {
        let mut threads = self.threads();
        let wanted = self.unanswered.load(Relaxed).min(self.most);
        let Some(waiting) = self.waiting.upgrade().filter(|_| threads.len() < wanted) else {
            return;
        };
        let path = Arc::clone(&self.path);
        threads.extend(named(move || {
            if let Ok(db) = open::reader(&path) {
                serve(Session::new(db, path), &waiting);
            }
        }));
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("towline-read".into());
    thread.spawn(work)
}

/// Until nobody can ask any more.
fn serve(mut session: Session, waiting: &Jobs) {
    loop {
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else { return };
        job(&mut session);
    }
}

impl Drop for Readers {
    /// Waits for the reads that were accepted.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads().drain(..) {
            let _ = thread.join();
        }
    }
}

/// An answer on its way from one of the store's threads.
pub(crate) struct Answer<T>(pub(crate) oneshot::Receiver<Result<T, StoreError>>);

impl<T> Answer<T> {
    /// Waits for it.
    pub(crate) async fn get(self) -> Result<T, StoreError> {
        match self.0.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Failed(Box::new(Stopped::new(
                "one of its threads ended",
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use towline_core::TransferId;

    use super::*;
    use crate::SqliteStore;

    async fn read(readers: &Readers) {
        let read = readers.submit(|session| session.get(TransferId::new(1)));
        assert_eq!(read.get().await.unwrap(), None);
    }

    /// A read that takes until it is told to end.
    fn long_read(readers: &Readers) -> (mpsc::Sender<()>, Answer<()>) {
        let (end, told) = mpsc::channel();
        let long = readers.submit(move |_| {
            told.recv().expect("it is told");
            Ok(())
        });
        (end, long)
    }

    #[tokio::test]
    async fn a_read_waits_for_no_long_one_and_where_none_would_there_is_one_thread() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        let readers = Readers::start(&Arc::new(store.path().to_owned()), 2).unwrap();
        read(&readers).await;
        read(&readers).await;
        assert_eq!(readers.threads().len(), 1);
        let (end, long) = long_read(&readers);
        read(&readers).await;
        read(&readers).await;
        assert_eq!(readers.threads().len(), 2);
        end.send(()).unwrap();
        long.get().await.unwrap();
    }

    #[tokio::test]
    async fn where_no_other_thread_can_be_had_the_first_does_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        let mut readers = Readers::start(&Arc::new(store.path().to_owned()), 2).unwrap();
        readers.path = Arc::new(dir.path().join("no-such-file"));
        let (end, long) = long_read(&readers);
        let behind = readers.submit(|session| session.get(TransferId::new(1)));
        end.send(()).unwrap();
        long.get().await.unwrap();
        assert_eq!(behind.get().await.unwrap(), None);
    }
}
