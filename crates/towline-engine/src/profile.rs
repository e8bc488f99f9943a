//! What was learned of a store while working with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use towline_core::{ChecksumAlgorithm, Connection};

/// What one store can and cannot do. Learned from its answers.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    keeps_no_checksum: AtomicBool,
    echoes_checksums: AtomicBool,
    worked: AtomicBool,
    ranges_ignored: AtomicU32,
    heads_refused: AtomicU32,
}

/// So many ranges in a row that were answered with the whole are no accident.
const IGNORED: u32 = 3;

impl Profile {
    /// What to send with the bytes: as asked, or `Content-MD5` where the store
    /// did not echo a checksum, since nobody can say then that it looked at it.
    pub(crate) fn checksum(&self, asked: ChecksumAlgorithm) -> ChecksumAlgorithm {
        if self.keeps_no_checksum.load(Relaxed) && !self.echoes_checksums.load(Relaxed) {
            ChecksumAlgorithm::Md5
        } else {
            asked
        }
    }

    /// An answer came without the checksum that was sent.
    pub(crate) fn echoed_no_checksum(&self) {
        self.keeps_no_checksum.store(true, Relaxed);
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

    /// An answer came with a checksum. One that comes without it later has lost
    /// it on the way, which says nothing of the store.
    pub(crate) fn echoed_a_checksum(&self) {
        self.echoes_checksums.store(true, Relaxed);
    }

    /// HEAD was refused, or was not, for what GET gives.
    pub(crate) fn answered_head(&self, refused: bool) {
        match refused {
            true => drop(self.heads_refused.fetch_add(1, Relaxed)),
            false => self.heads_refused.store(0, Relaxed),
        }
    }

    /// Whether the store refuses HEAD, and not by accident.
    pub(crate) fn refuses_head(&self) -> bool {
        self.heads_refused.load(Relaxed) > 1
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
