//! Bytes that go out as they are read: in place as long as they are in memory, so that
//! they are still in the CPU's cache when they are sent, and from a thread of its own
//! once a disk has to be waited for.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use towline_core::{LocalFailure, PartChecksum, StreamError};

use super::Gate;
use crate::budget::{BUFFER, Budget, Buffer};
use crate::files::{Files, read_source, read_source_now};
use crate::hash::Hasher;

/// Bytes that are read in place at one go: as many as a second-level cache holds,
/// with room for what else is in it.
const IN_PLACE: usize = BUFFER / 2;

/// Buffers that wait to be sent where a thread reads ahead.
const AHEAD: usize = 2;

/// Every buffer goes out as it is read. The last one of a second reading does only if
/// the bytes were the same as the first time; that of a first one tells their checksum.
pub(super) struct Reading {
    pub(super) gate: Gate,
    pub(super) left: Range<u64>,
    pub(super) hasher: Hasher,
    pub(super) checksum: PartChecksum,
    pub(super) budget: Budget,
}

type Given = Result<Bytes, StreamError>;

impl Reading {
    /// The bytes as they are sent.
    pub(super) fn out(self, files: &Files) -> Out {
        // What is slow to sum up would hold up whatever else is sent and received.
        let stays = self.hasher.is_fast() || files.are_simulated();
        let is_in_memory = self.gate.file.is_in_memory();
        let (here, thread) = match stays {
            true => (Some(self), None),
            false => (None, Some(self.on_thread())),
        };
        Out {
            here,
            is_in_memory,
            thread,
        }
    }

    fn on_thread(mut self) -> mpsc::Receiver<Given> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            while let Some(bytes) = self.next(BUFFER) {
                if sender.blocking_send(bytes).is_err() {
                    return; // the attempt was given up
                }
            }
        });
        receiver
    }

    /// The next bytes, as many as `most`. Blocking.
    fn next(&mut self, most: usize) -> Option<Given> {
        let piece = self.piece(most)?;
        let (mut buffer, source) = (self.buffer(&piece), &self.gate.source);
        let read = read_source(
            &source.path,
            &*self.gate.file,
            source.planned,
            buffer.as_mut_slice(),
            piece.start,
        );
        Some(self.give(piece, read.map(|()| buffer)))
    }

    /// The next bytes; pending where they are not in memory.
    fn next_now(&mut self) -> Poll<Option<Given>> {
        let Some(piece) = self.piece(IN_PLACE) else {
            return Poll::Ready(None);
        };
        let (mut buffer, source) = (self.buffer(&piece), &self.gate.source);
        let read = read_source_now(
            &source.path,
            &*self.gate.file,
            source.planned,
            buffer.as_mut_slice(),
            piece.start,
        );
        let read = match read {
            Ok(false) => return Poll::Pending,
            Ok(true) => Ok(buffer),
            Err(failure) => Err(failure),
        };
        Poll::Ready(Some(self.give(piece, read)))
    }

    fn piece(&self, most: usize) -> Option<Range<u64>> {
        let Range { start, end } = self.left;
        (start < end).then(|| start..end.min(start + most as u64))
    }

    fn buffer(&self, piece: &Range<u64>) -> Buffer {
        let len = usize::try_from(piece.end - piece.start).unwrap_or(BUFFER);
        self.budget.buffer(len)
    }

    fn give(&mut self, piece: Range<u64>, read: Result<Buffer, LocalFailure>) -> Given {
        self.left.start = piece.end;
        let checked = read.and_then(|buffer| self.check(buffer));
        checked.map(Buffer::freeze).map_err(|failure| {
            self.left.start = self.left.end; // nothing comes after it
            self.gate.verdict.refuse(failure)
        })
    }

    fn check(&mut self, mut buffer: Buffer) -> Result<Buffer, LocalFailure> {
        self.hasher.update(buffer.as_mut_slice());
        if self.left.is_empty() {
            self.gate.check()?;
            let sum = self.hasher.clone().finish();
            match &self.checksum {
                PartChecksum::Header(sent) if sum != *sent => return Err(self.gate.other_bytes()),
                PartChecksum::Header(_) => {}
                PartChecksum::Trailer(trailer) => trailer.tell(sum),
            }
        }
        Ok(buffer)
    }
}

/// A reading that is sent: by whoever sends it, or from a thread.
pub(super) struct Out {
    here: Option<Reading>,
    is_in_memory: bool,
    thread: Option<mpsc::Receiver<Given>>,
}

impl Stream for Out {
    type Item = Given;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Given>> {
        let is_in_memory = self.is_in_memory;
        if let Some(reading) = &mut self.here {
            let next = match is_in_memory {
                true => Poll::Ready(reading.next(IN_PLACE)),
                false => reading.next_now(),
            };
            if next.is_ready() {
                return next;
            }
        }
        if let Some(reading) = self.here.take() {
            self.thread = Some(reading.on_thread());
        }
        match &mut self.thread {
            Some(thread) => thread.poll_recv(context),
            None => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;
    use std::time::SystemTime;

    use towline_core::{ChecksumAlgorithm, Trailer};

    use super::super::tests::source;
    use super::*;
    use crate::files::{OpenFile, Room, Stat};
    use crate::hash::checksum_of;

    /// A file of which only the begin is in memory.
    #[derive(Debug)]
    struct Cold(File, u64);

    impl OpenFile for Cold {
        fn stat(&self) -> io::Result<Stat> {
            self.0.stat()
        }
        fn handle(&self) -> u64 {
            self.0.handle()
        }
        fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
            FileExt::read_at(&self.0, bytes, at)
        }
        fn read_now(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
            let there = usize::try_from(self.1.saturating_sub(at)).unwrap();
            let there = there.min(bytes.len());
            let read = FileExt::read_at(&self.0, &mut bytes[..there], at)?;
            Ok((there > 0).then_some(read))
        }
        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            unreachable!("a source is read")
        }
        fn reserve(&self, _: u64) -> io::Result<()> {
            unreachable!("a source is read")
        }
        fn room(&self) -> Option<Room> {
            unreachable!("a source is read")
        }
        fn share(&self) -> io::Result<()> {
            unreachable!("a source is read")
        }
        fn set_modified(&self, _: SystemTime) -> io::Result<()> {
            unreachable!("a source is read")
        }
        fn sync_data(&self) -> io::Result<()> {
            unreachable!("a source is read")
        }
        fn sync_all(&self) -> io::Result<()> {
            unreachable!("a source is read")
        }
    }

    #[tokio::test]
    async fn bytes_that_have_to_be_waited_for_come_from_a_thread_and_are_the_same() {
        let algorithm = ChecksumAlgorithm::Crc64Nvme;
        for in_memory in [0, 1, BUFFER + 7, 5 * BUFFER] {
            let (kept, source, bytes) = source(&format!("cold-{in_memory}"), 3 * BUFFER + 9);
            let file = Arc::new(Cold(File::open(&source.path).unwrap(), in_memory as u64));
            let trailer = Trailer::new(algorithm);
            let reading = Reading {
                left: source.range.clone(),
                gate: Gate {
                    files: Files::of_system(),
                    source,
                    file,
                    verdict: super::super::Verdict::default(),
                },
                hasher: Hasher::new(algorithm),
                checksum: PartChecksum::Trailer(trailer.clone()),
                budget: Budget::new(0),
            };
            let mut out = reading.out(&Files::of_system());
            let mut sent = Vec::new();
            while let Some(next) = std::future::poll_fn(|cx| Pin::new(&mut out).poll_next(cx)).await
            {
                sent.extend_from_slice(&next.unwrap());
            }
            assert_eq!(out.thread.is_some(), in_memory < bytes.len());
            assert!(sent == bytes, "{in_memory}");
            assert_eq!(trailer.value(), Some(checksum_of(algorithm, &bytes)));
            drop(kept);
        }
    }
}
