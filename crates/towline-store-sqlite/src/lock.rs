//! The owner lock: an OS lock on a file beside the database, held for life.
//!
//! Only the lock decides who owns the store. What the file says of its holder
//! is information for people: a pid proves nothing.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use towline_core::StoreError;

/// How much of the lock file is shown.
const HOLDER_MAX_BYTES: u64 = 200;

/// The lock of one store; released when dropped, and when the process ends.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Takes the lock, or says who has it. `database` is named in the error.
    pub(crate) fn take(path: &Path, database: &Path) -> Result<Self, StoreError> {
        let unusable = |why: String| StoreError::Unusable {
            path: path.to_path_buf(),
            why,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options
            .open(path)
            .map_err(|error| unusable(error.to_string()))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let path = database.to_path_buf();
                return Err(StoreError::Owned {
                    path,
                    holder: holder(&mut file),
                });
            }
            Err(error) => return Err(unusable(format!("it cannot be locked: {error}"))),
        }
        // Information only, so a failure to write it is no failure.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(description().as_bytes()));
        Ok(Self { file })
    }
}

/// Whether somebody has the lock of a store at this moment.
pub(crate) fn is_taken(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    // Shared, so that those who look are not in each other's way; it goes with the file.
    let looked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
    looked == Err(Errno::WOULDBLOCK)
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

fn description() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "pid {}, since {} ms after 1970, boot {}, instance {:016x}\n",
        std::process::id(),
        started.as_millis(),
        boot.trim(),
        RandomState::new().build_hasher().finish(),
    )
}

/// The process that the lock file names, reduced to what is safe to show.
fn holder(file: &mut File) -> Option<String> {
    let mut text = Vec::new();
    file.take(HOLDER_MAX_BYTES).read_to_end(&mut text).ok()?;
    let shown: String = text
        .iter()
        .take_while(|byte| !matches!(byte, b'\n' | b','))
        .map(|byte| {
            if (b' '..=b'~').contains(byte) {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect();
    (!shown.is_empty()).then_some(shown)
}
