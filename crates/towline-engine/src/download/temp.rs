//! The temporary file of a download, opened once and shared by its parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use towline_core::{Failure, Proof};

use super::slow::Rates;
use super::{identity, temp_gone};
use crate::act::Context;
use crate::files::{OpenFile, TargetDir, Turns};

/// What a download has open in this process.
#[derive(Default)]
pub(crate) struct Open {
    file: tokio::sync::Mutex<Option<Arc<dyn OpenFile>>>,
    /// Of writing to it.
    pub(super) turns: Turns,
    pub(super) rates: Rates,
    /// Bytes written since the last sync.
    unsynced: AtomicU64,
    /// When that was; at first, when the file was opened.
    synced: std::sync::Mutex<Option<Instant>>,
    /// What sealing proved, so that it is not computed twice.
    proof: std::sync::Mutex<Option<Proof>>,
    /// Not all answers told the same time of the object.
    time_in_doubt: AtomicBool,
}

/// What was written in a longer time than this is synced too.
const SYNC_AFTER: Duration = Duration::from_secs(5);

impl Open {
    /// The temporary file, made if no part was ever written to it.
    pub(crate) async fn file(&self, context: &Context) -> Result<Arc<dyn OpenFile>, Failure> {
        let mut open = self.file.lock().await;
        if let Some(file) = &*open {
            return Ok(Arc::clone(file));
        }
        let (_, temp) = identity(context)?;
        let (target, name) = (context.target(), temp.name.clone());
        let size = context.plan().size();
        let fresh = context.record.bytes_done == 0;
        let files = context.files.clone();
        let find = move || {
            let dir = TargetDir::of(&*files, &target)?;
            match dir.open_temp(&name, size)? {
                Some(file) => Ok(Some(file)),
                None if fresh => {
                    // Half made by a run that was killed: it holds nothing.
                    dir.remove_temp(&name)?;
                    dir.create_temp(&name, size).map(Some)
                }
                None => Ok(None),
            }
        };
        let file = context.blocking(find).await?;
        let file = file.ok_or_else(|| temp_gone(context))?;
        *open = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Notes that bytes were written, and syncs all of them to disk once there
    /// are many, or some are old. Whoever makes them so waits for it, and fails
    /// with it.
    pub(crate) async fn wrote(
        &self,
        context: &Context,
        file: &Arc<dyn OpenFile>,
        bytes: u64,
    ) -> Result<(), Failure> {
        let unsynced = self.unsynced.fetch_add(bytes, Relaxed) + bytes;
        {
            let mut synced = self.synced.lock().expect("no holder of this lock panics");
            let since = synced.get_or_insert_with(Instant::now);
            if unsynced < context.config.sync_every && since.elapsed() < SYNC_AFTER {
                return Ok(());
            }
            *since = Instant::now();
        }
        self.unsynced.store(0, Relaxed);
        let (_, temp) = identity(context)?;
        let (target, name) = (context.target(), temp.name.clone());
        let file = Arc::clone(file);
        let files = context.files.clone();
        let sync = move || TargetDir::of(&*files, &target)?.sync_written(&name, &*file);
        towline_core::failpoint!("temp-sync.begins");
        context.blocking(sync).await?;
        towline_core::failpoint!("temp-sync.ended");
        Ok(())
    }

    pub(crate) fn keep_proof(&self, proof: Proof) {
        *self.proof.lock().expect("no holder of this lock panics") = Some(proof);
    }

    pub(crate) fn proof(&self) -> Option<Proof> {
        self.proof
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    pub(crate) fn doubt_time(&self) {
        self.time_in_doubt.store(true, Relaxed);
    }

    pub(crate) fn time_is_in_doubt(&self) -> bool {
        self.time_in_doubt.load(Relaxed)
    }

    /// Forgets everything: a new generation has another file.
    pub(crate) fn reset(&self) {
        if let Ok(mut file) = self.file.try_lock() {
            *file = None;
        }
        self.unsynced.store(0, Relaxed);
        *self.synced.lock().expect("no holder of this lock panics") = None;
        self.time_in_doubt.store(false, Relaxed);
        *self.proof.lock().expect("no holder of this lock panics") = None;
    }
}
