//! Writes the bytes of a range as they arrive, and hashes them on the way.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use towline_core::{Checksum, ChecksumAlgorithm};

use crate::budget::BUFFER;
use crate::files::{Files, OpenFile, Turns, Work};
use crate::hash::Hasher;

/// So much is written at one go: each time two threads are woken.
const HANDED_OVER: usize = 2 * BUFFER;

/// Works off the runtime's threads, so that a slow disk holds up nobody else, and so
/// much at a time, so that no thread waits for a slow network.
pub(super) struct Writing {
    files: Files,
    turns: Turns,
    gathered: Vec<Bytes>,
    len: usize,
    at_work: AtWork,
}

enum AtWork {
    /// With what was gathered before.
    Yes(Work<io::Result<Place>>),
    No(Place),
    /// It failed.
    Over,
}

/// Where the next bytes go.
struct Place {
    file: Arc<dyn OpenFile>,
    at: u64,
    hasher: Hasher,
}

impl Writing {
    pub(super) fn new(
        files: Files,
        turns: Turns,
        file: Arc<dyn OpenFile>,
        at: u64,
        algorithm: ChecksumAlgorithm,
    ) -> Self {
        let hasher = Hasher::new(algorithm);
        Self {
            files,
            turns,
            gathered: Vec::new(),
            len: 0,
            at_work: AtWork::No(Place { file, at, hasher }),
        }
    }

    /// Takes the next bytes. Waits while those before are not written yet.
    pub(super) async fn take(&mut self, bytes: Bytes) -> io::Result<()> {
        self.len += bytes.len();
        self.gathered.push(bytes);
        match self.len >= HANDED_OVER {
            true => self.write().await,
            false => Ok(()),
        }
    }

    /// Writes what is left; the checksum of all.
    pub(super) async fn end(mut self) -> io::Result<Checksum> {
        self.write().await?;
        Ok(self.place().await?.hasher.finish())
    }

    async fn write(&mut self) -> io::Result<()> {
        let mut place = self.place().await?;
        let gathered = std::mem::take(&mut self.gathered);
        self.len = 0;
        self.at_work = AtWork::Yes(self.files.begin_in_turn(&self.turns, move || {
            for bytes in gathered {
                towline_core::failpoint!("write.begins");
                place.hasher.update(&bytes);
                place.file.write_all_at(&bytes, place.at)?;
                towline_core::failpoint!("write.ended");
                place.at += bytes.len() as u64;
            }
            Ok(place)
        }));
        Ok(())
    }

    /// The place, once nothing is written any more.
    async fn place(&mut self) -> io::Result<Place> {
        match std::mem::replace(&mut self.at_work, AtWork::Over) {
            AtWork::No(place) => Ok(place),
            AtWork::Yes(work) => work.end().await,
            AtWork::Over => Err(io::Error::other("an earlier write failed")),
        }
    }
}
