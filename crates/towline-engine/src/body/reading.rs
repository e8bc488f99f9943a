//! Bytes that go out as they are read: in place as long as they are in memory, so that
//! they are still in the CPU's cache when they are sent, and from a thread of its own
//! once a disk has to be waited for. Where the client can send them from the file, they
//! are read in place for their checksum alone.

use std::fs::File;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use towline_core::{LocalFailure, PartChecksum, StreamError, Unread};

use super::Gate;
use crate::budget::{BUFFER, Budget};
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
    /// What can be sent in place of bytes that were read, and from where.
    pub(super) unread: Option<(Unread, Arc<File>)>,
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
            while let Poll::Ready(Some(bytes)) = self.next(BUFFER, true) {
                if sender.blocking_send(bytes).is_err() {
                    return; // the attempt was given up
                }
            }
        });
        receiver
    }

    /// The next bytes, read here and now; pending where they are not in memory.
    fn next_here(&mut self, is_in_memory: bool) -> Poll<Option<Given>> {
        match self.stand_ins() {
            Some(unread) => self.sum(unread, is_in_memory),
            None => self.next(IN_PLACE, is_in_memory),
        }
    }

    /// The next bytes, as many as `most`; pending where they are not there and it may not
    /// wait for them.
    fn next(&mut self, most: usize, may_wait: bool) -> Poll<Option<Given>> {
        let len = self.len(most);
        if len == 0 {
            return Poll::Ready(None);
        }
        let mut buffer = self.budget.buffer(len);
        let read = self.read(buffer.as_mut_slice(), may_wait);
        match read {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Some(self.given(Ok(buffer.freeze())))),
            Err(failure) => Poll::Ready(Some(self.given(Err(failure)))),
        }
    }

    /// What is sent for the next bytes where these are read for their checksum alone.
    fn stand_ins(&self) -> Option<Bytes> {
        let (unread, file) = self.unread.as_ref()?;
        let start = self.left.start;
        let range = start..start + self.len(BUFFER) as u64;
        (!range.is_empty()).then(|| unread(file, range)).flatten()
    }

    /// Sums up what these stand for, as much of it as is there.
    fn sum(&mut self, mut unread: Bytes, may_wait: bool) -> Poll<Option<Given>> {
        let mut buffer = self.budget.buffer(IN_PLACE.min(unread.len()));
        let mut summed = 0;
        while summed < unread.len() {
            let len = buffer.as_mut_slice().len().min(unread.len() - summed);
            match self.read(&mut buffer.as_mut_slice()[..len], may_wait) {
                Ok(true) => summed += len,
                Ok(false) if summed == 0 => return Poll::Pending,
                Ok(false) => break,
                Err(failure) => return Poll::Ready(Some(self.given(Err(failure)))),
            }
        }
        unread.truncate(summed);
        Poll::Ready(Some(self.given(Ok(unread))))
    }

    fn len(&self, most: usize) -> usize {
        let left = self.left.end - self.left.start;
        usize::try_from(left).map_or(most, |left| left.min(most))
    }

    /// Reads and sums up the next bytes; whether they were there.
    fn read(&mut self, bytes: &mut [u8], may_wait: bool) -> Result<bool, LocalFailure> {
        let Gate { source, file, .. } = &self.gate;
        let (path, planned, at) = (&source.path, source.planned, self.left.start);
        let are_there = match may_wait {
            true => read_source(path, &**file, planned, bytes, at).map(|()| true),
            false => read_source_now(path, &**file, planned, bytes, at),
        }?;
        if are_there {
            self.hasher.update(bytes);
            self.left.start += bytes.len() as u64;
        }
        Ok(are_there)
    }

    /// What was read, if all is well where it is the last.
    fn given(&mut self, read: Result<Bytes, LocalFailure>) -> Given {
        let checked = read.and_then(|bytes| {
            if self.left.is_empty() {
                self.check()?;
            }
            Ok(bytes)
        });
        checked.map_err(|failure| {
            self.left.start = self.left.end; // nothing comes after it
            self.gate.verdict.refuse(failure)
        })
    }

    fn check(&self) -> Result<(), LocalFailure> {
        self.gate.check()?;
        let sum = self.hasher.clone().finish();
        match &self.checksum {
            PartChecksum::Header(sent) if sum != *sent => return Err(self.gate.other_bytes()),
            PartChecksum::Header(_) => {}
            PartChecksum::Trailer(trailer) => trailer.tell(sum),
        }
        Ok(())
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
            let next = reading.next_here(is_in_memory);
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
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::time::SystemTime;

    use towline_core::{Checksum, ChecksumAlgorithm, Trailer};

    use super::super::SourceRange;
    use super::super::tests::source;
    use super::*;
    use crate::files::{OpenFile, Room, Stat};
    use crate::hash::checksum_of;

    const ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;
    /// No byte of a source has it.
    const MARK: u8 = 255;

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

    /// What is sent of a source of which so much is in memory, that it came from a thread
    /// in the end, and the checksum behind it.
    async fn sent(
        source: SourceRange,
        in_memory: usize,
        unread: Option<Unread>,
    ) -> (Vec<u8>, bool, Option<Checksum>) {
        let file = Arc::new(File::open(&source.path).unwrap());
        let cold = Cold(File::open(&source.path).unwrap(), in_memory as u64);
        let trailer = Trailer::new(ALGORITHM);
        let reading = Reading {
            left: source.range.clone(),
            gate: Gate {
                files: Files::of_system(),
                source,
                file: Arc::new(cold),
                verdict: super::super::Verdict::default(),
            },
            hasher: Hasher::new(ALGORITHM),
            checksum: PartChecksum::Trailer(trailer.clone()),
            unread: unread.map(|unread| (unread, file)),
            budget: Budget::new(0),
        };
        let mut out = reading.out(&Files::of_system());
        let mut sent = Vec::new();
        while let Some(next) = std::future::poll_fn(|cx| Pin::new(&mut out).poll_next(cx)).await {
            sent.extend_from_slice(&next.unwrap());
        }
        (sent, out.thread.is_some(), trailer.value())
    }

    #[tokio::test]
    async fn bytes_that_have_to_be_waited_for_come_from_a_thread_and_are_the_same() {
        let there_is_no_room: Unread = |_, _| None;
        for in_memory in [0, 1, BUFFER + 7, 5 * BUFFER] {
            for unread in [None, Some(there_is_no_room)] {
                let (kept, source, bytes) = source(&format!("cold-{in_memory}"), 3 * BUFFER + 9);
                let (sent, by_thread, sum) = sent(source, in_memory, unread).await;
                assert_eq!(by_thread, in_memory < bytes.len());
                assert!(sent == bytes, "{in_memory}");
                assert_eq!(sum, Some(checksum_of(ALGORITHM, &bytes)));
                drop(kept);
            }
        }
    }

    #[tokio::test]
    async fn what_is_in_memory_is_summed_up_and_sent_unread_and_the_rest_is_read() {
        let marked: Unread = |_, range| {
            let len = usize::try_from(range.end - range.start).unwrap();
            Some(Bytes::from(vec![MARK; len]))
        };
        for in_memory in [0, 1, BUFFER, BUFFER + IN_PLACE + 7, 5 * BUFFER] {
            let (kept, source, bytes) = source(&format!("unread-{in_memory}"), 3 * BUFFER + 9);
            let (sent, by_thread, sum) = sent(source, in_memory, Some(marked)).await;
            let unread = match in_memory < bytes.len() {
                true => in_memory / IN_PLACE * IN_PLACE,
                false => bytes.len(),
            };
            assert!(sent[..unread].iter().all(|byte| *byte == MARK));
            assert!(sent[unread..] == bytes[unread..], "{in_memory}");
            assert_eq!(by_thread, in_memory < bytes.len());
            assert_eq!(sum, Some(checksum_of(ALGORITHM, &bytes)));
            drop(kept);
        }
    }
}
