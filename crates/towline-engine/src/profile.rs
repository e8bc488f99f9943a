//! What was learned of a store while working with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use towline_core::{ChecksumAlgorithm, Connection};

/// What one store can and cannot do. Learned from its answers.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    puts: Echoes,
    parts: Echoes,
    refuses_checksums: AtomicBool,
    worked: AtomicBool,
    ranges_ignored: AtomicU32,
}

/// So many ranges in a row that were answered with the whole are no accident.
const IGNORED: u32 = 3;

/// Whether answers of one kind came with a checksum, and without one.
#[derive(Debug, Default)]
struct Echoes {
    some: AtomicBool,
    none: AtomicBool,
}

impl Echoes {
    /// Where one came, another that did not come was lost on the way, which says
    /// nothing of the store.
    fn are_none(&self) -> bool {
        self.none.load(Relaxed) && !self.some.load(Relaxed)
    }
}

impl Profile {
    /// What to send with the bytes: as asked, or `Content-MD5` where the store
    /// did not echo a checksum, since nobody can say then that it looked at it.
    pub(crate) fn checksum(&self, asked: ChecksumAlgorithm) -> ChecksumAlgorithm {
        let refused = self.refuses_checksums.load(Relaxed);
        if refused || self.puts.are_none() || self.parts.are_none() {
            ChecksumAlgorithm::Md5
        } else {
            asked
        }
    }

    /// The store refuses checksum headers.
    pub(crate) fn refused_checksums(&self) {
        self.refuses_checksums.store(true, Relaxed);
    }

    /// Whether a range was answered with that range, or with the whole object.
    pub(crate) fn answered_range(&self, kept: bool) {
        match kept {
            true => self.ranges_ignored.store(0, Relaxed),
            false => drop(self.ranges_ignored.fetch_add(1, Relaxed)),
        }
    }

    /// Whether the store gives whole objects only.
    pub(crate) fn ignores_ranges(&self) -> bool {
        self.ranges_ignored.load(Relaxed) >= IGNORED
    }

    /// Whether an answer came with a checksum: to a part, or to a PUT.
    pub(crate) fn echoed(&self, of_part: bool, a_checksum: bool) {
        let echoes = if of_part { &self.parts } else { &self.puts };
        let seen = if a_checksum {
            &echoes.some
        } else {
            &echoes.none
        };
        seen.store(true, Relaxed);
    }

    /// A request was answered: the endpoint and the credentials work.
    pub(crate) fn note_worked(&self) {
        self.worked.store(true, Relaxed);
    }

    pub(crate) fn has_worked(&self) -> bool {
        self.worked.load(Relaxed)
    }
}

/// The profiles of all stores that this process talked to.
#[derive(Debug, Default)]
pub(crate) struct Profiles(Mutex<HashMap<Connection, Arc<Profile>>>);

impl Profiles {
    pub(crate) fn of(&self, connection: &Connection) -> Arc<Profile> {
        let mut profiles = self.0.lock().expect("no holder of this lock panics");
        Arc::clone(profiles.entry(connection.clone()).or_default())
    }
}
