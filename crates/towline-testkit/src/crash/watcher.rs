//! A thread that looks at targets, objects, locks and requests while processes
//! run, so that what is wrong only for a moment is seen too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use towline_testserver::{Operation, Request, TestServer};

use super::content::Content;
use super::evidence::{Place, Seen, Twins};
use super::moving::Moving;
use super::owner;
use super::scene::BUCKET;

/// How long it rests between two looks.
const REST: Duration = Duration::from_millis(5);

/// What is to be watched, and what was seen.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) places: BTreeSet<Place>,
    /// The processes that run, by their state directories.
    pub(crate) running: BTreeMap<PathBuf, Vec<u32>>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) two_owners: Vec<(PathBuf, u32, u32)>,
    pub(crate) owners_seen: u64,
    pub(crate) twins: Vec<Twins>,
    /// When a process was killed last.
    pub(crate) last_kill: Option<SystemTime>,
}

/// The thread; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    watched: Arc<Mutex<Watched>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(crate) fn start(server: Arc<TestServer>) -> Self {
        let watched = Arc::new(Mutex::new(Watched::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut eyes = Eyes {
            server,
            watched: Arc::clone(&watched),
            last: BTreeMap::new(),
            moving: Moving::default(),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                eyes.look();
                std::thread::sleep(REST);
            }
        });
        Self {
            watched,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Eyes {
    server: Arc<TestServer>,
    watched: Arc<Mutex<Watched>>,
    /// What told each place's last content from another one.
    last: BTreeMap<Place, String>,
    moving: Moving,
}

impl Eyes {
    fn look(&mut self) {
        let (places, running) = {
            let watched = lock(&self.watched);
            (watched.places.clone(), watched.running.clone())
        };
        for (state_dir, pids) in &running {
            let two = owner::two_owners(pids, state_dir);
            let any = pids.iter().any(|pid| owner::holds_lock(*pid, state_dir));
            let mut watched = lock(&self.watched);
            watched.owners_seen += u64::from(any);
            let two = two.map(|(one, other)| (state_dir.clone(), one, other));
            watched.two_owners.extend(two);
        }
        let open = unanswered_parts(&self.server);
        let mut watched = lock(&self.watched);
        let twins = self.moving.look(open, watched.last_kill);
        watched.twins.extend(twins);
        drop(watched);
        for place in places {
            self.look_at(place);
        }
    }

    /// Notes a content that is not the one seen last.
    fn look_at(&mut self, place: Place) {
        let mark = match &place {
            Place::Object(key) => self
                .server
                .versions(BUCKET, key)
                .last()
                .map(|version| format!("{} {}", version.version_id, version.etag)),
            Place::File(path) => std::fs::symlink_metadata(path).ok().map(|found| {
                let times = (found.mtime_nsec(), found.ctime(), found.ctime_nsec());
                format!("{} {} {times:?}", found.ino(), found.len())
            }),
        };
        let Some(mark) = mark else { return };
        if self.last.get(&place) == Some(&mark) {
            return;
        }
        let content = content_at(&self.server, &place);
        self.last.insert(place.clone(), mark);
        if let Some(content) = content {
            lock(&self.watched).seen.push(Seen { place, content });
        }
    }
}

/// What stands at a place now.
pub(crate) fn content_at(server: &TestServer, place: &Place) -> Option<Content> {
    match place {
        Place::Object(key) => {
            let bytes = server.object_bytes(BUCKET, key).ok()?;
            Some(Content::of(&bytes))
        }
        Place::File(path) => Content::of_file(path).unwrap(),
    }
}

fn unanswered_parts(server: &TestServer) -> Vec<Request> {
    // Looked through in place: the history of a long test is not copied each time.
    let open = RefCell::new(Vec::new());
    server.history().count_where(|request| {
        if request.operation == Operation::UploadPart && request.status.is_none() {
            open.borrow_mut().push(request.clone());
        }
        false
    });
    open.into_inner()
}
