//! How much file content may be in memory at one time, and the buffers it is in.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of one buffer, in bytes: large enough that system calls are few,
/// small enough to stay in a CPU's second-level cache.
pub(crate) const BUFFER: usize = 256 << 10;

/// What is counted: small content takes no whole buffer.
const UNIT: usize = 16 << 10;
const UNITS_OF_BUFFER: u32 = (BUFFER / UNIT) as u32;

/// A hard bound on file content in memory. Clones share it.
#[derive(Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    /// So many are never taken by who would only like to have them.
    reserve: usize,
    pool: Arc<Pool>,
}

/// What a part holds that is written as it comes, in buffers: what is gathered, what is
/// being written, and two that the connection reads into.
pub(crate) const OF_DOWNLOAD: u32 = 6;

/// For a few that read or write as they go.
const RESERVE: usize = 16;

/// Buffers that are granted; given back when dropped.
pub(crate) type Grant = OwnedSemaphorePermit;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        // With less no download would move.
        let buffers = (bytes / BUFFER).max(OF_DOWNLOAD as usize);
        let pool = Pool {
            free: Mutex::default(),
            most: buffers,
        };
        Self {
            units: Arc::new(Semaphore::new(buffers * UNITS_OF_BUFFER as usize)),
            reserve: RESERVE.min(buffers / 4) * UNITS_OF_BUFFER as usize,
            pool: Arc::new(pool),
        }
    }

    /// All of `bytes` now, or nothing. What is kept waiting on its way, as by a cap,
    /// holds them for long; so some are left to those that cannot do without.
    pub(crate) fn try_take(&self, bytes: u64) -> Option<Grant> {
        let units = units(bytes)?;
        if self.units.available_permits() < units as usize + self.reserve {
            return None;
        }
        Arc::clone(&self.units).try_acquire_many_owned(units).ok()
    }

    /// Some bytes of a buffer, after waiting for them in turn.
    pub(crate) async fn take(&self, bytes: u64) -> Grant {
        let units = units(bytes).unwrap_or(UNITS_OF_BUFFER);
        self.take_units(units.min(UNITS_OF_BUFFER)).await
    }

    /// This many buffers, after waiting for them in turn.
    pub(crate) async fn take_buffers(&self, buffers: u32) -> Grant {
        self.take_units(buffers * UNITS_OF_BUFFER).await
    }

    async fn take_units(&self, units: u32) -> Grant {
        Arc::clone(&self.units)
            .acquire_many_owned(units)
            .await
            .expect("the semaphore is never closed")
    }

    /// A buffer of `len` bytes, at most [`BUFFER`], with unspecified content.
    pub(crate) fn buffer(&self, len: usize) -> Buffer {
        let mut bytes = self
            .pool
            .free
            .lock()
            .ok()
            .and_then(|mut free| free.pop())
            .unwrap_or_default();
        bytes.resize(len, 0);
        Buffer {
            bytes,
            pool: Arc::clone(&self.pool),
        }
    }
}

fn units(bytes: u64) -> Option<u32> {
    Some(u32::try_from(bytes.div_ceil(UNIT as u64)).ok()?.max(1))
}

struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
    /// Idle buffers that are kept, at most.
    most: usize,
}

/// One buffer; goes back to its pool when dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The buffer as shared bytes, without a copy.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Ok(mut free) = self.pool.free.lock()
            && free.len() < self.pool.most
        {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_would_only_like_to_have_buffers_leaves_some_to_those_that_need_them() {
        let budget = Budget::new(64 * BUFFER);
        let kept: Vec<_> = std::iter::from_fn(|| budget.try_take(8 * BUFFER as u64)).collect();
        assert_eq!(kept.len(), 6, "48 of 64");
        let needed = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            [
                budget.take_buffers(4).await,
                budget.take_buffers(4).await,
                budget.take_buffers(4).await,
                budget.take_buffers(4).await,
            ]
        });
        assert!(needed.await.is_ok(), "four that read as they go");
        drop(kept);
        let small: Vec<_> = std::iter::from_fn(|| budget.try_take(4096)).collect();
        assert_eq!(small.len(), 48 * 16, "small ones take no buffer each");
    }
}
